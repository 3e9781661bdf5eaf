"""G.722: wideband sound of 16,000 samples a second in the 64 kbit/s of G.711 (ITU-T G.722; RFC 3551, section 4.5.2).

The work is done by the C helper (`callwright/media/c/g722.c`): each code depends on the one before it, which leaves
NumPy nothing to do at once. Without the helper G.722 is not spoken.
"""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from callwright.media.g711 import Octets, Pcm
from callwright.media.helper import HELPER, address
from callwright.media.rtp import Ints

SPOKEN = HELPER is not None
_FRAME_SAMPLES = 320
_SILENCE = 0xFC
"""What an encoder makes of zeros wanders about them by some steps; this code, repeated, is heard as zeros."""
_SETTLING_FRAMES = 25
_FILTER_TAPS = 24
"""The end of a state: the last samples in the filter that splits, or joins, the bands."""


class Bank:
    """Encoders, or decoders, of up to `capacity` rows."""

    def __init__(self, capacity: int) -> None:
        if HELPER is None:
            raise RuntimeError("G.722 needs the C helper")
        self._library = HELPER
        self._library.callwright_g722_encode.restype = None
        self._library.callwright_g722_decode.restype = None
        self._states: npt.NDArray[np.int32] = np.zeros((capacity, HELPER.callwright_g722_state_ints()), np.int32)

    def begin(self, row: int) -> None:
        """Start a row anew, as the far end's codec does with a new stream."""
        self._library.callwright_g722_begin(ctypes.c_void_p(address(self._states[row])))

    def begin_behind_silence(self, row: int) -> None:
        """Start a row anew as one whose far end has heard `silence` for a while."""
        self.begin(row)
        frame = silence().reshape(1, -1)
        for _ in range(_SETTLING_FRAMES):
            self.decode(np.array([row]), frame)
        # An encoder's predictors follow the codes as a decoder's do; what its filters remember is sound, and that is 0.
        self._states[row, -_FILTER_TAPS:] = 0

    def encode(self, rows: Ints, sound: Pcm) -> Octets:
        """Encode samples shaped (rows, 2 n) as octets shaped (rows, n)."""
        out = np.empty((len(rows), sound.shape[1] // 2), np.uint8)
        self._run(self._library.callwright_g722_encode, rows, np.ascontiguousarray(sound), out.shape[1], out)
        return out

    def decode(self, rows: Ints, octets: Octets) -> Pcm:
        """Decode octets shaped (rows, n) to samples shaped (rows, 2 n)."""
        out = np.empty((len(rows), 2 * octets.shape[1]), np.int16)
        self._run(self._library.callwright_g722_decode, rows, np.ascontiguousarray(octets), octets.shape[1], out)
        return out

    def _run(
        self,
        work: ctypes._NamedFuncPointer,
        rows: Ints,
        given: npt.NDArray[np.generic],
        octets: int,
        out: npt.NDArray[np.generic],
    ) -> None:
        rows = np.ascontiguousarray(rows, np.int64)
        pointers = [ctypes.c_void_p(address(array)) for array in (rows, self._states, given)]
        work(len(rows), *pointers, octets, ctypes.c_void_p(address(out)))


def silence() -> Octets:
    """The octets of 20 ms of silence, to be sent again and again: what every decoder settles at nothing with."""
    return np.full(_FRAME_SAMPLES // 2, _SILENCE, np.uint8)


def encode(sound: Pcm, *, behind_silence: bool = False) -> Octets:
    """Encode a whole sound of 16,000 samples a second; an odd last sample is left out. The far end hears it right from
    its beginning when its decoder is new, or, `behind_silence`, when it has heard `silence` before.
    """
    bank = Bank(1)
    if behind_silence:
        bank.begin_behind_silence(0)
    else:
        bank.begin(0)
    return bank.encode(np.zeros(1, np.int64), sound[: len(sound) // 2 * 2].reshape(1, -1)).reshape(-1)


def decode(octets: Octets) -> Pcm:
    """Decode a whole sound to 16,000 samples a second."""
    bank = Bank(1)
    bank.begin(0)
    return bank.decode(np.zeros(1, np.int64), octets.reshape(1, -1)).reshape(-1)
