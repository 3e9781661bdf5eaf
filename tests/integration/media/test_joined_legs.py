"""Two legs of a worker that hear each other, and what is kept of them in whole-leg recordings."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.support.audio import FoundTone, Pcm, find_tone, level, level_at, read_wav, sine
from tests.support.media_line import PORTS, line, run, two_lines
from tests.support.rtp_peer import RtpPeer

from callwright.engine.interface import Silence, Tone
from callwright.engine.media_client import MediaClient, MediaError
from callwright.media import tones
from callwright.media.codec import PCMA, PCMU, Codec


def found(pcm: Pcm, frequency: float) -> FoundTone:
    tone = find_tone(pcm, frequency)
    assert tone is not None, f"no tone of {frequency} Hz was heard"
    return tone


@pytest.mark.parametrize("codec", [PCMA, PCMU], ids=["same law", "other law"])
def test_joined_far_ends_hear_each_other(codec: Codec) -> None:
    async def work() -> None:
        async with two_lines(PCMA, codec) as (one, other):
            one.leg.join(other.leg)
            await asyncio.gather(one.peer.speak(sine(600, 1000)), other.peer.speak(sine(1500, 1000)))
            await one.until_received(100)
            for at, speaker, frequency in ((one, other, 1500), (other, one, 600)):
                tone = found(at.peer.sound(), frequency)
                # Its very end may be lacking, and the gap behind it is filled for a moment.
                assert tone.ms == pytest.approx(980, abs=80 + await speaker.stuttered_ms())
                assert tone.level == pytest.approx(-10.0, abs=1.0)
            assert find_tone(one.peer.sound(), 600) is None

    run(work)


def test_what_is_played_to_one_goes_before_what_the_other_says() -> None:
    async def work() -> None:
        async with two_lines() as (one, other):
            one.leg.join(other.leg)
            speaking = asyncio.create_task(other.peer.speak(sine(1500, 1600)))
            await one.peer.until(lambda heard: find_tone(one.peer.sound()[-800:], 1500) is not None)
            await one.leg.play([Tone(frequencies=(700.0,), ms=300)])
            await speaking
            assert found(one.peer.sound(), 700).ms == pytest.approx(300, abs=30)
            assert level_at(one.peer.sound()[-1600:-800], 1500) > -20

    run(work)


def test_parted_legs_hear_nothing_of_each_other_any_more() -> None:
    async def work() -> None:
        async with two_lines() as (one, other):
            one.leg.join(other.leg)
            speaking = asyncio.create_task(other.peer.speak(sine(1500, 1500)))
            await one.peer.until(lambda heard: find_tone(one.peer.sound()[-800:], 1500) is not None)
            other.leg.part()
            sent = (await one.client.report())[0].packets_sent
            await speaking
            assert level_at(one.peer.sound()[(sent // 2 + 2) * 160 :], 1500) < -60
            other.leg.part()

    run(work)


def test_a_leg_that_closes_leaves_the_other_one_usable() -> None:
    async def work() -> None:
        async with two_lines() as (one, other):
            one.leg.join(other.leg)
            await one.peer.speak(sine(600, 200))
            await one.leg.close()
            await other.leg.play([Tone(frequencies=(800.0,), ms=200)])
            await other.peer.until(lambda heard: find_tone(other.peer.sound(), 800) is not None)

    run(work)


def test_keys_are_sent_on_to_the_other_leg_when_asked_for() -> None:
    async def work() -> None:
        async with two_lines() as (one, other):
            one.leg.join(other.leg, relay_keys=True)
            await one.client.report()
            one.peer.press("6")
            await other.peer.until(lambda heard: other.peer.keys() == "6")
            one.leg.join(other.leg)
            await one.client.report()
            one.peer.press("7")
            await one.until(lambda events: one.keys() == "67")
            await other.leg.play([Silence(ms=300)])
            assert other.peer.keys() == "6"

    run(work)


def test_legs_of_different_workers_cannot_be_joined() -> None:
    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=PORTS, workers=2)
        try:
            one, other = await client.open_leg(), await client.open_leg()
            with pytest.raises(MediaError, match="one media worker"):
                one.join(other)
            with pytest.raises(MediaError, match="one media worker"):
                one.join(one)
            for _ in range(3):
                one.join(await client.open_leg(beside=one))
            await one.close()
            with pytest.raises(MediaError, match="is over"):
                await client.open_leg(beside=one)
        finally:
            await client.close()

    run(work)


def test_a_mixed_recording_has_both_sides_in_one_audio_channel(tmp_path: Path) -> None:
    path = tmp_path / "leg.wav"

    async def work() -> None:
        async with line() as at:
            at.leg.record_leg(str(path), mixed=True)
            await asyncio.gather(
                at.peer.speak(sine(500, 1500, -12.0)),
                at.leg.play([Tone(frequencies=(900.0,), ms=1400, level_dbm0=-18)]),
            )
            await at.leg.close()

    run(work)
    sound = read_wav(path)
    assert sound.ndim == 1
    middle = sound[len(sound) // 2 :][:1600]
    assert level_at(middle, 500) == pytest.approx(-12.0, abs=1.0)
    assert level_at(middle, 900) == pytest.approx(-18.0, abs=1.0)


@pytest.mark.parametrize("mute_keys", [True, False], ids=["muted", "kept"])
def test_keys_can_be_left_out_of_a_recording_also_out_of_that_of_the_other_leg(tmp_path: Path, mute_keys: bool) -> None:
    voice, key = sine(500, 1400, -12.0), np.concatenate([tones.keys("5"), tones.silence(300)])
    paths = [tmp_path / "one.wav", tmp_path / "other.wav"]

    async def work() -> None:
        async with two_lines() as (one, other):
            one.leg.join(other.leg)
            for at, path in zip((one, other), paths, strict=True):
                at.leg.record_leg(str(path), mute_keys=mute_keys)
            # The far end's gateway sends the key as sound although events were agreed.
            await one.peer.speak(np.concatenate([voice, key, voice]))
            await one.leg.close()
            await other.leg.close()

    run(work)
    for path, channel in zip(paths, (0, 1), strict=True):
        sound = read_wav(path)[:, channel]
        assert found(sound[: len(sound) // 2], 500).ms > 1200
        assert found(sound[len(sound) // 2 :], 500).ms > 1000
        loudest = max(level_at(sound[at : at + 160], 1336) for at in range(0, len(sound) - 160, 40))
        # Next to the pure tone of 500 Hz nothing is left of the key's upper frequency.
        assert (loudest < -35) is mute_keys


def test_keys_as_events_mute_the_recording_while_they_are_down(tmp_path: Path) -> None:
    path = tmp_path / "leg.wav"

    async def work() -> None:
        async with line() as at:
            at.leg.record_leg(str(path), mute_keys=True)
            speaking = asyncio.create_task(at.peer.speak(sine(500, 1500)))
            await at.leg.play([Silence(ms=500)])
            at.peer.press("5", frames=2, ends=0)
            await speaking
            await at.leg.close()

    run(work)
    sound = read_wav(path)[:, 0]
    loud = [level(sound[at : at + 160]) > -30 for at in range(0, len(sound) - 160, 160)]
    first, last = loud.index(True), len(loud) - loud[::-1].index(True)
    assert loud[first:last].count(False) >= 10


def test_a_recording_whose_worker_is_killed_opens_with_all_but_its_last_moment(tmp_path: Path) -> None:
    path = tmp_path / "leg.wav"

    async def work() -> None:
        peer = await RtpPeer.open()
        client = await MediaClient.start(host="127.0.0.1", port_range=PORTS)
        try:
            leg = await client.open_leg()
            peer.target = (leg.host, leg.port)
            leg.connect(remote=peer.address, codec=PCMA, dtmf_payload=101)
            leg.record_leg(str(path))
            await peer.speak(sine(500, 3500))
            os.kill(client.pids[0], signal.SIGKILL)
            await leg.close()
        finally:
            peer.close()
            await client.close()

    run(work)
    facts = soundfile.info(path)
    assert (facts.channels, facts.samplerate) == (2, 8000)
    assert facts.frames >= 2 * 8000
    # The header tells the whole truth: it lacks nothing that is in the file.
    assert path.stat().st_size == 44 + facts.frames * 4
    assert found(read_wav(path)[:, 0], 500).ms > 1500
