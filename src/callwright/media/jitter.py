"""Received sound of many legs in order: each sample at the place its timestamp gives it, read a little behind.

How far behind follows the line, for each leg by itself:

- it starts at 60 ms;
- a packet that comes too late although nothing newer was heard is heard all the same: the reading point steps back,
  and everything after it is later by as much. One that comes after newer sound is lost, and the next gap steps back
  by one frame;
- when for two seconds every packet was early by 40 ms or more, two frames are blended into one.

The same two steps follow a far end whose clock is slower or faster than ours. A stream that leaps further than the
ring is long, or falls behind by more than 240 ms, is begun anew.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from callwright.media.codec import FRAME_MS, FRAME_SAMPLES
from callwright.media.concealment import Concealment
from callwright.media.g711 import Pcm
from callwright.media.rtp import Bools, Ints

RING_FRAMES = 32
DELAY_FRAMES = 3
MAX_DELAY_FRAMES = 12
WINDOW_FRAMES = 100
LOUDEST = 32767
"""Samples are kept between minus and plus this: one value is needed to say that there is none."""
_NONE = np.int16(-32768)
_LATE_IN_A_ROW = 3


class JitterBuffer:
    """The rings of up to `capacity` rows. A row is read once a tick from `start` on. A frame of 20 ms has
    `frame_samples` samples, and timestamps count samples.
    """

    def __init__(self, capacity: int, frame_samples: int = FRAME_SAMPLES) -> None:
        self._frame = frame_samples
        self._ring_samples = RING_FRAMES * frame_samples
        self._delay_samples = DELAY_FRAMES * frame_samples
        self._max_delay_samples = MAX_DELAY_FRAMES * frame_samples
        self._early_samples = 2 * frame_samples
        self._leaving = np.linspace(1.0, 0.0, frame_samples, dtype=np.float32)
        self._concealment = Concealment(capacity, frame_samples)
        self._synced = np.zeros(capacity, np.bool_)
        self._ring = np.zeros((capacity, RING_FRAMES, self._frame), np.int16)
        self._flat = self._ring.reshape(capacity, -1)
        self._cells = self._ring.reshape(-1, self._frame)
        self._read_frame = np.zeros(capacity, np.int64)
        self._read_timestamp = np.zeros(capacity, np.int64)
        self._late = np.zeros(capacity, np.int64)
        self._least_lead = np.full(capacity, self._ring_samples, np.int64)
        self._most_lead = np.zeros(capacity, np.int64)
        self._longer = np.zeros(capacity, np.bool_)
        self._shorter = np.zeros(capacity, np.bool_)
        self._ticks = 0

    def usual_arrays(self) -> tuple[npt.NDArray[np.generic], ...]:
        """What the C helper works on, in the order of its `struct reception`."""
        return (
            self._synced,
            self._ring,
            self._read_frame,
            self._read_timestamp,
            self._late,
            self._least_lead,
            self._most_lead,
        )

    def start(self, row: int) -> None:
        """Begin collecting a row's sound."""
        self._synced[row] = False
        self._ring[row] = _NONE
        self._concealment.start(row)

    def lose_track(self, rows: Ints) -> None:
        """The stream of these rows is another one now: the next packet sets the time."""
        self._synced[rows] = False

    def be_silent(self, row: int, level: int) -> None:
        """The far end pauses; its silence has `level` -dBov."""
        self._concealment.be_silent(row, level)

    def delay_ms(self, row: int) -> float:
        """How long the most early packet of late has waited, in milliseconds."""
        return float(self._most_lead[row]) * FRAME_MS / self._frame

    def place(self, rows: Ints, timestamps: Ints, sound: Pcm) -> None:
        """Put packets of one length in their places, at most one per row."""
        length = sound.shape[1]
        lead = (timestamps - self._read_timestamp[rows] + 2**31) % 2**32 - 2**31
        synced = self._synced[rows]
        late = synced & (lead < 0)
        leap = ~synced | (lead + length > self._ring_samples)
        if late.any():
            self._step_back(rows[late], lead, late, leap)
        self._late[rows] = np.where(lead < 0, self._late[rows] + 1, 0)
        leap |= self._late[rows] >= _LATE_IN_A_ROW
        if leap.any():
            self._begin(rows[leap], timestamps[leap])
            lead = np.where(leap, self._delay_samples, lead)
        self._least_lead[rows] = np.minimum(self._least_lead[rows], np.maximum(lead, 0))
        self._most_lead[rows] = np.maximum(self._most_lead[rows], lead)
        fits = lead >= 0
        if length == self._frame:
            aligned = fits & (lead % self._frame == 0)
            r = rows[aligned]
            self._ring[r, (self._read_frame[r] + lead[aligned] // self._frame) % RING_FRAMES] = sound[aligned]
            fits &= ~aligned
        if fits.any():
            r = rows[fits]
            start = self._read_frame[r] * self._frame + lead[fits]
            self._flat[r[:, None], (start[:, None] + np.arange(length)) % self._ring_samples] = sound[fits]

    def frames(self, rows: Ints) -> Pcm:
        """Read the next 20 ms of each row; one frame per row."""
        at = self._read_frame[rows]
        cells = rows * RING_FRAMES + at
        frames = self._cells.take(cells, axis=0)
        gaps = frames == _NONE
        step = np.ones(len(rows), np.int64)
        waiting = self._longer[rows]
        if waiting.any():
            # The gap is there anyway: what was to fill it may still come.
            step[waiting & gaps.all(axis=1)] = 0
            self._longer[rows[step == 0]] = False
        if self._shorter[rows].any():
            step[self._blend_two(rows, frames, gaps)] = 2
        self._cells[cells] = _NONE
        self._read_frame[rows] = (at + step) % RING_FRAMES
        self._read_timestamp[rows] += step * self._frame
        self._concealment.fill(rows, frames, gaps)
        self._ticks += 1
        if self._ticks % WINDOW_FRAMES == 0:
            self._look_back(rows)
        return frames

    def _step_back(self, rows: Ints, lead: Ints, late: Bools, leap: Bools) -> None:
        """Let late packets be heard where nothing newer was; change their `lead`, or mark them as a `leap`."""
        behind = -lead[late]
        nothing_newer = self._concealment.missing[rows] >= behind
        room = self._most_lead[rows] + behind <= self._max_delay_samples
        frames = np.where(nothing_newer & room, -(-behind // self._frame), 0)
        self._read_frame[rows] = (self._read_frame[rows] - frames) % RING_FRAMES
        self._read_timestamp[rows] -= frames * self._frame
        self._least_lead[rows] += frames * self._frame
        self._most_lead[rows] += frames * self._frame
        self._longer[rows] |= room & ~nothing_newer
        lead[late] += frames * self._frame
        leap[late] = nothing_newer & (behind > self._max_delay_samples)

    def _begin(self, rows: Ints, timestamps: Ints) -> None:
        self._ring[rows] = _NONE
        self._read_frame[rows] = 0
        self._read_timestamp[rows] = timestamps - self._delay_samples
        self._synced[rows] = True
        self._late[rows] = 0
        self._least_lead[rows] = self._ring_samples
        self._most_lead[rows] = 0
        self._longer[rows] = self._shorter[rows] = False

    def _blend_two(self, rows: Ints, frames: Pcm, gaps: Bools) -> Ints:
        """Blend the first two frames of rows that should be read closer, in place; return which ones were."""
        following = (self._read_frame[rows] + 1) % RING_FRAMES
        chosen = np.flatnonzero(self._shorter[rows] & ~gaps.any(axis=1))
        second = self._ring[rows[chosen], following[chosen]]
        whole = ~(second == _NONE).any(axis=1)
        chosen, second = np.asarray(chosen[whole], np.int64), second[whole]
        frames[chosen] = np.rint(frames[chosen] * self._leaving + second * (1.0 - self._leaving)).astype(np.int16)
        self._ring[rows[chosen], following[chosen]] = _NONE
        self._shorter[rows[chosen]] = False
        return chosen

    def _look_back(self, rows: Ints) -> None:
        """Decide from the last two seconds which rows can be read closer."""
        least = self._least_lead[rows]
        self._shorter[rows] = self._synced[rows] & (least >= self._early_samples) & (least < self._ring_samples)
        self._longer[rows] = False
        self._least_lead[rows] = self._ring_samples
        self._most_lead[rows] = 0
