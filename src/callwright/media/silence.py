"""Is there sound on the line? Decided for many legs at once from the energy of 20 ms frames.

Each row keeps a noise floor that drops at once to any quieter frame and creeps up 3 dB per second, within bounds, so
that a noisy line is silence and quiet speech on a clean one is not. A frame is loud when it stands 10 dB above the
floor; three loud frames in a row are sound, so that a click is not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from callwright.media.codec import FRAME_SAMPLES, FRAMES_PER_SECOND
from callwright.media.g711 import Pcm
from callwright.media.rtp import Bools, Ints
from callwright.media.tones import amplitude


def power(level_dbm0: float) -> float:
    """Mean square of samples at this level."""
    return amplitude(level_dbm0) ** 2 / 2


LOWEST_FLOOR = power(-65.0)
HIGHEST_FLOOR = power(-38.0)
FIRST_FLOOR = power(-52.0)
_RISE = 10 ** (3.0 / FRAMES_PER_SECOND / 10)
_ABOVE_FLOOR = 10.0
LOUD_FRAMES = 3


def frame_power(frames: Pcm) -> npt.NDArray[np.float32]:
    """Mean square of every frame, without its constant part."""
    samples = frames.astype(np.float32)
    mean = samples.mean(axis=1)
    return np.asarray(np.einsum("ij,ij->i", samples, samples) / FRAME_SAMPLES - mean * mean, np.float32)


class SoundDetector:
    """Tells which of `capacity` rows carry sound."""

    def __init__(self, capacity: int) -> None:
        self._floor = np.full(capacity, FIRST_FLOOR, np.float32)
        self._loud = np.zeros(capacity, np.int64)
        self.quiet = np.zeros(capacity, np.int64)
        """Frames since the last sound, or since the row was reset."""

    def reset(self, row: int) -> None:
        """Start anew on a row."""
        self._floor[row] = FIRST_FLOOR
        self._loud[row] = self.quiet[row] = 0

    def update(self, rows: Ints, frames: Pcm) -> Bools:
        """Take one frame per row; return which rows carry sound now."""
        level = frame_power(frames)
        floor = self._floor[rows]
        loud = level > floor * _ABOVE_FLOOR
        self._floor[rows] = np.clip(np.minimum(level, floor * _RISE), LOWEST_FLOOR, HIGHEST_FLOOR)
        self._loud[rows] = np.where(loud, self._loud[rows] + 1, 0)
        sound = self._loud[rows] >= LOUD_FRAMES
        self.quiet[rows] = np.where(sound, 0, self.quiet[rows] + 1)
        return np.asarray(sound, np.bool_)
