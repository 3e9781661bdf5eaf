"""Broken session descriptions, RTP and RTCP, fed to what reads them in a media worker, with streams running."""

from __future__ import annotations

from random import Random

import numpy as np
from tests.support.fuzz import Campaign, Mutator

from callwright.media import offer_answer, rtcp, rtp
from callwright.media.codec import Coding
from callwright.media.dtmf import KeyReceiver
from callwright.media.reception import Reception
from callwright.values.errors import PeerError

_ROWS = 32
_WIDTH = 1536
_EVENTS = 101
DESCRIPTIONS = [
    offer_answer.offer("192.0.2.9", 40_000),
    offer_answer.offer("2001:db8::9", 40_000, direction=offer_answer.Direction.SENDONLY),
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:30\r\na=maxptime:60\r\na=inactive\r\n",
    b"v=0\no=alice 2890844526 2890844526 IN IP4 host.example.com\ns= \nc=IN IP4 224.2.1.1/127/3\nt=0 0\n"
    b"m=audio 49170/2 RTP/AVP 9 0 11 110\nc=IN IP4 192.0.2.3\na=rtpmap:110 L16/16000\na=rtpmap:9 G722/8000\n"
    b"m=video 51372 RTP/AVP 31 32\na=rtpmap:31 H261/90000\nm=image 4002 udptl t38\n",
    b"v=0\r\no=- 20518 0 IN IP4 203.0.113.1\r\ns=-\r\nt=0 0\r\nm=audio 54400 RTP/SAVPF 0 96\r\nc=IN IP4 203.0.113.1\r\n"
    b"a=ice-ufrag:8hhY\r\na=candidate:1 1 UDP 2113667327 203.0.113.1 54400 typ host\r\na=rtcp-mux\r\na=sendrecv\r\n"
    b"a=fingerprint:sha-1 4A:AD:B9:B1\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0Rm\r\na=extmap:1 urn:x\r\n",
]


def fuzz_descriptions(seed: int, cases: int, campaign: Campaign, *, weigh_every: int = 5000) -> int:
    """Read broken descriptions as answers and as offers: agreed to, or the peer's fault. Return how often agreed to."""
    agreed = 0

    def read(body: bytes) -> None:
        nonlocal agreed
        agreed += read_description(body)

    others = [line for body in DESCRIPTIONS for line in (body, body.replace(b"\n", b"\r\n"))]
    for number in range(1, cases + 1):
        chance = Random(seed * 1_000_000_007 + number)
        body = Mutator(chance, others).mutate(chance.choice(DESCRIPTIONS), most=8)
        campaign.time(f"sdp {seed}/{number}", lambda body=body: read(body))  # type: ignore[misc]
        if number % weigh_every == 0:
            campaign.weigh()
    return agreed


def read_description(body: bytes) -> bool:
    """Read a body both ways; what we answer must be a description that can be read again. Returns if it was agreed."""
    agreed = False
    try:
        offer_answer.choose(body)
        agreed = True
    except PeerError:
        pass
    try:
        answered = offer_answer.answer(body, "127.0.0.1", 4000)
    except PeerError:
        return agreed
    assert b"\0" not in answered.body
    offer_answer.choose(answered.body) if answered.agreed.remote[1] else None
    return True


class RtpWorld:
    """Receiving rows with streams running on them, into which broken packets are fed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._reception = Reception(_ROWS)
        self._keys = [KeyReceiver() for _ in range(_ROWS)]
        self._sequence = [Random(seed + row).randrange(65_536) for row in range(_ROWS)]
        self._timestamp = [Random(seed - row).randrange(2**32) for row in range(_ROWS)]
        self._now = 0.0
        self._number = 0
        self.fed = [0] * _ROWS
        for row in range(_ROWS):
            self._reception.attach(row)
            coding, payload_type = (Coding.ALAW, 8) if row % 2 else (Coding.ULAW, 0)
            self._reception.set_stream(row, coding=coding, payload_type=payload_type, event_types=(_EVENTS,))
            self._reception.listen(row, row % 4 != 3)

    def run(self, cases: int, campaign: Campaign, *, weigh_every: int = 5000) -> None:
        """Feed so many packets: most of a batch runs as it should, the rest is broken in its header or its size."""
        fed = 0
        while fed < cases:
            self._number += 1
            chance = Random(self.seed * 1_000_000_007 + self._number)
            batch = {row: self._packet(row, chance) for row in range(_ROWS) if chance.random() < 0.9}
            before = campaign.cases
            campaign.time(f"rtp {self.seed}/{self._number}", lambda batch=batch: self._receive(batch))  # type: ignore[misc]
            campaign.cases = before + len(batch)
            fed += len(batch)
            self._now += chance.choice([0.02, 0.02, 0.02, 0.0, 0.5])
            if self._number % (weigh_every // _ROWS) == 0:
                campaign.weigh()

    def taken(self) -> int:
        """Return how many packets were taken for what they said they were."""
        return sum(self._reception.counts(row).received for row in range(_ROWS))

    def _packet(self, row: int, chance: Random) -> bytes:
        self._sequence[row] = (self._sequence[row] + chance.choice([1, 1, 1, 1, 0, 2, -1, 5000])) % 65_536
        self._timestamp[row] = (self._timestamp[row] + chance.choice([160, 160, 160, 0, -160, 2**31, 7])) % 2**32
        kind = chance.choice([0, 8, 8, 0, _EVENTS, 13, 96, 127])
        size = 4 if kind == _EVENTS else chance.choice([160, 160, 160, 80, 240, 0, 1, 480, 1400])
        packet = rtp.build(
            rtp.Packet(
                payload_type=kind,
                marker=chance.random() < 0.1,
                sequence=self._sequence[row],
                timestamp=self._timestamp[row],
                ssrc=row if chance.random() < 0.98 else chance.getrandbits(32),
                payload=chance.randbytes(size),
            )
        )
        if chance.random() < 0.4:
            at = chance.randrange(min(len(packet), 16))
            packet = packet[:at] + chance.randbytes(chance.randint(0, 4)) + packet[at + chance.randint(0, 4) :]
        if chance.random() < 0.05:
            packet = packet[: chance.randint(0, len(packet))]
        return packet[:_WIDTH]

    def _receive(self, batch: dict[int, bytes]) -> None:
        """Do with a batch what the worker's loop does in one reading and one tick."""
        rows = np.array(sorted(batch))
        for row in batch:
            self.fed[row] += 1
        packets = np.zeros((len(rows), _WIDTH), np.uint8)
        for index, row in enumerate(rows.tolist()):
            packets[index, : len(batch[row])] = np.frombuffer(batch[row], np.uint8)
        lengths = np.array([len(batch[row]) for row in rows.tolist()])
        heard = self._reception.receive(rows, packets, lengths, self._now)
        for index in (*heard.events.tolist(), *heard.unusual.tolist()):
            row = int(rows[index])
            packet = rtp.parse(batch[row])
            if packet is None:
                continue
            if packet.payload_type == _EVENTS:
                self._keys[row].receive(packet.payload, packet.timestamp, self._now, marker=packet.marker)
            else:
                self._reception.receive_unusual(row, packet)
        frames = self._reception.frames(self._reception.listened)
        assert frames.shape == (len(self._reception.listened), 160)
        for row, keys in enumerate(self._keys):
            if (at := keys.wake_at()) is not None and at <= self._now:
                keys.wake(self._now)
            keys.take_events()
            counts = self._reception.counts(row)
            assert 0 <= counts.received <= self.fed[row]
            assert counts.lost >= 0


def fuzz_reports(seed: int, cases: int, campaign: Campaign, *, weigh_every: int = 5000) -> None:
    """Read broken RTCP, and measure what its figures lead to."""
    block = rtcp.ReportBlock(
        ssrc=7, fraction_lost=0.1, lost=3, highest=9, jitter=80, last_sender_report=rtcp.ntp_middle(1e9), delay_s=0.5
    )
    sender = rtcp.SenderInfo(at=1e9, timestamp=160, packets=1, octets=160)
    samples = [
        rtcp.build_report(5, "a@b", sender, block),
        rtcp.build_report(5, "a@b", None, block),
        rtcp.build_bye(5, "a@b", sender, block),
    ]
    for number in range(1, cases + 1):
        chance = Random(seed * 1_000_000_007 + number)
        data = bytearray(chance.choice(samples) + (chance.choice(samples) if chance.random() < 0.3 else b""))
        for _ in range(chance.randint(0, 6)):
            data[chance.randrange(len(data))] = chance.choice([0, 255, 128, 200, 201, 203, chance.randrange(256)])
        broken = bytes(data[: chance.randint(0, len(data))] if chance.random() < 0.3 else data)
        campaign.time(f"rtcp {seed}/{number}", lambda broken=broken: _read_reports(broken))  # type: ignore[misc]
        if number % weigh_every == 0:
            campaign.weigh()


def _read_reports(data: bytes) -> None:
    for item in rtcp.parse(data):
        if isinstance(item, rtcp.Bye):
            continue
        if item.sender is not None:
            assert 0 <= rtcp.ntp_middle(item.sender.at) < 2**32
        for block in item.blocks:
            trip = rtcp.round_trip_s(block, 1e9 + 1)
            assert trip is None or -0.01 <= trip < 60
            assert 0 <= block.fraction_lost < 1
