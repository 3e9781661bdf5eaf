"""Sound for tests: make tones, find them in what was heard, read the files that were written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

RATE = 8000
FULL_SCALE_DBM0 = 3.14

Pcm = npt.NDArray[np.int16]


def sine(frequency: float, ms: int, level_dbm0: float = -10.0, rate: int = RATE) -> Pcm:
    """A pure tone without fades."""
    peak = 32768 * 10 ** ((level_dbm0 - FULL_SCALE_DBM0) / 20)
    time = np.arange(ms * rate // 1000) / rate
    return np.rint(peak * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def level_at(pcm: Pcm, frequency: float, rate: int = RATE) -> float:
    """Level in dBm0 of one frequency in the whole of `pcm` (Goertzel's sum written as a projection)."""
    if not len(pcm):
        return -120.0
    time = np.arange(len(pcm)) / rate
    peak = 2 * abs(np.dot(pcm.astype(np.float64), np.exp(-2j * np.pi * frequency * time))) / len(pcm)
    return float(20 * np.log10(max(peak, 1e-3) / 32768) + FULL_SCALE_DBM0)


def level(pcm: Pcm) -> float:
    """Level in dBm0 of everything in `pcm`, a full-scale sine wave being 3.14."""
    if not len(pcm):
        return -120.0
    power = float(np.mean(np.square(pcm.astype(np.float64))))
    return float(10 * np.log10(max(power, 1e-6) / (32768**2 / 2)) + FULL_SCALE_DBM0)


@dataclass(frozen=True, slots=True)
class FoundTone:
    """Where a tone was heard, in samples, and its level in dBm0 between its edges."""

    start: int
    end: int
    level: float

    @property
    def ms(self) -> float:
        return (self.end - self.start) * 1000 / RATE


def find_tone(pcm: Pcm, frequency: float, *, above_dbm0: float = -35.0, window: int = 80) -> FoundTone | None:
    """The longest stretch in which `frequency` dominates, to within `window` samples; None when there is none."""
    windows = len(pcm) // window
    present = []
    for index in range(windows):
        part = pcm[index * window : (index + 1) * window]
        tone = level_at(part, frequency)
        present.append(tone > above_dbm0 and tone > level(part) - 3.0)
    best, begun = (0, 0), 0
    for index, here in enumerate([*present, False]):
        if here:
            continue
        if index - begun > best[1] - best[0]:
            best = (begun, index)
        begun = index + 1
    if best[0] == best[1]:
        return None
    start, end = best[0] * window, best[1] * window
    inside = pcm[start + window : end - window] if end - start > 4 * window else pcm[start:end]
    return FoundTone(start, end, level_at(inside, frequency))


def strongest(pcm: Pcm, frequencies: Sequence[float]) -> float:
    """Which of some frequencies is loudest."""
    return max(frequencies, key=lambda frequency: level_at(pcm, frequency))


def read_wav(path: str | Path) -> Pcm:
    """All samples of a sound file, shaped (n,) or (n, channels)."""
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE, f"{path} has {rate} samples per second"
    return np.asarray(samples, np.int16)


def write_wav(path: str | Path, pcm: Pcm, rate: int = RATE, subtype: str = "PCM_16") -> None:
    """Write a sound file through libsndfile, which is not the code under test."""
    # libsndfile takes whole numbers as they are when it writes floating point, where full scale is 1.
    samples = pcm / 32768 if subtype in ("FLOAT", "DOUBLE") else pcm
    soundfile.write(path, samples, rate, subtype=subtype)
