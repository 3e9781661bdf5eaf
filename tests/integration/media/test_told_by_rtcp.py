"""What a leg's RTCP reports tell the far end of its own sound and of ours, read by the RFC's drawing alone."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass

from tests.support.audio import sine
from tests.support.media_line import line, run
from tests.support.rtp_peer import RtpPeer, companded

from callwright.media.codec import PCMA

SENT, LOST = 40, (5, 6, 11, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """The first parts of a sender report with one block (RFC 3550 section 6.4.1)."""

    source: int
    packets: int
    octets: int
    about: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_sender_report: int

    @classmethod
    def read(cls, data: bytes) -> SenderReport:
        first, kind, _, source = struct.unpack("!BBHI", data[:8])
        assert (first >> 6, first & 0x1F, kind) == (2, 1, 200)
        packets, octets = struct.unpack("!II", data[20:28])
        about, losses, highest, jitter, last = struct.unpack("!IIIII", data[28:48])
        return cls(
            source=source, packets=packets, octets=octets, about=about, fraction_lost=losses >> 24,
            lost=losses & 0xFFFFFF, highest=highest, jitter=jitter, last_sender_report=last,
        )  # fmt: skip


async def pair() -> tuple[RtpPeer, socket.socket]:
    """Open a far end whose next port is free for RTCP."""
    while True:
        peer = await RtpPeer.open()
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        control.setblocking(False)
        try:
            control.bind((peer.address[0], peer.address[1] + 1))
        except OSError:
            control.close()
            peer.close()
        else:
            return peer, control


def test_a_far_end_is_told_what_of_its_sound_was_lost_and_how_much_we_sent() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        async with line(connect=False) as at:
            peer, control = await pair()
            try:
                peer.target = (at.leg.host, at.leg.port)
                at.leg.connect(remote=peer.address, codec=PCMA, dtmf_payload=101)
                first = peer.sequence
                for index in range(SENT):
                    if index in LOST:
                        peer.sequence += 1
                        peer.timestamp += 160
                    else:
                        peer.send_sound(companded(sine(500, 20), 8))
                control.connect((at.leg.host, at.leg.port + 1))
                report = SenderReport.read(await loop.sock_recv(control, 2048))
                assert report.source == peer.heard[0].ssrc
                assert report.octets == 160 * report.packets > 0
                assert (report.about, report.lost) == (peer.ssrc, len(LOST))
                assert report.fraction_lost == 256 * len(LOST) // SENT
                assert report.highest == first + SENT - 1
                assert report.jitter > 80  # packets of 160 samples came all at once
                assert report.last_sender_report == 0  # it sent none
            finally:
                control.close()
                peer.close()

    run(work)
