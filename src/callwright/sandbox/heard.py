"""What a telephone received: its sound in the order of the RTP timestamps, and how many packets came, or did not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from callwright.media import g711
from callwright.media.codec import SAMPLE_RATE
from callwright.media.g711 import Law, Pcm
from callwright.media.rtp import Packet, signed_difference

LONGEST_S = 30 * 60
"""Sound after this is not kept: a forgotten call must not fill the memory."""
RESYNC_S = 2.0
_BYTES_PER_SAMPLE = 2


class HeardSound:
    """Sixteen bit samples by RTP timestamp; what never came is silence.

    A stream that starts anew (another SSRC, or timestamps that jump away from the clock) goes on where its first packet
    arrived.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._first_at: float | None = None
        self._ssrc = 0
        self._timestamp = 0
        self._position = 0

    @property
    def first_at(self) -> float | None:
        """When the first sample arrived, by the caller's clock; the sound begins there."""
        return self._first_at

    @property
    def seconds(self) -> float:
        return len(self._bytes) / _BYTES_PER_SAMPLE / SAMPLE_RATE

    def add(self, packet: Packet, law: Law, now: float) -> Pcm:
        """Take one packet of sound; return its samples."""
        samples = g711.decode(np.frombuffer(packet.payload, np.uint8), law)
        if self._first_at is None:
            self._first_at = now
            self._anchor(packet, 0)
        arrived = round((now - self._first_at) * SAMPLE_RATE)
        position = self._position + signed_difference(packet.timestamp, self._timestamp, 32)
        if packet.ssrc != self._ssrc or abs(position - arrived) > RESYNC_S * SAMPLE_RATE:
            position = arrived
            self._anchor(packet, arrived)
        if 0 <= position <= LONGEST_S * SAMPLE_RATE - len(samples):
            start = position * _BYTES_PER_SAMPLE
            end = start + len(samples) * _BYTES_PER_SAMPLE
            if start > len(self._bytes):
                self._bytes.extend(bytes(start - len(self._bytes)))
            self._bytes[start:end] = samples.tobytes()
        return samples

    def pcm_bytes(self) -> bytes:
        """Everything as little-endian sixteen bit samples."""
        return bytes(self._bytes)

    def _anchor(self, packet: Packet, position: int) -> None:
        self._ssrc, self._timestamp, self._position = packet.ssrc, packet.timestamp, position


class PacketCount:
    """How many packets came, came late or twice, or never (RFC 3550, appendix A.1 and A.3), over all streams."""

    def __init__(self) -> None:
        self.received = 0
        self.out_of_order = 0
        self.duplicates = 0
        self._lost_before = 0
        self._ssrc: int | None = None
        self._first = 0
        self._highest = 0
        self._of_stream = 0
        self._recent: set[int] = set()

    @property
    def lost(self) -> int:
        return self._lost_before + self._lost_in_stream()

    def add(self, packet: Packet) -> None:
        """Count one packet of any payload type."""
        self.received += 1
        if packet.ssrc != self._ssrc:
            self._lost_before = self.lost
            self._ssrc, self._of_stream = packet.ssrc, 0
            self._first = self._highest = packet.sequence
            self._recent.clear()
        number = self._highest + signed_difference(packet.sequence, self._highest & 0xFFFF, 16)
        if number in self._recent:
            self.duplicates += 1
            return
        self._recent.add(number)
        self._of_stream += 1
        if number < self._highest:
            self.out_of_order += 1
            self._first = min(self._first, number)
        else:
            self._highest = number
            if len(self._recent) > 1024:
                self._recent = {n for n in self._recent if n > number - 512}

    def facts(self) -> Mapping[str, int]:
        return {
            "received": self.received,
            "lost": self.lost,
            "out_of_order": self.out_of_order,
            "duplicates": self.duplicates,
        }

    def _lost_in_stream(self) -> int:
        return 0 if self._ssrc is None else self._highest - self._first + 1 - self._of_stream
