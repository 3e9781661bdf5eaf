"""Legs on a real media worker, with a far end on real sockets: what is played and pressed."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
import uvloop
from tests.support.audio import find_tone, level_at, sine, write_wav
from tests.support.media_line import line, run
from tests.support.rtp_peer import DEADLINE_S, RtpPeer

from callwright.engine.interface import Keys, Silence, SoundFile, Tone
from callwright.engine.media_client import (
    Codec,
    DigitEnded,
    LegEvent,
    MediaError,
    PlaybackEnded,
)
from callwright.media.codec import PCMA, PCMU


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
            for host in ("example.invalid", "224.0.0.9", "ff02::1", "255.255.255.255"):
                with pytest.raises(MediaError, match="not an IP address of one machine"):
                    at.leg.connect(remote=(host, 4000), codec=PCMA, dtmf_payload=None)
            with pytest.raises(MediaError, match="not alaw"):
                await at.leg.record("x.wav", max_duration_s=1, max_silence_s=1, format="mp3")

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
