"""Recordings as rows of arrays: when each one begins, what it keeps, and when it is over.

A recording begins at the first sound, with 300 ms of what came before it; until then frames only pass through. It
ends at its longest duration, or after enough silence: the initial silence before the first sound, the silence limit
after it. Frames leave in blocks of about half a second, for a writer that takes its time.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from callwright.media.codec import FRAME_SAMPLES, FRAMES_PER_SECOND
from callwright.media.g711 import Pcm
from callwright.media.helper import HELPER, address
from callwright.media.rtp import Ints
from callwright.media.silence import SoundDetector

BLOCK_FRAMES = FRAMES_PER_SECOND // 2
BEFORE_FRAMES = 15
MUTED_BACK_FRAMES = 5
MUTED_ON_FRAMES = 12
_TAPE_FRAMES = BLOCK_FRAMES + MUTED_BACK_FRAMES
_KEPT = np.arange(MUTED_BACK_FRAMES)
_SPREAD = 7
_LONGEST_S = 1e9
_NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Block:
    """Samples of one row for its file, shaped (n,) or (n, 2)."""

    row: int
    samples: Pcm


@dataclass(frozen=True, slots=True)
class Over:
    """A row's recording reached a limit: `how` is max_duration or silence."""

    row: int
    how: str


def frames_of(seconds: float) -> int:
    """Whole frames in a limit; 0 seconds or less, and more than years, is no limit."""
    return max(round(seconds * FRAMES_PER_SECOND), 1) if 0 < seconds < _LONGEST_S else int(_NO_LIMIT)


class Recordings:
    """At most one recording per row, of up to `capacity` rows."""

    def __init__(self, capacity: int) -> None:
        self._detector = SoundDetector(capacity)
        self._block = np.zeros((capacity, BLOCK_FRAMES, FRAME_SAMPLES), np.int16)
        self._fill = np.zeros(capacity, np.int64)
        self._begun = np.zeros(capacity, np.bool_)
        self._kept = np.zeros(capacity, np.int64)
        self._longest = np.zeros(capacity, np.int64)
        self._silence = np.zeros(capacity, np.int64)
        self._initial = np.zeros(capacity, np.int64)
        self._active = np.zeros(capacity, np.bool_)
        self.rows: Ints = np.zeros(0, np.int64)

    def start(self, row: int, *, max_duration_s: float, max_silence_s: float, max_initial_silence_s: float) -> None:
        """Begin waiting for sound on a row. Without an initial limit the silence limit counts from the start."""
        self._detector.reset(row)
        self._fill[row] = self._kept[row] = 0
        self._begun[row] = False
        self._longest[row] = frames_of(max_duration_s)
        self._silence[row] = frames_of(max_silence_s)
        self._initial[row] = frames_of(max_initial_silence_s if max_initial_silence_s > 0 else max_silence_s)
        self._set_active(row, True)

    def stop(self, row: int) -> Pcm:
        """End a row's recording; return the samples that no block has carried yet."""
        self._set_active(row, False)
        frames = int(self._fill[row]) if self._begun[row] else 0
        return self._block[row, :frames].reshape(-1).copy()

    def contains_sound(self, row: int) -> bool:
        """Whether sound was heard in the row's present or last recording."""
        return bool(self._begun[row])

    def add(self, rows: Ints, frames: Pcm) -> tuple[list[Block], list[Over]]:
        """Take one frame for each of `rows` (those of `self.rows`); return full blocks and recordings that are over."""
        sound = self._detector.update(rows, frames)
        beginning = rows[sound & ~self._begun[rows]]
        self._block[rows, self._fill[rows]] = frames
        self._fill[rows] += 1
        for row in beginning.tolist():
            self._keep_last(row, min(BEFORE_FRAMES, int(self._longest[row])))
            self._begun[row] = True
            self._kept[row] = self._fill[row] - 1
        begun = self._begun[rows]
        self._kept[rows] += begun
        blocks = []
        for row in rows[self._fill[rows] == BLOCK_FRAMES].tolist():
            if self._begun[row]:
                blocks.append(Block(row, self._block[row].reshape(-1).copy()))
                self._fill[row] = 0
            else:
                self._keep_last(row, BEFORE_FRAMES)
        full = begun & (self._kept[rows] >= self._longest[rows])
        quiet = self._detector.quiet[rows] >= np.where(begun, self._silence[rows], self._initial[rows])
        over = [Over(row, "max_duration") for row in rows[full].tolist()]
        over += [Over(row, "silence") for row in rows[quiet & ~full].tolist()]
        return blocks, over

    def _keep_last(self, row: int, frames: int) -> None:
        fill = int(self._fill[row])
        if fill > frames:
            self._block[row, :frames] = self._block[row, fill - frames : fill].copy()
            self._fill[row] = frames

    def _set_active(self, row: int, active: bool) -> None:
        self._active[row] = active
        self.rows = np.flatnonzero(self._active)


class Tapes:
    """Whole-leg recordings: the far end in the left audio channel and what we sent in the right one.

    A row may be muted, also some frames back: a key is known as one only after it was heard for a moment.
    """

    def __init__(self, capacity: int, helper: ctypes.CDLL | None = HELPER) -> None:
        self._block = np.zeros((capacity, _TAPE_FRAMES, FRAME_SAMPLES, 2), np.int16)
        self._fill = np.zeros(capacity, np.int64)
        self._limit = np.zeros(capacity, np.int64)
        self._muted = np.zeros(capacity, np.bool_)
        self._muted_still = np.zeros(capacity, np.int64)
        self._active = np.zeros(capacity, np.bool_)
        self._full = np.zeros(capacity, np.int64)
        self.rows: Ints = np.zeros(0, np.int64)
        self._helper = helper
        arrays = (self._block, self._fill, self._limit, self._muted, self._muted_still)
        # `struct tapes` of callwright/media/c/recording.c.
        self._structure = (ctypes.c_int64 * 6)(*(address(array) for array in arrays), _TAPE_FRAMES)

    def start(self, row: int) -> None:
        """Begin a row's recording."""
        self._fill[row] = self._muted_still[row] = 0
        self._muted[row] = False
        # First blocks differ in length, so that tapes begun together do not all go to the disk in one tick.
        self._limit[row] = MUTED_BACK_FRAMES + 1 + _SPREAD * row % BLOCK_FRAMES
        self._active[row] = True
        self.rows = np.flatnonzero(self._active)

    def stop(self, row: int) -> Pcm:
        """End a row's recording; return the samples that no block has carried yet, shaped (n, 2)."""
        self._active[row] = False
        self.rows = np.flatnonzero(self._active)
        return self._samples(row, int(self._fill[row]))

    def mute(self, row: int) -> None:
        """Leave out a row's sound from a moment ago until `unmute`."""
        self._muted[row] = True
        self._block[row, max(int(self._fill[row]) - MUTED_BACK_FRAMES, 0) : int(self._fill[row])] = 0

    def unmute(self, row: int) -> None:
        """Take up a row's sound again, once what is still in the jitter buffer has passed."""
        self._muted[row] = False
        self._muted_still[row] = MUTED_ON_FRAMES

    def add(self, rows: Ints, received: Pcm, sent: Pcm) -> list[Block]:
        """Take one frame of each direction for each of `rows`; return blocks that are complete."""
        full = self._add(rows, received, sent) if self._helper is None else self._add_by_helper(rows, received, sent)
        lengths = self._limit[full] - MUTED_BACK_FRAMES
        blocks = [
            Block(row, self._samples(row, length)) for row, length in zip(full.tolist(), lengths.tolist(), strict=True)
        ]
        if blocks:
            # The last frames may still be muted: they begin the next block.
            self._block[full[:, None], _KEPT] = self._block[full[:, None], lengths[:, None] + _KEPT]
            self._fill[full] = MUTED_BACK_FRAMES
            self._limit[full] = BLOCK_FRAMES + MUTED_BACK_FRAMES
        return blocks

    def _add(self, rows: Ints, received: Pcm, sent: Pcm) -> Ints:
        fill = self._fill[rows]
        self._block[rows, fill] = np.stack([received, sent], axis=2)
        still = self._muted_still[rows]
        muted = self._muted[rows] | (still > 0)
        if muted.any():
            self._block[rows[muted], fill[muted]] = 0
            self._muted_still[rows] = np.maximum(still - 1, 0)
        self._fill[rows] = fill + 1
        return rows[fill + 1 >= self._limit[rows]]

    def _add_by_helper(self, rows: Ints, received: Pcm, sent: Pcm) -> Ints:
        assert self._helper is not None
        assert received.shape == sent.shape == (len(rows), FRAME_SAMPLES)
        arrays = [np.ascontiguousarray(array) for array in (rows, received, sent)]
        at = [ctypes.c_void_p(address(array)) for array in (*arrays, self._full)]
        return self._full[: self._helper.callwright_tape(self._structure, len(rows), *at)].copy()

    def _samples(self, row: int, frames: int) -> Pcm:
        return self._block[row, :frames].reshape(-1, 2).copy()
