"""Between 8 and 16 kHz, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.audio import level_at, sine

from callwright.media.g711 import Pcm
from callwright.media.rates import Doubler, Halver

ROWS = np.array([2])


def halved(sound: Pcm) -> Pcm:
    halver = Halver(3)
    return np.concatenate(
        [halver.halve(ROWS, sound[at : at + 320].reshape(1, -1))[0] for at in range(0, len(sound), 320)]
    )


def doubled(sound: Pcm) -> Pcm:
    doubler = Doubler(3)
    frames = sound.reshape(-1, 1, 160)
    return np.concatenate([doubler.double(ROWS, frame)[0] for frame in frames])


@pytest.mark.parametrize("frequency", [200, 1000, 3000, 3400])
def test_telephone_sound_passes_both_ways(frequency: int) -> None:
    down = halved(sine(frequency, 400, -10.0, 16000))
    assert len(down) == 3200
    assert level_at(down[400:], frequency) == pytest.approx(-10.0, abs=0.2)
    up = doubled(sine(frequency, 400, -10.0))
    assert len(up) == 6400
    assert level_at(up[800:], frequency, 16000) == pytest.approx(-10.0, abs=0.2)
    assert level_at(up[800:], 8000 - frequency, 16000) < -50


@pytest.mark.parametrize("frequency", [4700, 5500, 7000])
def test_what_a_telephone_cannot_carry_does_not_turn_up_elsewhere(frequency: int) -> None:
    down = halved(sine(frequency, 400, -10.0, 16000))
    assert level_at(down[400:], 8000 - frequency) < -55


def test_frames_join_without_a_step() -> None:
    whole = Halver(3).halve(ROWS, sine(700, 400, -10.0, 16000).reshape(1, -1))[0]
    assert np.array_equal(halved(sine(700, 400, -10.0, 16000)), whole)


def test_a_row_begun_anew_forgets_what_came_before() -> None:
    halver = Halver(3)
    fresh = halver.halve(ROWS, np.zeros((1, 320), np.int16))
    halver.halve(ROWS, np.full((1, 320), 9000, np.int16))
    halver.begin(2)
    assert np.array_equal(halver.halve(ROWS, np.zeros((1, 320), np.int16)), fresh)
