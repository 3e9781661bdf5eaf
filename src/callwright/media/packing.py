"""Packets of another length than the tick's 20 ms, for the far ends that ask for it (RFC 8866, section 6.4: ptime).

Every tick gives one frame, and packets are cut from the frames as they fill up: two of 10 ms in each tick, one of 40 ms
in every second one. Timestamps are those of the first sample.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from callwright.media.codec import FRAME_MS, FRAME_SAMPLES

SHORTEST_MS, LONGEST_MS, STEP_MS = 10, 60, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One packet's payload, the timestamp of its first sample, and whether sound begins with it."""

    payload: bytes
    timestamp: int
    marker: bool


def packet_ms(wanted_ms: int) -> int:
    """The length nearest to a far end's wish that we send: a multiple of 10 ms between 10 and 60."""
    return min(max(STEP_MS * round(wanted_ms / STEP_MS), SHORTEST_MS), LONGEST_MS)


@dataclass(slots=True, kw_only=True)
class Packer:
    """Cuts the frames of one leg, `frame_octets` octets each, into packets of `ms`."""

    ms: int
    frame_octets: int
    _waiting: bytearray = field(default_factory=bytearray)
    _marker: bool = False

    def add(self, frame: bytes, timestamp: int, *, marker: bool) -> list[Cut]:
        """Take a frame whose first sample has this timestamp; return the packets that are full now."""
        begins = timestamp - self._samples(len(self._waiting))
        self._marker = self._marker or marker
        self._waiting += frame
        size = self.frame_octets * self.ms // FRAME_MS
        cuts = []
        while len(self._waiting) >= size:
            cuts.append(self._cut(size, begins))
            begins += self._samples(size)
        return cuts

    def rest(self, timestamp: int) -> list[Cut]:
        """What waits for the rest of its packet, as a shorter one; `timestamp` is that of the sample behind it."""
        if not self._waiting:
            return []
        return [self._cut(len(self._waiting), timestamp - self._samples(len(self._waiting)))]

    def _cut(self, size: int, timestamp: int) -> Cut:
        cut = Cut(payload=bytes(self._waiting[:size]), timestamp=timestamp & 0xFFFFFFFF, marker=self._marker)
        del self._waiting[:size]
        self._marker = False
        return cut

    def _samples(self, octets: int) -> int:
        return octets * FRAME_SAMPLES // self.frame_octets
