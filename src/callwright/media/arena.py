"""Encoded sound for all legs in one matrix, so that a tick fetches every leg's next frame with one look-up.

Rows have 160 octets: a frame of 20 ms, or, of L16, half of one. The first rows are silence, by coding. A sound is a run
of rows; runs are handed out first-fit and given back. The matrix has its full size from the start but only the pages in
use take memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from callwright.media import g711, g722
from callwright.media.codec import FRAME_OCTETS, PLAIN_CODINGS, Coding, samples_in_frame
from callwright.media.g711 import Octets, Pcm

ROW_OCTETS = 160
ROWS_OF_FRAME = tuple(octets // ROW_OCTETS for octets in FRAME_OCTETS)
RESERVED_ROWS = sum(ROWS_OF_FRAME)


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive rows of the arena: as many frames, of `rows` rows each."""

    start: int
    frames: int
    rows: int = 1


def to_frames(pcm: Pcm, coding: Coding) -> Octets:
    """Encode samples (16,000 a second for G.722, else 8,000) as whole frames, the last one filled up with silence;
    shaped (frames, octets of a frame).
    """
    size = samples_in_frame(coding)
    frames = -(-len(pcm) // size)
    whole = np.zeros(frames * size, np.int16)
    whole[: len(pcm)] = pcm
    if coding < PLAIN_CODINGS:
        octets = g711.encode(whole, coding)
    elif coding is Coding.G722:
        octets = g722.encode(whole, behind_silence=True)
    else:
        octets = whole.astype(">i2").view(np.uint8)
    return octets.reshape(frames, FRAME_OCTETS[coding])


def silence_row(coding: int) -> int:
    """Where the silence of a coding lies in the arena."""
    return sum(ROWS_OF_FRAME[:coding])


class Arena:
    """The matrix of frames and which of its rows are free."""

    def __init__(self, rows: int) -> None:
        self.frames: Octets = np.zeros((rows + RESERVED_ROWS, ROW_OCTETS), np.uint8)
        for coding in Coding:
            if coding is not Coding.G722 or g722.SPOKEN:
                silence = to_frames(np.zeros(samples_in_frame(coding), np.int16), coding).reshape(-1, ROW_OCTETS)
                if coding is Coding.G722:
                    silence = g722.silence().reshape(1, -1)
                self.frames[silence_row(coding) : silence_row(coding) + len(silence)] = silence
        self._free = [Run(RESERVED_ROWS, rows)]

    @property
    def free_rows(self) -> int:
        return sum(run.frames for run in self._free)

    def store(self, frames: Octets) -> Run | None:
        """Keep encoded frames; None when no gap is long enough."""
        lines = frames.reshape(-1, ROW_OCTETS)
        wanted = len(lines)
        for index, gap in enumerate(self._free):
            if gap.frames >= wanted:
                rest = Run(gap.start + wanted, gap.frames - wanted)
                self._free[index : index + 1] = [rest] if rest.frames else []
                self.frames[gap.start : gap.start + wanted] = lines
                return Run(gap.start, len(frames), wanted // len(frames)) if wanted else Run(gap.start, 0)
        return None

    def release(self, run: Run) -> None:
        """Give a run back; it joins the gaps beside it."""
        if not run.frames:
            return
        gaps = sorted([*self._free, Run(run.start, run.frames * run.rows)], key=lambda gap: gap.start)
        joined = [gaps[0]]
        for gap in gaps[1:]:
            last = joined[-1]
            if last.start + last.frames == gap.start:
                joined[-1] = Run(last.start, last.frames + gap.frames)
            else:
                joined.append(gap)
        self._free = joined
