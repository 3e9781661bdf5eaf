"""Signals made from sine waves: call progress tones, telephone keys, the recording beep (ITU-T Q.23, E.180).

Levels are dBm0 per frequency: a full-scale sine wave is +3.14 dBm0 in A-law (ITU-T G.711, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from callwright.media.codec import SAMPLE_RATE
from callwright.media.dtmf import KEYS
from callwright.media.g711 import Pcm

FULL_SCALE_DBM0 = 3.14
_RAMP_SAMPLES = SAMPLE_RATE * 4 // 1000
ROWS = (697.0, 770.0, 852.0, 941.0)
COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)
PAD = ("123A", "456B", "789C", "*0#D")
_EDGE = np.sin(np.linspace(0.0, np.pi / 2, _RAMP_SAMPLES)) ** 2

KEY_MS = 100
KEY_PAUSE_MS = 100
BEEP_HZ = 1000.0
BEEP_MS = 250
BEEP_DBM0 = -10.0

RINGBACK: dict[str, tuple[tuple[float, ...], tuple[int, ...]]] = {
    "eu": ((425.0,), (1000, 4000)),
    "uk": ((400.0, 450.0), (400, 200, 400, 2000)),
    "us": ((440.0, 480.0), (2000, 4000)),
}
"""Region → frequencies (Hz) and cadence: milliseconds on, off, on, off."""

BUSY: tuple[tuple[float, ...], tuple[int, ...]] = ((425.0,), (500, 500))


def amplitude(level_dbm0: float) -> float:
    """Peak sample value of a sine wave of this level."""
    return float(32768.0 * 10 ** ((level_dbm0 - FULL_SCALE_DBM0) / 20))


def silence(ms: int) -> Pcm:
    """`ms` milliseconds of nothing."""
    return np.zeros(_samples(ms), np.int16)


def tone(frequencies: Sequence[float], ms: int, level_dbm0: float = -13.0) -> Pcm:
    """A sum of sine waves, faded in and out over 4 ms so that it does not click."""
    time = np.arange(_samples(ms)) / SAMPLE_RATE
    wave = np.zeros(len(time))
    for frequency in frequencies:
        wave += np.sin(2 * np.pi * frequency * time)
    wave *= amplitude(level_dbm0)
    edge = min(_RAMP_SAMPLES, len(wave) // 2)
    if edge:
        wave[:edge] *= _EDGE[:edge]
        wave[-edge:] *= _EDGE[:edge][::-1]
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


def key_pair(key: str) -> tuple[float, float]:
    """The two frequencies of a telephone key (ITU-T Q.23)."""
    if key not in KEYS or len(key) != 1:
        raise ValueError(f"{key!r} is not a telephone key; the keys are {KEYS}")
    row = next(i for i, keys in enumerate(PAD) if key in keys)
    return ROWS[row], COLUMNS[PAD[row].index(key)]


def keys(digits: str, level_dbm0: float = -9.0) -> Pcm:
    """Telephone keys as tone pairs, 100 ms each with a pause of 100 ms after every key."""
    parts = [part for key in digits for part in (tone(key_pair(key), KEY_MS, level_dbm0), silence(KEY_PAUSE_MS))]
    return np.concatenate(parts) if parts else silence(0)


def beep() -> Pcm:
    """The beep before a recording."""
    return tone((BEEP_HZ,), BEEP_MS, BEEP_DBM0)


def cadence(frequencies: Sequence[float], pattern: Sequence[int], ms: int, level_dbm0: float = -13.0) -> Pcm:
    """A tone that comes and goes: `pattern` is milliseconds on, off, on, off…, repeated until `ms` are filled."""
    if not pattern or sum(pattern) <= 0:
        raise ValueError("a cadence needs a pattern with some length")
    parts: list[Pcm] = []
    made = 0
    while made < ms:
        for index, length in enumerate(pattern):
            length = min(length, ms - made)
            parts.append(silence(length) if index % 2 else tone(frequencies, length, level_dbm0))
            made += length
    return np.concatenate(parts) if parts else silence(0)


def ringback(region: str, ms: int) -> Pcm:
    """The ringing tone callers hear in a region of `RINGBACK`."""
    frequencies, pattern = RINGBACK[region]
    return cadence(frequencies, pattern, ms)


def _samples(ms: int) -> int:
    return max(ms, 0) * SAMPLE_RATE // 1000
