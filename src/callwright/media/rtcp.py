"""RTCP (RFC 3550, section 6): sender and receiver reports with one block, the canonical name, and BYE.

`build_report` and `build_bye` make whole compound packets. `parse` reads compounds and skips the kinds it does not
know. Wall clock times are epoch seconds; on the wire they are NTP's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = 200, 201, 202, 203
_NTP_EPOCH = 2_208_988_800
_MAX_REASON_BYTES = 255
_SENDER = struct.Struct(">QIII")


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderInfo:
    """What a sender says of itself: the instant on the wall clock and on its timestamps, packets and octets sent."""

    at: float
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """What a receiver says of one source. `last_sender_report` is the middle of its last NTP time, 0 for none, and
    `delay_s` how long ago that arrived.
    """

    ssrc: int
    fraction_lost: float
    lost: int
    highest: int
    jitter: int
    last_sender_report: int
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One sender (with `sender`) or receiver report."""

    ssrc: int
    sender: SenderInfo | None
    blocks: tuple[ReportBlock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """The sources that leave."""

    ssrcs: tuple[int, ...]


def ntp_middle(at: float) -> int:
    """The middle 32 bits of the NTP time: 16 bits of seconds and 16 of their fraction."""
    return int(at * 65536 + _NTP_EPOCH * 65536) & 0xFFFFFFFF


def round_trip_s(block: ReportBlock, now: float) -> float | None:
    """Time to the far end and back, from a block about our own reports (section 6.4.1); None when it had none yet, or
    when the figures cannot be true.
    """
    if not block.last_sender_report:
        return None
    passed = ((ntp_middle(now) - block.last_sender_report) & 0xFFFFFFFF) / 65536
    trip = passed - block.delay_s
    return trip if -0.01 <= trip < 60 else None


def build_report(ssrc: int, cname: str, sender: SenderInfo | None, block: ReportBlock | None) -> bytes:
    """Render a report and the canonical name as one compound packet."""
    body = ssrc.to_bytes(4, "big")
    if sender is not None:
        body += _SENDER.pack(
            int(sender.at * 2**32) + (_NTP_EPOCH << 32) & 2**64 - 1,
            sender.timestamp & 0xFFFFFFFF,
            sender.packets & 0xFFFFFFFF,
            sender.octets & 0xFFFFFFFF,
        )
    if block is not None:
        body += _render_block(block)
    kind = RECEIVER_REPORT if sender is None else SENDER_REPORT
    return _packet(kind, 0 if block is None else 1, body) + _source_description(body[:4], cname)


def build_bye(ssrc: int, cname: str, sender: SenderInfo | None, block: ReportBlock | None) -> bytes:
    """Render the last compound packet of a source: a report and BYE."""
    return build_report(ssrc, cname, sender, block) + _packet(GOODBYE, 1, ssrc.to_bytes(4, "big"))


def parse(datagram: bytes) -> list[Report | Bye]:
    """Read a compound packet; an empty list when it is not RTCP. Parsing stops at the first damaged part."""
    found: list[Report | Bye] = []
    rest = datagram
    while len(rest) >= 8 and rest[0] >> 6 == 2:
        count, kind = rest[0] & 0x1F, rest[1]
        size = 4 + 4 * int.from_bytes(rest[2:4], "big")
        if size > len(rest):
            break
        body, rest = rest[4:size], rest[size:]
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            start = 24 if kind == SENDER_REPORT else 4
            if len(body) < start + 24 * count:
                break
            found.append(
                Report(
                    ssrc=int.from_bytes(body[:4], "big"),
                    sender=_parse_sender(body[4:24]) if kind == SENDER_REPORT else None,
                    blocks=tuple(_parse_block(body[at : at + 24]) for at in range(start, start + 24 * count, 24)),
                )
            )
        elif kind == GOODBYE:
            if len(body) < 4 * count:
                break
            found.append(Bye(ssrcs=tuple(int.from_bytes(body[at : at + 4], "big") for at in range(0, 4 * count, 4))))
    return found


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return bytes((0x80 | count, kind)) + (len(body) // 4).to_bytes(2, "big") + body


def _source_description(source: bytes, cname: str) -> bytes:
    item = _canonical_name(cname)
    return _packet(SOURCE_DESCRIPTION, 1, source + item)


@lru_cache(maxsize=16)
def _canonical_name(cname: str) -> bytes:
    name = cname.encode()[:_MAX_REASON_BYTES]
    item = bytes((1, len(name))) + name
    # The list of items ends with at least one zero octet and fills the word (section 6.5).
    return item + b"\0" * (4 - len(item) % 4)


def _render_block(block: ReportBlock) -> bytes:
    lost = max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF
    return (
        block.ssrc.to_bytes(4, "big")
        + bytes((max(0, min(int(block.fraction_lost * 256), 255)),))
        + lost.to_bytes(3, "big")
        + (block.highest & 0xFFFFFFFF).to_bytes(4, "big")
        + (block.jitter & 0xFFFFFFFF).to_bytes(4, "big")
        + block.last_sender_report.to_bytes(4, "big")
        + max(0, min(int(block.delay_s * 65536), 0xFFFFFFFF)).to_bytes(4, "big")
    )


def _parse_sender(data: bytes) -> SenderInfo:
    ntp = int.from_bytes(data[:8], "big")
    return SenderInfo(
        at=ntp / 2**32 - _NTP_EPOCH,
        timestamp=int.from_bytes(data[8:12], "big"),
        packets=int.from_bytes(data[12:16], "big"),
        octets=int.from_bytes(data[16:20], "big"),
    )


def _parse_block(data: bytes) -> ReportBlock:
    return ReportBlock(
        ssrc=int.from_bytes(data[:4], "big"),
        fraction_lost=data[4] / 256,
        lost=int.from_bytes(data[5:8], "big", signed=True),
        highest=int.from_bytes(data[8:12], "big"),
        jitter=int.from_bytes(data[12:16], "big"),
        last_sender_report=int.from_bytes(data[16:20], "big"),
        delay_s=int.from_bytes(data[20:24], "big") / 65536,
    )
