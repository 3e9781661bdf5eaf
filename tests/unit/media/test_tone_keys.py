"""Telephone keys as tone pairs: every key as short, soft, skewed and off its frequency as Q.24 allows, and no other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from callwright.media import g711, tones
from callwright.media.dtmf import KEYS, KeyDown, KeyPress
from callwright.media.g711 import Law
from callwright.media.tone_keys import ToneKeys

Wave = npt.NDArray[np.float64]
ALL = "123A456B789C*0#D"


def pair(key: str, ms: int, *, off: float = 0.0, low_dbm0: float = -9.0, high_dbm0: float = -9.0) -> Wave:
    low, high = (2 * np.pi * frequency * (1 + off) / 8000 for frequency in tones.key_pair(key))
    time = np.arange(ms * 8)
    wave = tones.amplitude(low_dbm0) * np.sin(low * time + 1.0) + tones.amplitude(high_dbm0) * np.sin(high * time)
    return np.asarray(wave, np.float64)


def silent(ms: int) -> Wave:
    return np.zeros(ms * 8)


def heard(*parts: Wave) -> list[KeyDown | KeyPress]:
    wave = np.concatenate([*parts, silent(100)])
    pcm = np.clip(np.rint(wave), -32767, 32767).astype(np.int16)
    pcm = g711.decode(g711.encode(pcm, Law.ALAW), Law.ALAW)
    detector = ToneKeys(3)
    detector.start(2)
    told = []
    for at in range(0, len(pcm) - 159, 160):
        told += detector.add(np.array([2]), pcm[None, at : at + 160], (at + 160) / 8000)
    assert all(row == 2 for row, _ in told)
    return [event for _, event in told]


def keys(*parts: Wave) -> str:
    return "".join(event.key for event in heard(*parts) if isinstance(event, KeyDown))


def sequence(
    ms: int, pause_ms: int, *, off: float = 0.0, low_dbm0: float = -9.0, high_dbm0: float = -9.0
) -> list[Wave]:
    parts = [silent(33)]
    for key in ALL:
        parts += [pair(key, ms, off=off, low_dbm0=low_dbm0, high_dbm0=high_dbm0), silent(pause_ms)]
    return parts


@pytest.mark.parametrize("off", [0.0, 0.015, -0.015], ids=["exact", "too high", "too low"])
@pytest.mark.parametrize(("low", "high"), [(-3.0, -3.0), (-25.0, -25.0), (-6.0, -14.0), (-12.0, -8.0)])
def test_short_keys_are_heard_within_what_a_network_does_to_them(off: float, low: float, high: float) -> None:
    assert keys(*sequence(45, 45, off=off, low_dbm0=low, high_dbm0=high)) == ALL


def test_every_key_goes_down_once_and_is_let_go_once_with_its_duration() -> None:
    told = heard(*sequence(100, 80))
    assert [type(event) for event in told] == [KeyDown, KeyPress] * len(KEYS)
    for number, event in enumerate(told):
        assert event.at == pytest.approx(0.033 + 0.18 * (number // 2), abs=0.02)
        assert isinstance(event, KeyDown) or event.duration_ms == pytest.approx(100, abs=20)


def test_the_same_key_twice_is_two_keys_and_a_short_dropout_is_not() -> None:
    assert keys(pair("5", 60), silent(45), pair("5", 60)) == "55"
    assert keys(pair("5", 60), silent(10), pair("5", 60)) == "5"


def test_keys_are_heard_above_noise() -> None:
    noisy = np.concatenate(sequence(60, 60))
    noisy += np.random.default_rng(1).standard_normal(len(noisy)) * tones.amplitude(-9.0) / 10 ** (15 / 20)
    assert keys(noisy) == ALL


@pytest.mark.parametrize(
    "sound",
    [
        pair("5", 300, off=0.035),
        pair("5", 300, off=-0.035),
        pair("5", 300, low_dbm0=-45.0, high_dbm0=-45.0),
        pair("5", 300, low_dbm0=-5.0, high_dbm0=-25.0),
        pair("5", 12),
        tones.tone((425.0,), 2000).astype(float),
        tones.tone((440.0, 480.0), 2000).astype(float),
        tones.tone((770.0,), 500).astype(float),
        tones.tone((697.0, 770.0, 1209.0), 500).astype(float),
        pair("1", 300) + pair("9", 300),
        np.random.default_rng(2).standard_normal(80_000) * 3000,
    ],
    ids=["high", "low", "soft", "skewed", "short", "ringing", "ringing, two", "one", "three", "two keys", "noise"],
)
def test_other_sounds_are_no_keys(sound: Wave) -> None:
    assert keys(silent(50), sound) == ""


def test_a_row_given_to_another_leg_starts_from_nothing() -> None:
    detector = ToneKeys(1)
    sound = np.rint(pair("5", 60)).astype(np.int16)
    for at in range(0, 480, 160):
        detector.add(np.array([0]), sound[None, at : at + 160], 0.0)
    detector.start(0)
    for _ in range(5):
        assert detector.add(np.array([0]), np.zeros((1, 160), np.int16), 0.0) == []
