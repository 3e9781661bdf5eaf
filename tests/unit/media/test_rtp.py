"""RTP packets one at a time and as rows."""

from __future__ import annotations

import numpy as np
import pytest

from callwright.media import rtp

PLAIN = rtp.Packet(payload_type=8, sequence=65535, timestamp=2**32 - 1, ssrc=0xDEADBEEF, payload=b"sound", marker=True)


def test_a_packet_looks_as_the_rfc_draws_it() -> None:
    assert rtp.build(PLAIN) == bytes.fromhex("8088ffffffffffffdeadbeef") + b"sound"
    assert rtp.parse(rtp.build(PLAIN)) == PLAIN


def test_sources_extension_and_padding_are_left_out() -> None:
    head = bytes.fromhex("0008 0001 00000002 00000003")
    packet = bytes([0x80 | 0x20 | 0x10 | 2]) + head[1:] + b"srca" + b"srcb" + b"\xbe\xde\x00\x01" + b"extn" + b"payload"
    parsed = rtp.parse(packet + b"\0\0\3")
    assert parsed is not None
    assert (parsed.payload, parsed.sequence, parsed.timestamp, parsed.ssrc) == (b"payload", 1, 2, 3)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x80" * 11,
        bytes(20),
        b"\x40" + bytes(19),
        b"\x8f" + bytes(30),
        b"\x90" + bytes(13),
        b"\x90" + bytes(11) + b"\0\0\xff\xff",
        b"\xa0" + bytes(11),
        b"\xa0" + bytes(11) + b"\xff",
        b"\xa0" + bytes(11) + b"\0",
    ],
)
def test_what_is_not_rtp_is_nothing(datagram: bytes) -> None:
    assert rtp.parse(datagram) is None


def test_rows_are_read_like_single_packets() -> None:
    datagrams = [rtp.build(PLAIN), b"\x90" + bytes(30), b"junk", bytes.fromhex("80000102 01020304 0a0b0c0d")]
    rows = np.zeros((len(datagrams), 64), np.uint8)
    for row, datagram in zip(rows, datagrams, strict=True):
        row[: len(datagram)] = np.frombuffer(datagram, np.uint8)
    headers = rtp.parse_rows(rows, np.array([len(datagram) for datagram in datagrams]))
    assert headers.rtp.tolist() == [True, True, False, True]
    assert headers.plain.tolist() == [True, False, False, True]
    assert headers.payload_type.tolist()[0] == 8
    assert headers.sequence.tolist()[3] == 0x0102
    assert headers.timestamp.tolist()[3] == 0x01020304
    assert headers.ssrc.tolist()[0] == 0xDEADBEEF


def test_stamped_rows_are_packets() -> None:
    rows = np.zeros((2, 172), np.uint8)
    for row, ssrc in zip(rows, (7, 0xFFFFFFFF), strict=True):
        rtp.stamp_ssrc(row, ssrc)
    rtp.stamp_rows(
        rows,
        np.array([8, 0], np.uint8),
        np.array([65535, 1], np.uint16),
        np.array([160, 2**32 - 160], np.uint32),
        np.array([True, False]),
    )
    first, second = (rtp.parse(row.tobytes()) for row in rows)
    assert first is not None
    assert second is not None
    assert (first.payload_type, first.marker, first.sequence, first.timestamp, first.ssrc) == (8, True, 65535, 160, 7)
    assert (second.marker, second.timestamp, second.ssrc) == (False, 2**32 - 160, 0xFFFFFFFF)


@pytest.mark.parametrize(("later", "earlier", "step"), [(1, 65535, 2), (65535, 1, -2), (5, 5, 0), (32768, 0, -32768)])
def test_differences_go_the_short_way_round(later: int, earlier: int, step: int) -> None:
    assert rtp.signed_difference(later, earlier, 16) == step
