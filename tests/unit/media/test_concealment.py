"""What is heard in a gap: the voice goes on for a moment, then soft noise, never a click and never a shout."""

from __future__ import annotations

import numpy as np
import pytest

from callwright.media.codec import FRAME_SAMPLES
from callwright.media.concealment import FADE_SAMPLES, Concealment
from callwright.media.g711 import Pcm

ROWS = np.array([1])
NO_GAP = np.zeros((1, FRAME_SAMPLES), np.bool_)
GAP = ~NO_GAP


def level(pcm: Pcm) -> float:
    """dB below full scale."""
    return float(10 * np.log10(max((pcm.astype(float) ** 2).mean(), 1e-9) / 32768**2))


def wave(frequency: float, frames: int, peak: int = 8000) -> Pcm:
    samples = peak * np.sin(2 * np.pi * frequency * np.arange(frames * FRAME_SAMPLES) / 8000)
    return samples.astype(np.int16).reshape(frames, FRAME_SAMPLES)


def through(concealment: Concealment, sound: Pcm, lost: set[int]) -> Pcm:
    """The frames of `sound` with some of them lost and filled."""
    heard = []
    for number, frame in enumerate(sound):
        frames = np.full((1, FRAME_SAMPLES), -32768, np.int16) if number in lost else frame[None].copy()
        concealment.fill(ROWS, frames, GAP if number in lost else NO_GAP)
        heard.append(frames[0])
    return np.concatenate(heard)


def started() -> Concealment:
    made = Concealment(3)
    made.start(1)
    return made


@pytest.mark.parametrize("frequency", [100.0, 125.0, 160.0, 200.0, 400.0])
def test_one_lost_frame_of_a_voiced_sound_goes_on_in_step_with_it(frequency: float) -> None:
    sound = wave(frequency, 12)
    heard = through(started(), sound, {8}).reshape(12, FRAME_SAMPLES)
    # Three quarters of the sound are still there in the middle of a gap of 20 ms; what differs is little more.
    error = heard[8].astype(float) - sound[8]
    assert (error**2).mean() < 0.15 * (sound[8].astype(float) ** 2).mean()
    assert (heard[10] == sound[10]).all()


def test_there_is_no_click_where_a_gap_begins_and_ends() -> None:
    sound = wave(130.0, 20)
    heard = through(started(), sound, {8, 9}).astype(int)
    usual = np.abs(np.diff(sound.reshape(-1).astype(int))).max()
    assert np.abs(np.diff(heard)[4 * FRAME_SAMPLES :]).max() < 2.5 * usual


def test_a_long_gap_fades_within_sixty_milliseconds_into_the_noise_of_the_line() -> None:
    rng = np.random.default_rng(1)
    quiet = (30 * rng.standard_normal((500, FRAME_SAMPLES))).astype(np.int16)
    sound = np.concatenate([quiet, wave(150.0, 10), np.zeros((30, FRAME_SAMPLES), np.int16)])
    heard = through(started(), sound, set(range(510, 540))).reshape(-1, FRAME_SAMPLES)
    assert level(heard[510]) > level(heard[511]) > level(heard[512]) > level(heard[514])
    assert level(heard[510 + FADE_SAMPLES // FRAME_SAMPLES :]) == pytest.approx(level(quiet), abs=3)


def test_a_gap_in_digital_silence_is_silence() -> None:
    assert not through(started(), np.zeros((30, FRAME_SAMPLES), np.int16), set(range(10, 30))).any()


def test_before_the_first_sound_there_is_silence() -> None:
    assert not through(started(), np.zeros((5, FRAME_SAMPLES), np.int16), set(range(5))).any()


def test_a_loud_line_does_not_shout_in_its_gaps() -> None:
    rng = np.random.default_rng(2)
    loud = (9000 * rng.standard_normal((3000, FRAME_SAMPLES))).clip(-32767, 32767).astype(np.int16)
    heard = through(started(), loud, set(range(2980, 3000))).reshape(-1, FRAME_SAMPLES)
    assert level(heard[2990:]) < -45


def test_the_far_end_may_say_how_loud_its_silence_is_up_to_a_limit() -> None:
    for told, expected in ((60, -60.0), (0, -50.3), (127, -100.0)):
        concealment = started()
        through(concealment, wave(200.0, 5), set())
        concealment.be_silent(1, told)
        heard = through(concealment, np.zeros((50, FRAME_SAMPLES), np.int16), set(range(50)))
        assert level(heard) == pytest.approx(expected, abs=1) or (told == 127 and level(heard) < -90)


def test_part_of_a_frame_may_be_missing() -> None:
    concealment = started()
    through(concealment, wave(200.0, 5), set())
    frames = wave(200.0, 1)
    whole = frames.copy()
    gap = NO_GAP.copy()
    gap[0, 80:] = True
    frames[gap] = -32768
    concealment.fill(ROWS, frames, gap)
    assert (frames[0, :80] == whole[0, :80]).all()
    assert np.abs(frames).max() <= 8800
    assert concealment.missing[1] > 0
