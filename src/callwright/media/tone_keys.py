"""Telephone keys as tone pairs in the sound (ITU-T Q.23 and Q.24), looked for on many legs at once.

Every 10 ms a window of 13 ms is compared with the eight frequencies, by one matrix product for all rows. A window shows
a key when one frequency of each group stands out, both are loud enough and near enough to each other in level, and
next to nothing else is heard: speech hardly ever sounds like that. Two such windows in a row are a key that is down;
three without it end it. Tones of 40 ms with pauses of 40 ms are found, at up to 1.5 % beside their frequency.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from callwright.media.codec import FRAME_SAMPLES, SAMPLE_RATE
from callwright.media.dtmf import KeyDown, KeyPress
from callwright.media.g711 import Pcm
from callwright.media.rtp import Ints
from callwright.media.silence import power
from callwright.media.tones import COLUMNS, PAD, ROWS

Floats = npt.NDArray[np.float32]

_WINDOW = 106
_HOP = 80
_TAIL = _WINDOW - _HOP
_WINDOWS = FRAME_SAMPLES // _HOP
_WINDOW_S = _HOP / SAMPLE_RATE
_HITS = 2
_MISSES = 3
_SOFTEST = power(-33.0)
_PURE = 0.7
"""How much of the window's energy must lie in the two frequencies."""
_STANDS_OUT = 4.0
_HIGH_LOUDER, _LOW_LOUDER = 10**0.6, 10**1.05
"""Twist (Q.24): the higher frequency may be 4 dB louder or 8 dB softer; leakage between windows needs 2 dB more."""
_NO_KEY = -1


def _waves() -> Floats:
    angle = 2 * np.pi * np.outer(np.arange(_WINDOW), np.array([*ROWS, *COLUMNS])) / SAMPLE_RATE
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


class ToneKeys:
    """Hears the keys of up to `capacity` rows."""

    def __init__(self, capacity: int) -> None:
        self._waves = _waves()
        self._tail = np.zeros((capacity, _TAIL), np.float32)
        self._last = np.full(capacity, _NO_KEY, np.int64)
        self._hits = np.zeros(capacity, np.int64)
        self._down = np.full(capacity, _NO_KEY, np.int64)
        self._windows = np.zeros(capacity, np.int64)
        self._misses = np.zeros(capacity, np.int64)

    def start(self, row: int) -> None:
        """Begin anew on a row."""
        self._tail[row] = 0
        self._last[row] = self._down[row] = _NO_KEY
        self._hits[row] = self._windows[row] = self._misses[row] = 0

    def add(self, rows: Ints, frames: Pcm, now: float) -> list[tuple[int, KeyDown | KeyPress]]:
        """Take one frame per row, the last sample of which was heard `now`; return what keys went down or up."""
        sound = np.concatenate([self._tail[rows], frames.astype(np.float32)], axis=1)
        self._tail[rows] = sound[:, -_TAIL:]
        windows = np.stack([sound[:, at * _HOP : at * _HOP + _WINDOW] for at in range(_WINDOWS)], axis=1)
        shown = _keys_shown(windows, self._waves)
        told: list[tuple[int, KeyDown | KeyPress]] = []
        for number in range(_WINDOWS):
            self._follow(rows, shown[:, number], now - (_WINDOWS - 1 - number) * _WINDOW_S, told)
        return told

    def _follow(self, rows: Ints, shown: Ints, now: float, told: list[tuple[int, KeyDown | KeyPress]]) -> None:
        self._hits[rows] = np.where(shown == self._last[rows], self._hits[rows] + 1, 1)
        self._last[rows] = shown
        down = self._down[rows]
        held = down != _NO_KEY
        self._windows[rows] += held
        self._misses[rows] = np.where(held & (shown != down), self._misses[rows] + 1, 0)
        begins = (shown != _NO_KEY) & (shown != down) & (self._hits[rows] == _HITS)
        for row in rows[held & (begins | (self._misses[rows] >= _MISSES))].tolist():
            told.append((row, self._release(row, now)))
        for row in rows[begins].tolist():
            self._down[row] = self._last[row]
            self._windows[row], self._misses[row] = _HITS, 0
            at = now - _HITS * _WINDOW_S
            told.append((row, KeyDown(key=_name(self._down[row]), at=at, duration_ms=int(_HITS * _WINDOW_S * 1000))))

    def _release(self, row: int, now: float) -> KeyPress:
        key = _name(self._down[row])
        lasted = (int(self._windows[row]) - int(self._misses[row])) * _WINDOW_S
        self._down[row] = _NO_KEY
        at = now - int(self._windows[row]) * _WINDOW_S
        return KeyPress(key=key, at=at, duration_ms=round(lasted * 1000))


def _name(key: np.int64) -> str:
    return PAD[int(key) // 4][int(key) % 4]


def _keys_shown(windows: Floats, waves: Floats) -> Ints:
    """Which key each window shows, by its place on the pad, -1 for none; shaped as `windows` without its last axis."""
    product = windows @ waves
    count = waves.shape[1] // 2
    # Mean squares: of the tones at these frequencies, and of everything.
    tones = (product[..., :count] ** 2 + product[..., count:] ** 2) * np.float32(2 / _WINDOW**2)
    everything = np.einsum("...i,...i->...", windows, windows) / _WINDOW
    ranked_low, ranked_high = np.sort(tones[..., :4], axis=-1), np.sort(tones[..., 4:], axis=-1)
    low, high = ranked_low[..., 3], ranked_high[..., 3]
    shows = (
        (np.minimum(low, high) >= _SOFTEST)
        & (low + high >= _PURE * everything)
        & (low >= _STANDS_OUT * ranked_low[..., 2])
        & (high >= _STANDS_OUT * ranked_high[..., 2])
        & (high <= low * _HIGH_LOUDER)
        & (low <= high * _LOW_LOUDER)
    )
    place = 4 * np.argmax(tones[..., :4], axis=-1) + np.argmax(tones[..., 4:], axis=-1)
    return np.where(shows, place, _NO_KEY)
