"""RTP packets (RFC 3550, section 5.1): one at a time, and as rows of a matrix.

The vectorised functions work on `uint8` matrices whose rows are packets. Rows with the plain twelve byte header are
handled here in whole; the few with contributing sources, extensions or padding are named so that the caller can take
them one by one through `parse`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HEADER_BYTES = 12
VERSION_BITS = 0x80

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One RTP packet; `payload` is without padding."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False


def build(packet: Packet) -> bytes:
    """Render a packet with the plain header."""
    return (
        bytes((VERSION_BITS, (0x80 if packet.marker else 0) | packet.payload_type))
        + packet.sequence.to_bytes(2, "big")
        + packet.timestamp.to_bytes(4, "big")
        + packet.ssrc.to_bytes(4, "big")
        + packet.payload
    )


def parse(datagram: bytes) -> Packet | None:
    """Parse one datagram; None when it is not RTP version 2 or its own lengths do not fit."""
    if len(datagram) < HEADER_BYTES or datagram[0] >> 6 != 2:
        return None
    start = HEADER_BYTES + 4 * (datagram[0] & 0x0F)
    if datagram[0] & 0x10:
        if len(datagram) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    end = len(datagram)
    if datagram[0] & 0x20:
        padding = datagram[-1]
        if padding == 0:
            return None
        end -= padding
    if start > end:
        return None
    return Packet(
        payload_type=datagram[1] & 0x7F,
        marker=bool(datagram[1] & 0x80),
        sequence=int.from_bytes(datagram[2:4], "big"),
        timestamp=int.from_bytes(datagram[4:8], "big"),
        ssrc=int.from_bytes(datagram[8:12], "big"),
        payload=datagram[start:end],
    )


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of many packets, one element per row. `plain` rows carry their payload from byte 12 to their end;
    rows that are `rtp` but not plain need `parse`; the others are not RTP at all.
    """

    rtp: Bools
    plain: Bools
    payload_type: U8
    sequence: U16
    timestamp: U32
    ssrc: U32


def parse_rows(rows: U8, lengths: Ints) -> Headers:
    """Read the headers of packets given as matrix rows with their lengths in bytes."""
    head = np.ascontiguousarray(rows[:, :HEADER_BYTES])
    first = head[:, 0]
    rtp = (first >> 6 == 2) & (lengths >= HEADER_BYTES)
    return Headers(
        rtp=rtp,
        plain=rtp & (first & 0x3F == 0),
        payload_type=(head[:, 1] & 0x7F).astype(np.uint8),
        sequence=head[:, 2:4].copy().view(">u2").ravel().astype(np.uint16),
        timestamp=head[:, 4:8].copy().view(">u4").ravel().astype(np.uint32),
        ssrc=head[:, 8:12].copy().view(">u4").ravel().astype(np.uint32),
    )


def stamp_rows(rows: U8, payload_type: U8, sequence: U16, timestamp: U32, marker: Bools) -> None:
    """Write the changing part of plain headers into matrix rows; version and SSRC are written once, by `stamp_ssrc`."""
    rows[:, 1] = payload_type | (marker.astype(np.uint8) << 7)
    rows[:, 2:4] = sequence.astype(">u2").view(np.uint8).reshape(-1, 2)
    rows[:, 4:8] = timestamp.astype(">u4").view(np.uint8).reshape(-1, 4)


def stamp_ssrc(row: U8, ssrc: int) -> None:
    """Write the part of one row's header that stays the same for the whole leg."""
    row[0] = VERSION_BITS
    row[8:12] = np.frombuffer(ssrc.to_bytes(4, "big"), np.uint8)


def signed_difference(later: int, earlier: int, bits: int) -> int:
    """`later - earlier` on a wheel of 2**bits, between minus and plus half the wheel (RFC 1982)."""
    half = 1 << (bits - 1)
    return ((later - earlier + half) & ((1 << bits) - 1)) - half
