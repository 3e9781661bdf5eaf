"""G.711: sixteen bit samples to A-law or mu-law octets and back, by table (ITU-T G.711, tables 1a to 2b)."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]
Octets = npt.NDArray[np.uint8]


class Law(IntEnum):
    """Which companding law; the value is the row in `DECODE` and `ENCODE`."""

    ULAW = 0
    ALAW = 1


def _decode_alaw() -> Pcm:
    octet = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (octet >> 4) & 7
    # Half a step is added so that the value lies in the middle of its interval.
    magnitude = ((octet & 15) << 4) + 8
    magnitude = np.where(segment > 0, (magnitude + 256) << np.maximum(segment - 1, 0), magnitude)
    return np.where(octet & 0x80, magnitude, -magnitude).astype(np.int16)


def _decode_ulaw() -> Pcm:
    octet = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((octet & 15) << 3) + 132) << ((octet >> 4) & 7)) - 132
    return np.where(octet & 0x80, -magnitude, magnitude).astype(np.int16)


def _segment(value: npt.NDArray[np.int32], lowest_bit: int) -> npt.NDArray[np.int32]:
    """How far the highest set bit of each value lies above `lowest_bit`, 0 when below it."""
    top = np.frexp(value.astype(np.float64))[1].astype(np.int32) - 1
    return np.maximum(top - lowest_bit, 0).astype(np.int32)


def _encode_alaw() -> Octets:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    # Thirteen bits count; negative values are mirrored by complement, so that 0 and -1 are neighbours.
    magnitude = np.where(sample < 0, ~sample, sample) >> 4
    segment = np.where(magnitude > 15, _segment(magnitude, 4) + 1, 0)
    step = (magnitude >> np.maximum(segment - 1, 0)) & 15
    octet = (segment << 4) | step | np.where(sample >= 0, 0x80, 0)
    return np.asarray(octet ^ 0x55, np.uint8)


def _encode_ulaw() -> Octets:
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum((np.where(sample < 0, ~sample, sample) >> 2) + 33, 0x1FFF)
    segment = _segment(magnitude, 5)
    step = (magnitude >> (segment + 1)) & 15
    octet = (segment << 4) | step | np.where(sample < 0, 0x80, 0)
    return np.asarray(~octet & 0xFF, np.uint8)


DECODE: Pcm = np.stack([_decode_ulaw(), _decode_alaw()])
"""(law, octet) → sample."""

ENCODE: Octets = np.stack([_encode_ulaw(), _encode_alaw()])
"""(law, sample as unsigned 16 bit) → octet."""

SILENCE: tuple[int, int] = (int(ENCODE[Law.ULAW, 0]), int(ENCODE[Law.ALAW, 0]))
"""The octet that stands for silence, by law."""


def encode(pcm: Pcm, law: int) -> Octets:
    """Samples of any shape to octets of the same shape."""
    return np.asarray(ENCODE[law][np.ascontiguousarray(pcm, dtype=np.int16).view(np.uint16)], np.uint8)


def decode(octets: Octets, law: int) -> Pcm:
    """Octets of any shape to samples of the same shape."""
    return np.asarray(DECODE[law][octets], np.int16)


def decode_rows(octets: Octets, laws: Octets) -> Pcm:
    """Rows of octets to rows of samples, each by its own law; much faster when all laws are the same."""
    if len(laws) and (laws == laws[0]).all():
        return np.asarray(DECODE[int(laws[0])].take(octets), np.int16)
    return np.asarray(DECODE[laws[:, None], octets], np.int16)
