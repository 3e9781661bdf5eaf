"""Legs on a real media worker, with a far end on real sockets: what is played, heard, recorded and pressed."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
import uvloop
from tests.support.audio import find_tone, level_at, read_wav, sine, write_wav
from tests.support.media_line import PORTS, line, run
from tests.support.rtp_peer import DEADLINE_S, RtpPeer, companded, rtp

from callwright.engine.interface import Keys, Silence, SoundFile, Tone
from callwright.engine.media_client import (
    Codec,
    DigitEnded,
    LegEvent,
    MediaClient,
    MediaError,
    NoRtp,
    PlaybackEnded,
    RecordingEnded,
)
from callwright.media.codec import PCMA, PCMU
from callwright.media.offer_answer import Direction

SECOND = 8000


def assert_no_gaps(peer: RtpPeer) -> None:
    first = peer.heard[0]
    assert first.marker
    assert {packet.ssrc for packet in peer.heard} == {first.ssrc}
    for index, packet in enumerate(peer.heard):
        assert packet.sequence == (first.sequence + index) & 0xFFFF
        if packet.payload_type != 101:
            assert packet.timestamp == (first.timestamp + 160 * index) & 0xFFFFFFFF
            assert len(packet.payload) == 160


@pytest.mark.parametrize("codec", [PCMA, PCMU], ids=["A-law", "mu-law"])
@pytest.mark.parametrize("rate", [8000, 44100], ids=["telephone rate", "CD rate"])
def test_a_tone_that_is_played_is_what_the_far_end_hears(tmp_path: Path, codec: Codec, rate: int) -> None:
    write_wav(tmp_path / "tone.wav", sine(700, 600, -12.0, rate), rate)

    async def work() -> None:
        async with line(codec) as at:
            await at.peer.until(lambda heard: len(heard) > 3)
            assert await at.leg.play([SoundFile(path=str(tmp_path / "tone.wav"))]) == PlaybackEnded(reason="finished")
            await at.peer.until(lambda heard: len(heard) > 45)
            tone = find_tone(at.peer.sound(), 700)
            assert tone is not None
            assert tone.level == pytest.approx(-12.0, abs=1.0)
            assert tone.ms == pytest.approx(600, abs=20)
            assert level_at(at.peer.sound()[: tone.start - 160], 700) < -60
            assert_no_gaps(at.peer)

    run(work)


def test_a_playlist_is_played_in_order_without_holes(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", sine(500, 200))
    write_wav(tmp_path / "b.wav", sine(900, 200), subtype="ULAW")

    async def work() -> None:
        async with line() as at:
            await at.leg.play(
                [
                    SoundFile(path=str(tmp_path / "a.wav")),
                    Silence(ms=100),
                    SoundFile(path=str(tmp_path / "b.wav")),
                    Tone(frequencies=(1300.0,), ms=200, level_dbm0=-15.0),
                ]
            )
            await at.peer.until(lambda heard: len(heard) > 50)
            sound = at.peer.sound()
            first, second, third = (find_tone(sound, frequency) for frequency in (500, 900, 1300))
            assert first is not None
            assert second is not None
            assert third is not None
            assert second.start - first.start == pytest.approx(2400, abs=80)
            assert third.start - second.start == pytest.approx(1600, abs=80)
            assert third.level == pytest.approx(-15.0, abs=1.0)

    run(work)


def test_every_sent_frame_is_out_when_play_returns(tmp_path: Path) -> None:
    write_wav(tmp_path / "tone.wav", sine(700, 400))

    async def work() -> None:
        async with line() as at:
            await at.leg.play([SoundFile(path=str(tmp_path / "tone.wav"))])
            report = (await at.client.report())[0]
            await at.peer.until(lambda heard: len(heard) >= report.packets_sent)
            tone = find_tone(at.peer.sound()[: report.packets_sent * 160], 700)
            assert tone is not None
            assert tone.ms == pytest.approx(400, abs=20)

    run(work)


def test_cancelling_play_stops_the_sound_within_two_packets(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", sine(700, 10_000))

    async def work() -> None:
        async with line() as at:
            playing = asyncio.create_task(at.leg.play([SoundFile(path=str(tmp_path / "long.wav"))]))
            await at.peer.until(lambda heard: len(heard) > 20)
            playing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await playing
            # The worker reads commands in order: what it has sent when it answers was sent before it stopped.
            sent = (await at.client.report())[0].packets_sent
            await at.peer.until(lambda heard: len(heard) >= sent + 10)
            after = at.peer.sound()[(sent + 2) * 160 :]
            assert level_at(after, 700) < -60
            assert_no_gaps(at.peer)
            assert PlaybackEnded(reason="stopped") in at.events

    run(work)


def test_a_bad_sound_file_is_named_and_nothing_of_its_playlist_is_played(tmp_path: Path) -> None:
    write_wav(tmp_path / "good.wav", sine(700, 200))
    (tmp_path / "bad.wav").write_bytes(b"RIFF but not really a sound")

    async def work() -> None:
        async with line() as at:
            for name, reason in (("absent.wav", "no such file"), ("bad.wav", "not a sound file"), (".", "not a file")):
                path = str(tmp_path / name)
                with pytest.raises(MediaError, match=reason) as caught:
                    await at.leg.play([SoundFile(path=str(tmp_path / "good.wav")), SoundFile(path=path)])
                assert caught.value.path == path
                assert path in str(caught.value)
            await at.leg.play([Silence(ms=100)])
            assert find_tone(at.peer.sound(), 700) is None

    run(work)


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "prompt.wav"

    async def work() -> None:
        async with line() as at:
            for frequency, ms in ((500.0, 200), (900.0, 240)):
                write_wav(path, sine(frequency, ms))
                await at.leg.play([SoundFile(path=str(path))] * 2)
            assert (await at.client.report())[0].cached_sounds == 2
            await at.peer.until(lambda heard: len(heard) > 46)
            assert find_tone(at.peer.sound(), 500) is not None
            assert find_tone(at.peer.sound(), 900) is not None

    run(work)


@pytest.mark.parametrize("codec", [PCMA, PCMU], ids=["A-law", "mu-law"])
@pytest.mark.parametrize("wav_format", ["alaw", "ulaw", "pcm16"])
def test_what_the_far_end_says_is_in_the_recording(tmp_path: Path, codec: Codec, wav_format: str) -> None:
    path = str(tmp_path / "said.wav")

    async def work() -> None:
        async with line(codec) as at:
            recording = asyncio.create_task(
                at.leg.record(path, max_duration_s=20, max_silence_s=0.6, max_initial_silence_s=5, format=wav_format)
            )
            quiet = sine(300, 400, -75.0)
            for part in (quiet, sine(1000, 1000, -14.0), quiet, quiet):
                await at.peer.speak(part)
            ended = await recording
            assert ended.reason == "silence"
            assert ended.contains_sound
            assert ended.path == path
            assert ended.duration_s == pytest.approx(0.3 + 1.0 + 0.6, abs=0.15)
            sound = read_wav(path)
            assert len(sound) == round(ended.duration_s * SECOND)
            tone = find_tone(sound, 1000)
            assert tone is not None
            assert tone.level == pytest.approx(-14.0, abs=1.0)
            assert tone.ms == pytest.approx(1000, abs=40)

    run(work)


def test_a_recording_of_nothing_ends_by_the_initial_silence_and_is_empty(tmp_path: Path) -> None:
    async def work() -> None:
        async with line() as at:
            ended = await at.leg.record(
                str(tmp_path / "nothing.wav"), max_duration_s=20, max_silence_s=9, max_initial_silence_s=0.3
            )
            assert ended == RecordingEnded(
                path=str(tmp_path / "nothing.wav"), duration_s=0.0, contains_sound=False, reason="silence"
            )
            assert len(read_wav(tmp_path / "nothing.wav")) == 0

    run(work)


def test_a_recording_ends_at_its_longest_duration(tmp_path: Path) -> None:
    async def work() -> None:
        async with line() as at:
            recording = asyncio.create_task(
                at.leg.record(str(tmp_path / "long.wav"), max_duration_s=0.5, max_silence_s=5)
            )
            await at.peer.speak(sine(1000, 1000))
            ended = await recording
            assert ended.reason == "max_duration"
            assert ended.duration_s == 0.5
            assert len(read_wav(tmp_path / "long.wav")) == SECOND // 2

    run(work)


@pytest.mark.parametrize("how", ["stopped", "cancelled", "ended"])
def test_a_recording_that_is_cut_short_is_a_whole_file(tmp_path: Path, how: str) -> None:
    path = tmp_path / "short.wav"

    async def work() -> None:
        async with line() as at:
            recording = asyncio.create_task(at.leg.record(str(path), max_duration_s=20, max_silence_s=5))
            await at.peer.speak(sine(1000, 600))
            # What was received is heard some ticks later, as many as this silence has at most.
            await at.leg.play([Silence(ms=300)])
            if how == "cancelled":
                recording.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await recording
                await at.until(lambda events: any(isinstance(event, RecordingEnded) for event in events))
            elif how == "stopped":
                at.leg.stop_recording()
                assert (await recording).reason == "stopped"
            else:
                await at.leg.close()
                assert (await recording).reason == "ended"
            tone = find_tone(read_wav(path), 1000)
            assert tone is not None
            # Behind its end the gap is filled for a while, and a busy machine stutters.
            assert 580 <= tone.ms <= 800

    run(work)


def test_the_far_end_hears_a_beep_that_is_not_in_the_recording(tmp_path: Path) -> None:
    async def work() -> None:
        async with line() as at:
            recording = asyncio.create_task(
                at.leg.record(str(tmp_path / "beeped.wav"), max_duration_s=20, max_silence_s=0.4, beep=True)
            )
            await at.peer.until(lambda heard: find_tone(at.peer.sound()[-400:], 1000) is not None)
            await at.peer.speak(sine(600, 600))
            assert (await recording).contains_sound
            beep = find_tone(at.peer.sound(), 1000)
            assert beep is not None
            assert beep.ms == pytest.approx(250, abs=30)
            assert find_tone(read_wav(tmp_path / "beeped.wav"), 1000) is None

    run(work)


def test_a_recording_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    async def work() -> None:
        async with line() as at:
            path = str(tmp_path / "no folder" / "said.wav")
            with pytest.raises(MediaError, match="No such file or directory") as caught:
                await at.leg.record(path, max_duration_s=2, max_silence_s=1)
            assert caught.value.path == path
            with pytest.raises(MediaError, match="recorded already"):
                await asyncio.gather(
                    at.leg.record(str(tmp_path / "a.wav"), max_duration_s=2, max_silence_s=1),
                    at.leg.record(str(tmp_path / "b.wav"), max_duration_s=2, max_silence_s=1),
                )

    run(work)


def test_a_whole_leg_recording_has_the_far_end_left_and_us_right(tmp_path: Path) -> None:
    path = tmp_path / "leg.wav"

    async def work() -> None:
        async with line(PCMU) as at:
            at.leg.record_leg(str(path))
            await asyncio.gather(
                at.peer.speak(sine(500, 1500, -12.0)),
                at.leg.play([Silence(ms=300), Tone(frequencies=(900.0,), ms=600, level_dbm0=-18.0)]),
            )
            await at.leg.close()
        sound = read_wav(path)
        left, right = find_tone(sound[:, 0], 500), find_tone(sound[:, 1], 900)
        assert left is not None
        assert right is not None
        assert left.level == pytest.approx(-12.0, abs=1.0)
        assert right.level == pytest.approx(-18.0, abs=1.0)
        assert right.ms == pytest.approx(600, abs=30)

    run(work)


def test_keys_travel_both_ways_as_events() -> None:
    async def work() -> None:
        async with line() as at:
            await at.leg.play([Keys(digits="15#")])
            await at.peer.until(lambda heard: at.peer.keys() == "15#")
            assert_no_gaps(at.peer)
            for key in "A0*":
                at.peer.press(key)
            at.peer.press("7", ends=0)
            await at.until(lambda events: at.keys() == "A0*7")
            await at.until(lambda events: sum(isinstance(event, DigitEnded) for event in events) == 4)
            assert [event.duration_ms for event in at.events if isinstance(event, DigitEnded)] == [100, 100, 100, 80]

    run(work)


def test_a_key_is_told_while_it_is_still_down() -> None:
    async def work() -> None:
        async with line() as at:
            at.peer.press("8", frames=2, ends=0)
            await at.until(lambda events: at.keys() == "8")
            assert not any(isinstance(event, DigitEnded) for event in at.events)
            await at.until(lambda events: isinstance(events[-1], DigitEnded))
            assert at.keys() == "8"

    run(work)


@pytest.mark.parametrize("ms", [10, 30, 60])
def test_the_far_end_gets_packets_of_the_length_it_wants(tmp_path: Path, ms: int) -> None:
    write_wav(tmp_path / "tone.wav", sine(700, 600, -12.0))

    async def work() -> None:
        async with line(connect=False) as at:
            at.leg.connect(remote=at.peer.address, codec=PCMA, dtmf_payload=101, ptime_ms=ms)
            await at.leg.play([SoundFile(path=str(tmp_path / "tone.wav")), Keys(digits="5"), Silence(ms=200)])
            await at.peer.until(lambda heard: at.peer.keys() == "5" and len(heard) > 800 // ms)
            spoken = [packet for packet in at.peer.heard if packet.payload_type == PCMA.payload]
            assert {len(packet.payload) for packet in spoken[: 500 // ms]} == {8 * ms}
            first = at.peer.heard[0]
            for index, packet in enumerate(at.peer.heard):
                assert packet.sequence == (first.sequence + index) & 0xFFFF
            for before, after in pairwise(spoken[: 500 // ms]):
                assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 8 * ms
            tone = find_tone(at.peer.sound(), 700)
            assert tone is not None
            assert tone.ms == pytest.approx(600, abs=20)
            assert (await at.leg.close()).packets_sent == pytest.approx(len(at.peer.heard), abs=3)

    run(work)


def test_keys_go_out_as_tone_pairs_when_no_events_were_agreed() -> None:
    async def work() -> None:
        async with line(dtmf_payload=None) as at:
            await at.leg.play([Keys(digits="5")])
            await at.peer.until(lambda heard: len(heard) > 15)
            assert at.peer.keys() == ""
            sound = at.peer.sound()
            pair = [max(level_at(sound[i : i + 400], f) for i in range(0, len(sound) - 400, 80)) for f in (770, 1336)]
            assert pair == pytest.approx([-9.0, -9.0], abs=1.0)

    run(work)


def test_keys_sent_while_a_prompt_plays_interrupt_it_and_it_goes_on(tmp_path: Path) -> None:
    write_wav(tmp_path / "prompt.wav", sine(700, 1000))

    async def work() -> None:
        async with line() as at:
            playing = asyncio.create_task(at.leg.play([SoundFile(path=str(tmp_path / "prompt.wav"))]))
            await at.peer.until(lambda heard: find_tone(at.peer.sound()[-800:], 700) is not None)
            at.leg.send_keys("42")
            await playing
            await at.peer.until(lambda heard: at.peer.keys() == "42")
            sound = at.peer.sound()
            heard_ms = sum(10 for i in range(0, len(sound), 80) if level_at(sound[i : i + 80], 700) > -20)
            assert heard_ms == pytest.approx(1000, abs=60)

    run(work)


def test_what_cannot_be_sent_is_refused_before_it_reaches_the_worker() -> None:
    async def work() -> None:
        async with line() as at:
            with pytest.raises(MediaError, match="not a telephone key"):
                await at.leg.play([Keys(digits="12x")])
            with pytest.raises(MediaError, match="not a telephone key"):
                at.leg.send_keys("é")
            with pytest.raises(MediaError, match="not an IP address"):
                at.leg.connect(remote=("example.invalid", 4000), codec=PCMA, dtmf_payload=None)
            with pytest.raises(MediaError, match="not alaw"):
                await at.leg.record("x.wav", max_duration_s=1, max_silence_s=1, format="mp3")

    run(work)


def test_rtp_follows_the_first_source_and_strangers_are_ignored(tmp_path: Path) -> None:
    async def work() -> None:
        async with line() as at:
            behind_nat, stranger = await RtpPeer.open(8), await RtpPeer.open(8)
            behind_nat.target = stranger.target = (at.leg.host, at.leg.port)
            stranger.send(b"not rtp at all")
            stranger.send(rtp(96, 1, 1, b"\0" * 160, ssrc=5))
            for _ in range(3):
                behind_nat.send_sound(b"\xd5" * 160)
                stranger.send(rtp(8, 1, 1, b"\0" * 160, ssrc=5))
            await behind_nat.until(lambda heard: len(heard) > 5)
            recording = asyncio.create_task(
                at.leg.record(str(tmp_path / "said.wav"), max_duration_s=20, max_silence_s=0.3, max_initial_silence_s=5)
            )
            await asyncio.gather(behind_nat.speak(sine(600, 500)), stranger.speak(sine(1800, 500)))
            await recording
            sound = read_wav(tmp_path / "said.wav")
            assert find_tone(sound, 600) is not None
            assert level_at(sound, 1800) < -50
            assert not stranger.heard
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == behind_nat.address
            assert stats.packets_received == 26
            behind_nat.close()
            stranger.close()

    run(work)


def test_a_far_end_that_moves_is_followed_once_and_only_after_it_fell_silent() -> None:
    async def work() -> None:
        async with line() as at:
            peers = [await RtpPeer.open(8) for _ in range(3)]
            first, second, third = peers
            for peer in peers:
                peer.target = (at.leg.host, at.leg.port)
            await first.speak(sine(600, 100))
            await first.until(lambda heard: len(heard) > 3)
            # While the first one goes on speaking nobody else is heard.
            await asyncio.gather(first.speak(sine(600, 1500)), second.speak(sine(1200, 1500)))
            assert not second.heard
            # Sound of the second one comes all the time: as soon as the first one was silent for a second it counts.
            speaking = asyncio.create_task(second.speak(sine(1200, 4000)))
            await second.until(lambda heard: len(heard) > 3)
            await speaking
            moved = asyncio.create_task(third.speak(sine(1800, 3000)))
            await at.leg.play([Silence(ms=2800)])
            await moved
            assert not third.heard
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == second.address
            for peer in peers:
                peer.close()

    run(work)


def test_a_new_negotiated_address_is_followed(tmp_path: Path) -> None:
    async def work() -> None:
        async with line() as at:
            at.peer.send_sound(b"\xd5" * 160)
            await at.peer.until(lambda heard: len(heard) > 2)
            moved = await RtpPeer.open(0)
            moved.target = (at.leg.host, at.leg.port)
            playing = asyncio.create_task(at.leg.play([Tone(frequencies=(800.0,), ms=1500)]))
            await at.peer.until(lambda heard: find_tone(at.peer.sound()[-800:], 800) is not None)
            at.leg.connect(remote=moved.address, codec=PCMU, dtmf_payload=None)
            await playing
            await moved.until(lambda heard: len(heard) > 10)
            tone = find_tone(moved.sound(), 800)
            assert tone is not None
            assert tone.level == pytest.approx(-13.0, abs=1.0)
            moved.send_sound(b"\xff" * 160)
            stats = await at.leg.close()
            assert stats.remote_port == moved.address[1]
            moved.close()

    run(work)


def test_nothing_is_sent_while_the_far_end_holds() -> None:
    async def work() -> None:
        async with line() as at:
            await at.peer.until(lambda heard: len(heard) > 3)
            at.leg.connect(remote=at.peer.address, codec=PCMA, dtmf_payload=101, direction=Direction.INACTIVE)
            before = (await at.client.report())[0]
            after = before
            while after.ticks < before.ticks + 10:
                await asyncio.sleep(0)
                after = (await at.client.report())[0]
            assert after.packets_sent == before.packets_sent
            at.leg.connect(remote=at.peer.address, codec=PCMA, dtmf_payload=101)
            await at.leg.play([Tone(frequencies=(800.0,), ms=200)])
            await at.peer.until(lambda heard: find_tone(at.peer.sound(), 800) is not None)
            assert {packet.ssrc for packet in at.peer.heard} == {at.peer.heard[0].ssrc}

    run(work)


def test_missing_rtp_is_told_once_until_it_comes_again() -> None:
    async def work() -> None:
        async with line(no_rtp_s=1.0) as at:
            await at.until(lambda events: len(events) == 1)
            ticks = (await at.client.report())[0].ticks
            while (await at.client.report())[0].ticks < ticks + 120:
                await at.leg.play([Silence(ms=200)])
            assert [type(event) for event in at.events if not isinstance(event, PlaybackEnded)] == [NoRtp]
            at.peer.send_sound(b"\xd5" * 160)
            await at.until(lambda events: sum(isinstance(event, NoRtp) for event in events) == 2)
            assert all(event.seconds >= 1.0 for event in at.events if isinstance(event, NoRtp))

    run(work)


def test_statistics_count_what_was_lost_and_what_came() -> None:
    async def work() -> None:
        async with line() as at:
            await at.peer.until(lambda heard: len(heard) > 2)
            for index in range(20):
                packet = companded(sine(500, 20), 8)
                if index in (5, 6, 11):
                    at.peer.sequence += 1
                    at.peer.timestamp += 160
                else:
                    at.peer.send_sound(packet)
            at.peer.press("1")
            await at.until(lambda events: at.keys() == "1")
            stats = await at.leg.close()
            assert stats.packets_received == 17 + 7
            assert stats.packets_lost == 3
            assert stats.packets_sent > 0
            assert stats.first_rtp_at is not None
            assert stats.last_rtp_at is not None
            assert stats.first_rtp_at <= stats.last_rtp_at
            assert stats.as_facts()["packets_lost"] == 3.0

    run(work)


def test_two_legs_against_each_other_measure_the_round_trip_by_rtcp() -> None:
    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=PORTS, workers=2)
        try:
            one, other = await client.open_leg(), await client.open_leg()
            assert len(client.pids) == 2
            one.connect(remote=(other.host, other.port), codec=PCMA, dtmf_payload=101)
            other.connect(remote=(one.host, one.port), codec=PCMA, dtmf_payload=101)
            reports = await client.report()
            # A leg reports after one second and then every five; the second report answers the other side's first.
            while any(report.ticks < 320 for report in reports):
                await one.play([Silence(ms=500)])
                reports = await client.report()
            stats = [await one.close(), await other.close()]
            assert all(each.round_trip_ms is not None and each.round_trip_ms < 1000 for each in stats)
            assert all(each.packets_lost == 0 for each in stats)
        finally:
            await client.close()

    run(work)


@pytest.mark.parametrize("held_at", [("0.0.0.0", 4000), ("127.0.0.1", 0)], ids=["address of zeros", "port 0"])
def test_a_hold_of_the_old_kind_keeps_the_source_and_sends_nothing(held_at: tuple[str, int]) -> None:
    async def work() -> None:
        async with line() as at:
            at.peer.send_sound(b"\xd5" * 160)
            await at.peer.until(lambda heard: len(heard) > 3)
            at.leg.connect(remote=held_at, codec=PCMA, dtmf_payload=101)
            before = (await at.client.report())[0]
            at.peer.press("5")
            await at.until(lambda events: at.keys() == "5")
            assert (await at.client.report())[0].packets_sent == before.packets_sent
            at.leg.connect(remote=at.peer.address, codec=PCMA, dtmf_payload=101)
            await at.leg.play([Tone(frequencies=(800.0,), ms=200)])
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == at.peer.address

    run(work)


def test_a_full_disk_ends_the_recording_with_its_reason_and_not_the_leg() -> None:
    async def work() -> None:
        async with line() as at:
            recording = asyncio.create_task(at.leg.record("/dev/full", max_duration_s=20, max_silence_s=5))
            await at.peer.speak(sine(600, 200))
            with pytest.raises(MediaError, match="No space left on device"):
                await recording
            await at.leg.play([Silence(ms=40)])

    run(work)


def test_a_listener_that_fails_harms_nobody_else() -> None:
    async def work() -> None:
        troubles: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: troubles.append(context["exception"]))
        async with line() as at:

            def fail(event: LegEvent) -> None:
                raise RuntimeError("the listener is broken")

            at.leg.on_event = fail
            await at.leg.play([Silence(ms=20)])
            await at.leg.play([Silence(ms=20)])
        assert [str(trouble) for trouble in troubles][:1] == ["the listener is broken"]

    run(work)


def test_it_works_on_uvloop_as_well(tmp_path: Path) -> None:
    write_wav(tmp_path / "tone.wav", sine(700, 200))

    async def work() -> None:
        async with asyncio.timeout(DEADLINE_S), line() as at:
            await at.leg.play([SoundFile(path=str(tmp_path / "tone.wav"))])
            await at.peer.until(lambda heard: find_tone(at.peer.sound(), 700) is not None)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
