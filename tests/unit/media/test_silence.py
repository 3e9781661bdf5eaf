"""Sound and silence, decided from energy."""

from __future__ import annotations

import numpy as np
from tests.support.audio import sine

from callwright.media.g711 import Pcm
from callwright.media.silence import LOUD_FRAMES, SoundDetector

ROWS = np.array([1])


def noise(level_dbm0: float, frames: int, seed: int = 1) -> Pcm:
    peak = 32768 * 10 ** ((level_dbm0 - 3.14) / 20) / np.sqrt(2)
    return np.random.default_rng(seed).normal(0, peak, frames * 160).astype(np.int16)


def sounding(detector: SoundDetector, pcm: Pcm) -> list[bool]:
    return [bool(detector.update(ROWS, pcm[at : at + 160].reshape(1, 160))[0]) for at in range(0, len(pcm) - 159, 160)]


def test_a_tone_is_sound_after_three_frames_and_stays_sound() -> None:
    heard = sounding(SoundDetector(2), sine(440, 10_000, -13.0))
    assert heard == [False] * (LOUD_FRAMES - 1) + [True] * (500 - LOUD_FRAMES + 1)


def test_nothing_and_a_constant_are_silence() -> None:
    detector = SoundDetector(2)
    assert not any(sounding(detector, np.zeros(16000, np.int16)))
    assert not any(sounding(detector, np.full(16000, 900, np.int16)))


def test_steady_line_noise_is_silence_and_speech_above_it_is_sound() -> None:
    detector = SoundDetector(2)
    sounding(detector, noise(-48, 100))
    assert not any(sounding(detector, noise(-48, 200, seed=2)))
    assert all(sounding(detector, noise(-25, 50, seed=3))[LOUD_FRAMES:])


def test_quiet_speech_on_a_clean_line_is_sound() -> None:
    detector = SoundDetector(2)
    sounding(detector, np.zeros(16000, np.int16))
    assert all(sounding(detector, noise(-42, 50))[LOUD_FRAMES:])


def test_a_click_is_not_sound() -> None:
    detector = SoundDetector(2)
    click = np.zeros(16000, np.int16)
    click[3200:3400] = 12000
    assert not any(sounding(detector, click))
    assert detector.quiet[1] == 100


def test_quiet_frames_are_counted_from_the_last_sound() -> None:
    detector = SoundDetector(2)
    sounding(detector, np.concatenate([sine(440, 200), np.zeros(8000, np.int16)]))
    assert detector.quiet[1] == 50
    detector.reset(1)
    assert detector.quiet[1] == 0


def test_rows_do_not_know_each_other() -> None:
    detector = SoundDetector(3)
    frames = np.stack([sine(440, 20), np.zeros(160, np.int16)])
    for _ in range(5):
        sound = detector.update(np.array([2, 0]), frames)
    assert sound.tolist() == [True, False]
    assert detector.quiet.tolist() == [5, 0, 0]
