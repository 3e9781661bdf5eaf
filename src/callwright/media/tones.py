"""Signals made from sine waves: call progress tones, telephone keys, the recording beep (ITU-T Q.23, E.180).

Levels are dBm0 per frequency: a full-scale sine wave is +3.14 dBm0 in A-law (ITU-T G.711, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from callwright.media.codec import SAMPLE_RATE
from callwright.media.dtmf import KEYS
from callwright.media.g711 import Pcm
from callwright.media.sounds import Silence, Sound, Tone

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


@dataclass(frozen=True, slots=True)
class ProgressTone:
    """A tone that tells callers how their call is getting on: frequencies in Hz that sound together, and milliseconds
    on, off, on, off, again and again.
    """

    frequencies: tuple[float, ...]
    pattern: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CountryTones:
    """What callers hear in a country while it rings and when the line is busy."""

    ringing: ProgressTone
    busy: ProgressTone


def _country(ringing: tuple[float, ...], cadence: tuple[int, ...], busy: tuple[float, ...], half: int) -> CountryTones:
    return CountryTones(ProgressTone(ringing, cadence), ProgressTone(busy, (half, half)))


_DOUBLE = (400, 200, 400, 2000)

COUNTRIES: dict[str, CountryTones] = {
    "ar": _country((425,), (1000, 4500), (425,), 300),
    "at": _country((420,), (1000, 5000), (420,), 400),
    "au": _country((400, 450), _DOUBLE, (425,), 375),
    "be": _country((425,), (1000, 3000), (425,), 500),
    "br": _country((425,), (1000, 4000), (425,), 250),
    "ca": _country((440, 480), (2000, 4000), (480, 620), 500),
    "ch": _country((425,), (1000, 4000), (425,), 500),
    "cn": _country((450,), (1000, 4000), (450,), 350),
    "cz": _country((425,), (1000, 4000), (425,), 330),
    "de": _country((425,), (1000, 4000), (425,), 480),
    "dk": _country((425,), (1000, 4000), (425,), 500),
    "es": _country((425,), (1500, 3000), (425,), 200),
    "fi": _country((425,), (1000, 4000), (425,), 300),
    "fr": _country((440,), (1500, 3500), (440,), 500),
    "gb": _country((400, 450), _DOUBLE, (400,), 375),
    "gr": _country((425,), (1000, 4000), (425,), 300),
    "hk": _country((440, 480), (400, 200, 400, 3000), (480, 620), 500),
    "hu": _country((425,), (1250, 3750), (425,), 300),
    "ie": _country((400, 450), _DOUBLE, (425,), 500),
    "il": _country((400,), (1000, 3000), (400,), 500),
    "in": _country((400,), _DOUBLE, (400,), 750),
    "it": _country((425,), (1000, 4000), (425,), 500),
    "jp": _country((400,), (1000, 2000), (400,), 500),
    "kr": _country((440, 480), (1000, 2000), (480, 620), 500),
    "mx": _country((425,), (1000, 4000), (425,), 250),
    "nl": _country((425,), (1000, 4000), (425,), 500),
    "no": _country((425,), (1000, 4000), (425,), 500),
    "nz": _country((400, 450), _DOUBLE, (400,), 500),
    "pl": _country((425,), (1000, 4000), (425,), 500),
    "pt": _country((425,), (1000, 5000), (425,), 500),
    "se": _country((425,), (1000, 5000), (425,), 250),
    "sg": _country((400, 450), _DOUBLE, (425,), 750),
    "tr": _country((450,), (2000, 4000), (450,), 500),
    "us": _country((440, 480), (2000, 4000), (480, 620), 500),
    "za": _country((400, 450), _DOUBLE, (400,), 500),
}
"""Tones by ISO 3166 country code, after the national values of ITU-T E.180, supplement 2; modulated tones are given by
their steady frequencies.
"""

ELSEWHERE = _country((425,), (1000, 4000), (425,), 500)
"""What E.180 recommends, for every other country."""


def country_tones(country: str) -> CountryTones:
    """The tones of a country, by its code in either case."""
    return COUNTRIES.get(country.lower(), ELSEWHERE)


def progress_sounds(tone: ProgressTone, ms: int, level_dbm0: float = -13.0) -> list[Sound]:
    """A progress tone as a playlist of `ms` milliseconds, for a leg to play."""
    sounds: list[Sound] = []
    for index, length in enumerate(cycle(tone.pattern)):
        length = min(length, ms)
        if length <= 0:
            break
        sounds.append(Silence(length) if index % 2 else Tone(tone.frequencies, length, level_dbm0))
        ms -= length
    return sounds


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


def _samples(ms: int) -> int:
    return max(ms, 0) * SAMPLE_RATE // 1000
