"""Recordings of legs on a real media worker: of what the far end says, and of whole legs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.audio import find_tone, read_wav, sine
from tests.support.media_line import line, run

from callwright.engine.interface import Silence, Tone
from callwright.engine.media_client import (
    Codec,
    MediaError,
    RecordingEnded,
)
from callwright.media.codec import PCMA, PCMU

SECOND = 8000


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
            await at.until_received(30)
            stuttered_ms = await at.stuttered_ms()
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
            # The gap behind its end is filled for a moment.
            assert tone.ms == pytest.approx(640, abs=40 + stuttered_ms)

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


def test_a_full_disk_ends_the_recording_with_its_reason_and_not_the_leg() -> None:
    async def work() -> None:
        async with line() as at:
            recording = asyncio.create_task(at.leg.record("/dev/full", max_duration_s=20, max_silence_s=5))
            await at.peer.speak(sine(600, 200))
            with pytest.raises(MediaError, match="No space left on device"):
                await recording
            await at.leg.play([Silence(ms=40)])

    run(work)
