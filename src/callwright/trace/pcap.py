"""Writes kept messages as a packet capture that Wireshark opens.

Pure. The packets are made up around what SIP said: Ethernet, IPv4 or IPv6, and UDP for what went by UDP. What went by
TCP or TLS is shown as TCP, one connection for each pair of addresses, without its beginning and end; TLS in clear, its
messages are kept as they were before and after it. Lengths and checksums are right. Format: "pcap" of libpcap, version
2.4, microseconds, link type 1.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator

from callwright.trace.message import KeptMessage, Place

_FILE = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MOST_PAYLOAD = 65_000  # what fits below IP whatever comes in front
_ETHERNET = bytes.fromhex("020000000002020000000001")  # locally administered addresses
_UDP, _TCP = 17, 6
_PUSH_ACK = 0x18

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def capture(messages: Iterable[KeptMessage]) -> Iterator[bytes]:
    """Yield a capture file in pieces: its head, then one packet for each message."""
    yield _FILE.pack(0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
    streams: dict[tuple[Place, Place], int] = {}
    for number, message in enumerate(messages):
        packet = _packet(message, number, streams)
        missing = min(message.length, _MOST_PAYLOAD) - len(message.data)
        micros = round(message.at * 1_000_000)
        yield _RECORD.pack(micros // 1_000_000, micros % 1_000_000, len(packet), len(packet) + max(0, missing)) + packet


def _packet(message: KeptMessage, number: int, streams: dict[tuple[Place, Place], int]) -> bytes:
    """Return one packet. Of a message that was cut the lengths are those of the whole, as a capture has them."""
    near, far = _addresses(message)
    source, target = (message.near, message.far) if message.sent else (message.far, message.near)
    between = near.packed + far.packed if message.sent else far.packed + near.packed
    payload = message.data[:_MOST_PAYLOAD]
    length = max(len(payload), min(message.length, _MOST_PAYLOAD))
    if message.transport == "UDP":
        protocol, check_at = _UDP, 6
        segment = struct.pack(">HHHH", source[1], target[1], 8 + length, 0) + payload
        length += 8
    else:
        protocol, check_at = _TCP, 16
        sequence = streams.get((source, target), 1)
        streams[source, target] = (sequence + length) & 0xFFFFFFFF
        head = (source[1], target[1], sequence, streams.get((target, source), 1), 5 << 4, _PUSH_ACK, 0xFFFF, 0, 0)
        segment = struct.pack(">HHIIBBHHH", *head) + payload
        length += 20
    check = _checksum(between + _pseudo(far.version, protocol, length) + segment) or 0xFFFF
    segment = segment[:check_at] + struct.pack(">H", check) + segment[check_at + 2 :]
    return _ETHERNET + _network(far.version, between, protocol, length, number) + segment


def _network(version: int, between: bytes, protocol: int, length: int, number: int) -> bytes:
    if version == 6:
        return b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, length, protocol, 64) + between
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, number & 0xFFFF, 0, 64, protocol, 0) + between
    return b"\x08\x00" + head[:10] + struct.pack(">H", _checksum(head)) + head[12:]


def _pseudo(version: int, protocol: int, length: int) -> bytes:
    """What the checksum covers beside addresses and segment (RFC 9293 section 3.1, RFC 8200 section 8.1)."""
    if version == 6:
        return struct.pack(">IHBB", length, 0, 0, protocol)
    return struct.pack(">BBH", 0, protocol, length)


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _addresses(message: KeptMessage) -> tuple[Address, Address]:
    """Return our address and the far end's, both of one kind; what is none becomes the unspecified one."""
    far = _address(message.far[0]) or ipaddress.IPv4Address(0)
    near = _address(message.near[0])
    if near is None or near.version != far.version:
        near = type(far)(0)
    return near, far


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
