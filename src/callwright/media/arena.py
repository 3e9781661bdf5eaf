"""Encoded sound for all legs in one matrix, so that a tick fetches every leg's next frame with one look-up.

Rows are frames of 160 octets. The first two rows are silence, one per law. A sound is a run of rows; runs are handed
out first-fit and given back. The matrix has its full size from the start but only the pages in use take memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from callwright.media import g711
from callwright.media.codec import FRAME_SAMPLES
from callwright.media.g711 import Law, Octets, Pcm

RESERVED_ROWS = 2


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive rows of the arena."""

    start: int
    frames: int


def to_frames(pcm: Pcm, law: Law) -> Octets:
    """Encode samples as whole frames, the last one filled up with silence; shaped (frames, 160)."""
    frames = -(-len(pcm) // FRAME_SAMPLES)
    octets = np.full(frames * FRAME_SAMPLES, g711.SILENCE[law], np.uint8)
    octets[: len(pcm)] = g711.encode(pcm, law)
    return octets.reshape(frames, FRAME_SAMPLES)


class Arena:
    """The matrix of frames and which of its rows are free."""

    def __init__(self, rows: int) -> None:
        self.frames: Octets = np.zeros((rows + RESERVED_ROWS, FRAME_SAMPLES), np.uint8)
        for law in Law:
            self.frames[law] = g711.SILENCE[law]
        self._free = [Run(RESERVED_ROWS, rows)]

    @property
    def free_rows(self) -> int:
        return sum(run.frames for run in self._free)

    def store(self, frames: Octets) -> Run | None:
        """Keep encoded frames; None when no gap is long enough."""
        wanted = len(frames)
        for index, gap in enumerate(self._free):
            if gap.frames >= wanted:
                rest = Run(gap.start + wanted, gap.frames - wanted)
                self._free[index : index + 1] = [rest] if rest.frames else []
                self.frames[gap.start : gap.start + wanted] = frames
                return Run(gap.start, wanted)
        return None

    def release(self, run: Run) -> None:
        """Give a run back; it joins the gaps beside it."""
        if not run.frames:
            return
        gaps = sorted([*self._free, run], key=lambda gap: gap.start)
        joined = [gaps[0]]
        for gap in gaps[1:]:
            last = joined[-1]
            if last.start + last.frames == gap.start:
                joined[-1] = Run(last.start, last.frames + gap.frames)
            else:
                joined.append(gap)
        self._free = joined
