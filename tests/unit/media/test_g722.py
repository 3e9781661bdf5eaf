"""G.722: the same octets and samples as another implementation, and sound that comes through."""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib

import numpy as np
import pytest
from tests.support.audio import level_at, sine

from callwright.media import g722
from callwright.media.g711 import Octets, Pcm

pytestmark = pytest.mark.skipif(not g722.SPOKEN, reason="the C helper is not there")

RATE = 16000
OCTETS_SHA256 = "359d0643dd7edba573694d8512be97bc3f55b5e61fcef1a80ba15c5c6a7de65a"
SAMPLES_SHA256 = "c155c15121973c41ca6ccecd96fbbe801d30a23350a303b91d2db24d994f8c9c"
DELAY = 22
"""Samples by which both filters together are late."""


def sweep(ms: int = 1000) -> Pcm:
    time = np.arange(RATE * ms // 1000) / RATE
    return np.asarray(np.rint(12000 * np.sin(2 * np.pi * 3500 * time * time)), np.int16)


def tones() -> Pcm:
    """Whole numbers only, so that every machine makes the same sound."""
    steps = np.arange(RATE, dtype=np.int64)
    return np.asarray((steps * steps // 7 % 9001) - 4500 + (steps * 37 % 2003) - 1001, np.int16)


def heard(sound: Pcm) -> Pcm:
    return g722.decode(g722.encode(sound))[DELAY:]


def test_octets_and_samples_are_those_of_another_implementation() -> None:
    octets = g722.encode(tones())
    # What libspandsp 0.0.6 makes of the same sound.
    assert hashlib.sha256(octets.tobytes()).hexdigest() == OCTETS_SHA256
    assert hashlib.sha256(g722.decode(octets).astype("<i2").tobytes()).hexdigest() == SAMPLES_SHA256


def _spandsp() -> ctypes.CDLL | None:
    name = ctypes.util.find_library("spandsp")
    return ctypes.CDLL(name) if name else None


@pytest.mark.skipif(_spandsp() is None, reason="libspandsp is not installed")
@pytest.mark.parametrize("seed", range(4))
def test_noise_of_any_level_is_coded_as_libspandsp_codes_it(seed: int) -> None:
    library = _spandsp()
    assert library is not None
    for begin in (library.g722_encode_init, library.g722_decode_init):
        begin.restype = ctypes.c_void_p
    sound = np.random.default_rng(seed).normal(0, 10.0 ** (seed + 1) / 3, 8000).clip(-32768, 32767).astype(np.int16)
    octets = np.zeros(4000, np.uint8)
    encoder = ctypes.c_void_p(library.g722_encode_init(None, 64000, 0))
    library.g722_encode(encoder, octets.ctypes.data_as(ctypes.c_void_p), sound.ctypes.data_as(ctypes.c_void_p), 8000)
    assert np.array_equal(g722.encode(sound), octets)
    samples = np.zeros(8000, np.int16)
    decoder = ctypes.c_void_p(library.g722_decode_init(None, 64000, 0))
    library.g722_decode(decoder, samples.ctypes.data_as(ctypes.c_void_p), octets.ctypes.data_as(ctypes.c_void_p), 4000)
    ours = g722.decode(octets)
    # Where a sample is too loud that library wraps round; the recommendation wants it limited.
    loudest = np.abs(ours.astype(int)) >= 32767
    assert np.array_equal(ours[~loudest], samples[~loudest])


@pytest.mark.parametrize("frequency", [300, 1000, 3000, 5000, 6800])
def test_tones_of_both_bands_come_through(frequency: int) -> None:
    sound = sine(frequency, 500, -10.0, RATE)
    assert level_at(heard(sound)[800:], frequency, RATE) == pytest.approx(-10.0, abs=0.3)


def test_a_sweep_is_heard_with_little_noise() -> None:
    sound = sweep()
    noise = heard(sound).astype(float) - sound[:-DELAY]
    assert 10 * np.log10(np.mean(sound.astype(float) ** 2) / np.mean(noise**2)) > 24


def test_silence_stays_silent() -> None:
    assert np.abs(heard(np.zeros(RATE, np.int16)).astype(int)).max() <= 8


def test_the_loudest_sound_is_limited_and_does_not_wrap_round() -> None:
    square = np.where(np.arange(RATE) // 20 % 2, 32767, -32768).astype(np.int16)
    back = heard(square)
    middle = np.arange(len(back)) % 20 // 4 == 2
    middle[:2000] = False
    assert np.array_equal(np.sign(back[middle]), np.sign(square[: len(back)][middle]))


def test_rows_do_not_know_each_other_and_frames_make_the_same_stream() -> None:
    sounds = np.stack([sweep(200), tones()[:3200]])
    bank, rows = g722.Bank(5), np.array([4, 1])
    for row in rows.tolist():
        bank.begin(row)
    coded = np.concatenate([bank.encode(rows, sounds[:, at : at + 320]) for at in range(0, 3200, 320)], axis=1)
    expected: Octets = np.stack([g722.encode(sound) for sound in sounds])
    assert np.array_equal(coded, expected)
    back = g722.Bank(5)
    for row in rows.tolist():
        back.begin(row)
    samples = np.concatenate([back.decode(rows, coded[:, at : at + 160]) for at in range(0, 1600, 160)], axis=1)
    assert np.array_equal(samples, np.stack([g722.decode(octets) for octets in coded]))


@pytest.mark.parametrize("frequency", [1000, 6000])
@pytest.mark.parametrize("pause", [10, 100])
def test_sound_behind_repeated_silence_is_right_from_its_beginning(frequency: int, pause: int) -> None:
    sound = sine(frequency, 400, -12.0, RATE)
    before = np.tile(g722.silence(), pause)
    line = g722.decode(np.concatenate([before, g722.encode(sound, behind_silence=True)]))
    assert not line[800 : 2 * len(before)].any()
    said = line[2 * len(before) + DELAY :]
    for start in (0, 320, 1280):
        assert level_at(said[start : start + 1280], frequency, RATE) == pytest.approx(-12.0, abs=0.7)


def test_a_row_begun_anew_forgets_what_it_heard() -> None:
    bank, row = g722.Bank(1), np.zeros(1, np.int64)
    bank.begin(0)
    first = bank.encode(row, sweep(100).reshape(1, -1))
    bank.begin(0)
    assert np.array_equal(bank.encode(row, sweep(100).reshape(1, -1)), first)
