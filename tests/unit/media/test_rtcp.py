"""RTCP packets against the layout of RFC 3550, section 6."""

from __future__ import annotations

import pytest

from callwright.media import rtcp
from callwright.media.rtcp import Bye, Report, ReportBlock, SenderInfo

SENDER = SenderInfo(at=1_700_000_000.5, timestamp=0xFFFFFFF0, packets=100, octets=16000)
BLOCK = ReportBlock(
    ssrc=0x01020304, fraction_lost=0.25, lost=-3, highest=70_000, jitter=12, last_sender_report=0xAABBCCDD, delay_s=1.5
)


def test_a_sender_report_is_laid_out_as_the_rfc_draws_it() -> None:
    packet = rtcp.build_report(0x11223344, "ab@c", SENDER, BLOCK)
    assert packet[:8] == bytes.fromhex("81c8000c11223344")
    # NTP seconds are counted from 1900 (section 4); half a second is the top bit of the fraction.
    assert packet[8:16] == (1_700_000_000 + 2_208_988_800).to_bytes(4, "big") + bytes.fromhex("80000000")
    assert packet[16:28] == bytes.fromhex("fffffff0 00000064 00003e80")
    assert packet[28:52] == bytes.fromhex("01020304 40fffffd 00011170 0000000c aabbccdd 00018000")
    assert packet[52:] == bytes.fromhex("81ca0003 11223344 0104") + b"ab@c" + bytes(2)


def test_without_sound_sent_it_is_a_receiver_report() -> None:
    assert rtcp.build_report(1, "x", None, None)[:8] == bytes.fromhex("80c9000100000001")


@pytest.mark.parametrize("sender", [SENDER, None])
@pytest.mark.parametrize("block", [BLOCK, None])
def test_reports_are_read_back(sender: SenderInfo | None, block: ReportBlock | None) -> None:
    parts = rtcp.parse(rtcp.build_bye(9, "name", sender, block))
    assert parts == [Report(ssrc=9, sender=sender, blocks=(block,) if block else ()), Bye(ssrcs=(9,))]


@pytest.mark.parametrize("length", range(1, 12))
def test_the_canonical_name_fills_its_words(length: int) -> None:
    packet = rtcp.build_report(1, "n" * length, None, None)
    assert len(packet) % 4 == 0
    description = packet[8:]
    assert len(description) == 4 + 4 * int.from_bytes(description[2:4], "big")
    assert description[-1] == 0


@pytest.mark.parametrize(
    "damage", [b"", b"\x80", bytes(12), b"\x80\xc8\xff\xff" + bytes(24), b"\x9f\xc9\x00\x01" + bytes(4)]
)
def test_what_is_not_rtcp_has_nothing_in_it(damage: bytes) -> None:
    assert rtcp.parse(damage) == []


def test_parts_before_the_damage_count() -> None:
    whole = rtcp.build_report(9, "name", None, BLOCK)
    assert rtcp.parse(whole + b"\x81\xcb\x00\x09") == rtcp.parse(whole)


def test_the_round_trip_is_what_neither_side_kept_the_packet() -> None:
    sent_at, now = 1_700_000_000.0, 1_700_000_002.25
    block = ReportBlock(
        ssrc=1,
        fraction_lost=0,
        lost=0,
        highest=0,
        jitter=0,
        last_sender_report=rtcp.ntp_middle(sent_at),
        delay_s=2.0,
    )
    assert rtcp.round_trip_s(block, now) == pytest.approx(0.25, abs=1e-4)
    assert rtcp.round_trip_s(block, now - 1) is None


def test_without_a_report_of_ours_there_is_no_round_trip() -> None:
    assert (
        rtcp.round_trip_s(
            ReportBlock(ssrc=1, fraction_lost=0, lost=0, highest=0, jitter=0, last_sender_report=0, delay_s=0), 5.0
        )
        is None
    )
