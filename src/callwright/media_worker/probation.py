"""Which source a leg's RTP is to be taken from, when it is not the one that was negotiated.

A far end behind a NAT sends from an address nobody knows beforehand (RFC 4961), and anyone may send to our port. So a
new source is believed after three packets of one stream (RFC 3550, appendix A.1: the same SSRC, sequence numbers that
follow each other, payload types that were agreed); the negotiated address, and the one RTP came from before, at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from callwright.media.rtp import Packet, signed_difference

Address = tuple[str, int]

PACKETS = 3
_MOST_SOURCES = 8
_MAX_STEP = 5


@dataclass(slots=True)
class _Candidate:
    ssrc: int
    sequence: int
    packets: int = 1


@dataclass(slots=True)
class Probation:
    """The sources that were heard of one leg."""

    _candidates: dict[Address, _Candidate] = field(default_factory=dict)

    def passes(self, source: Address, packet: Packet, known: tuple[Address | None, ...]) -> bool:
        """Whether RTP is to be taken from the source of this packet from now on; `known` sources are believed."""
        if source in known:
            return True
        candidate = self._candidates.get(source)
        if candidate is None:
            if len(self._candidates) < _MOST_SOURCES:
                self._candidates[source] = _Candidate(packet.ssrc, packet.sequence)
            return False
        step = signed_difference(packet.sequence, candidate.sequence, 16)
        if packet.ssrc != candidate.ssrc or not 0 < step <= _MAX_STEP:
            self._candidates[source] = _Candidate(packet.ssrc, packet.sequence)
            return False
        candidate.sequence = packet.sequence
        candidate.packets += 1
        return candidate.packets >= PACKETS

    def clear(self) -> None:
        """Forget every source."""
        self._candidates.clear()
