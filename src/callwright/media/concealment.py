"""What is heard where sound is missing, for many legs at once: the last pitch period again, fading, then soft noise.

A gap begins with the last period of what was heard, repeated; it fades over 60 ms into noise of the level the line had
when nobody spoke (the principle of ITU-T G.711, appendix I). When sound comes back the two are blended for 5 ms. A far
end that says how its silence sounds (RFC 3389) is believed, up to a limit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from callwright.media.codec import FRAME_SAMPLES, FRAMES_PER_SECOND
from callwright.media.g711 import Pcm
from callwright.media.rtp import Bools, Ints

Floats = npt.NDArray[np.float32]

FADE_SAMPLES = 480
"""A gap this long (60 ms) has faded into noise."""
_PAST_FRAMES = 3
_BLEND_SAMPLES = 40
_SHORTEST_PERIOD = 40
_LONGEST_PERIOD = 160
_ESTIMATES = 48
"""So many periods are looked for in a tick; when more legs lose a packet at once the others repeat their last 20 ms."""
_RISE = 10 ** (3.0 / FRAMES_PER_SECOND / 10)
_SOFTEST, _LOUDEST = 10.0**1.5, 10.0**4
"""Mean squares of the noise: about -69 and -44 dBm0, so that it is never mistaken for somebody speaking."""
_NOISE_SAMPLES = 8192
_FULL_SCALE = 32768.0**2


def _noise() -> Floats:
    # A fixed seed: this is a table of samples, not chance.
    return np.random.default_rng(3389).standard_normal(_NOISE_SAMPLES).astype(np.float32)


class Concealment:
    """The state of up to `capacity` rows. Frames of 20 ms have `frame_samples` samples, 160 or a multiple of that."""

    def __init__(self, capacity: int, frame_samples: int = FRAME_SAMPLES) -> None:
        self._frame = frame_samples
        self._times = frame_samples // FRAME_SAMPLES
        self._past_samples = _PAST_FRAMES * frame_samples
        self._fade_samples = FADE_SAMPLES * self._times
        self._blend_samples = _BLEND_SAMPLES * self._times
        self.missing = np.zeros(capacity, np.int64)
        """Samples in a row that were made up, until now."""
        self._past = np.zeros((capacity, _PAST_FRAMES, self._frame), np.int16)
        self._past_at = np.zeros(capacity, np.int64)
        self._period = np.full(capacity, self._frame, np.int64)
        self._floor = np.full(capacity, _SOFTEST, np.float32)
        self._blend = np.linspace(0.0, 1.0, self._blend_samples, dtype=np.float32)
        self._noise = _noise()
        self._noise_at = 0

    def start(self, row: int) -> None:
        """Begin anew on a row: before its first sound there is silence."""
        self._past[row] = 0
        self.missing[row] = self._fade_samples
        self._floor[row] = 0.0

    def be_silent(self, row: int, level: int) -> None:
        """The far end sends no sound until further notice; its silence has `level` -dBov (RFC 3389, section 3.1)."""
        self.missing[row] = max(int(self.missing[row]), self._fade_samples)
        self._floor[row] = min(_FULL_SCALE * 10 ** (-level / 10), _LOUDEST)

    def fill(self, rows: Ints, frames: Pcm, gaps: Bools) -> None:
        """Fill, in place, the samples of `frames` that `gaps` marks as missing; one frame per row, once a tick."""
        self._noise_at = (self._noise_at + 997) % (_NOISE_SAMPLES - self._frame)
        broken = gaps.any(axis=1)
        chosen = np.flatnonzero(broken | (self.missing[rows] > 0))
        if len(chosen):
            self._fill(rows[chosen], frames, gaps, chosen)
        self._learn(rows[~broken], frames[~broken])

    def _fill(self, rows: Ints, frames: Pcm, gaps: Bools, chosen: Ints) -> None:
        missing = self.missing[rows]
        fresh = rows[missing == 0]
        self._period[fresh] = self._frame
        self._find_periods(fresh[:_ESTIMATES])
        made = self._made(rows, missing)
        heard, gap = frames[chosen].astype(np.float32), gaps[chosen]
        returning = (missing > 0) & ~gap[:, 0]
        head = heard[returning, : self._blend_samples]
        heard[returning, : self._blend_samples] = head * self._blend + made[returning, : self._blend_samples] * (
            1 - self._blend
        )
        frames[chosen] = np.rint(np.where(gap, made, heard)).astype(np.int16)
        self.missing[rows] = np.where(gap[:, -1], missing + self._frame, 0)

    def _made(self, rows: Ints, missing: Ints) -> Floats:
        """The next 20 ms of a gap that has lasted for `missing` samples."""
        since = missing[:, None] + np.arange(self._frame)
        period = self._period[rows][:, None]
        at = self._past_samples - period + since % period
        frame = (self._past_at[rows][:, None] + at // self._frame) % _PAST_FRAMES
        again = self._past[rows[:, None], frame, at % self._frame].astype(np.float32)
        fading = np.maximum(1.0 - since.astype(np.float32) / self._fade_samples, 0.0)
        noise = self._noise[self._noise_at : self._noise_at + self._frame] * np.sqrt(self._floor[rows])[:, None]
        return np.asarray(again * fading + noise * (1.0 - fading), np.float32)

    def _find_periods(self, rows: Ints) -> None:
        """Choose the lag at which each row's last 20 ms resemble what came before them most."""
        if not len(rows):
            return
        order = (self._past_at[rows][:, None] + np.arange(_PAST_FRAMES)) % _PAST_FRAMES
        # 4,000 samples a second tell the period of a voice as well.
        past = (
            self._past[rows[:, None], order]
            .reshape(len(rows), self._past_samples)[:, :: 2 * self._times]
            .astype(np.float32)
        )
        length, last = FRAME_SAMPLES // 2, past.shape[1]
        windows = np.lib.stride_tricks.sliding_window_view(past, length, axis=1)
        lags = np.arange(_SHORTEST_PERIOD // 2, _LONGEST_PERIOD // 2 + 1)
        earlier = windows[:, last - length - lags]
        alike = np.einsum("rls,rs->rl", earlier, past[:, last - length :])
        energy = np.einsum("rls,rls->rl", earlier, earlier)
        likeness = np.maximum(alike, 0.0) / np.sqrt(energy + 1.0)
        self._period[rows] = 2 * self._times * lags[np.argmax(likeness, axis=1)]

    def _learn(self, rows: Ints, frames: Pcm) -> None:
        """Keep whole frames as the past, and follow the softest of them as the line's noise."""
        self._past[rows, self._past_at[rows]] = frames
        self._past_at[rows] = (self._past_at[rows] + 1) % _PAST_FRAMES
        thinned = frames[:, :: 4 * self._times].astype(np.float32)
        power = np.einsum("ij,ij->i", thinned, thinned) / thinned.shape[1]
        floor = np.minimum(power, np.maximum(self._floor[rows], _SOFTEST) * _RISE)
        self._floor[rows] = np.minimum(floor, _LOUDEST)
