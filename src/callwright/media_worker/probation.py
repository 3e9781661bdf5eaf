"""Which source a leg's RTP is taken from, and sent to.

Anyone may send to our port, and a far end behind a NAT sends from an address nobody knows beforehand (RFC 4961). So
sources are of three grades: the negotiated address itself, which is believed at once; another port of its host, or the
host that SIP comes from; anybody else. Of the last two a stream is wanted: three packets of one SSRC whose sequence
numbers follow each other (RFC 3550, appendix A.1).

Who comes first is heard, so that nobody behind a NAT has to wait, but for some seconds he only holds the place: a
source of a higher grade takes it as soon as it speaks. Later a source is followed by another one only when it has been
silent for a while: for one second if the stream goes on where it stopped or comes from the same host, for three
otherwise, and once. Who fell silent so, or the negotiated address if it has ever spoken, has the place back as soon as
he speaks again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from callwright.media.rtp import Packet, signed_difference

Address = tuple[str, int]

PACKETS = 3
LEARN_S = 5.0
SILENT_S, STRANGE_SILENT_S = 1.0, 3.0
HALTED_S = 0.1
"""A source so new that it was not seen to stay gives way as soon as it halts."""
STAYS_PACKETS, STAYS_S = 5, 0.08
"""Of a source that only holds the place, so many packets are read among those of all others, and for so long however
fast he sends: anyone better who speaks is heard meanwhile.
"""
_MOST_SOURCES = 8
_MAX_STEP = 5
_MAX_LEAP = 3000


class Verdict(Enum):
    """What to do with a packet: nothing, take it, or take it and hear this source alone from now on."""

    IGNORE = auto()
    TAKE = auto()
    LOCK = auto()


@dataclass(slots=True)
class _Stream:
    ssrc: int
    sequence: int
    packets: int = 1


@dataclass(slots=True)
class Probation:
    """The sources that were heard of one leg. `negotiated` is where the far end said it is, `signalled_by` the host its
    SIP comes from, "" for an unknown one, and `current` whose packets are taken. Times are of any one clock.
    """

    negotiated: Address | None = None
    signalled_by: str = ""
    current: Address | None = None
    _before: tuple[Address, int] | None = None
    _moves: int = 1
    _learning_until: float = 0.0
    _stays: bool = False
    _keeps_right: bool = False
    _heard_at: float = 0.0
    _heard_since: float = 0.0
    _stream: _Stream | None = None
    _candidates: dict[Address, _Stream] = field(default_factory=dict)

    def negotiate(self, address: Address) -> None:
        """The far end said that it is somewhere else now: what was learned of sources is void."""
        self.negotiated, self.current = address, None
        self._moves = 1
        self._stays = self._keeps_right = False
        self._before = self._stream = None
        self._candidates.clear()

    def learn(self, now: float) -> None:
        """An answer came or something was agreed anew: who speaks best is looked for, for a while."""
        self._learning_until = now + LEARN_S

    def wants_a_look(self, now: float) -> bool:
        """Whether somebody better than the current source may speak."""
        has_right = self._keeps_right or self._before is not None
        return self.current != self.negotiated and (has_right or now < self._learning_until)

    def look(self, heard_at: float, ssrc: int, sequence: int) -> None:
        """All sources are heard again. The current one was heard last at `heard_at`, and its stream was there."""
        self._heard_at, self._stream = heard_at, _Stream(ssrc, sequence, 0)
        self._candidates.clear()

    def judge(self, source: Address, packet: Packet, now: float) -> Verdict:
        """Say what to do with a packet of an agreed payload type, and follow its source if it deserves that."""
        if source == self.current:
            self._hear(packet, now)
        elif self._is_stream(source, packet) and self._may_follow(source, packet, now):
            if self._before is not None and self._before[0] == source:
                self._before = None
            self.current, self._stays = source, False
            self._stream = None
            self._candidates.clear()
            self._hear(packet, now)
        else:
            return Verdict.IGNORE
        self._keeps_right |= source == self.negotiated
        assert self._stream is not None
        if source != self.negotiated and (self._stream.packets < STAYS_PACKETS or now - self._heard_since < STAYS_S):
            return Verdict.TAKE
        self._stays = True
        return Verdict.LOCK

    def _hear(self, packet: Packet, now: float) -> None:
        packets = 0 if self._stream is None else self._stream.packets
        if packets == 0:
            self._heard_since = now
        self._heard_at, self._stream = now, _Stream(packet.ssrc, packet.sequence, packets + 1)

    def _grade(self, source: Address) -> int:
        if source == self.negotiated:
            return 2
        hosts = (self.signalled_by, self.negotiated[0] if self.negotiated is not None else "")
        return 1 if source[0] in hosts else 0

    def _is_stream(self, source: Address, packet: Packet) -> bool:
        if source == self.negotiated:
            return True
        stream = self._candidates.get(source)
        if stream is None:
            if len(self._candidates) == _MOST_SOURCES:
                del self._candidates[min(self._candidates, key=lambda each: self._candidates[each].packets)]
            self._candidates[source] = _Stream(packet.ssrc, packet.sequence)
            return False
        step = signed_difference(packet.sequence, stream.sequence, 16)
        if packet.ssrc != stream.ssrc or not 0 < step <= _MAX_STEP:
            self._candidates[source] = _Stream(packet.ssrc, packet.sequence)
            return False
        stream.sequence = packet.sequence
        stream.packets += 1
        return stream.packets >= PACKETS

    def _may_follow(self, source: Address, packet: Packet, now: float) -> bool:
        """Whether a new source may take the place of the current one."""
        if self.current is None or self._grade(source) > self._grade(self.current):
            return True
        if self._before == (source, packet.ssrc):
            return True
        silent_s = now - self._heard_at
        if not self._stays:
            return silent_s >= HALTED_S
        if self._goes_on(packet):
            return silent_s >= SILENT_S
        if self._moves == 0 or silent_s < (SILENT_S if source[0] == self.current[0] else STRANGE_SILENT_S):
            return False
        self._moves -= 1
        if self._stream is not None:
            self._before = self.current, self._stream.ssrc
        return True

    def _goes_on(self, packet: Packet) -> bool:
        """Whether this is the current source's stream from another place: nobody else knows its numbers."""
        stream = self._stream
        return (
            stream is not None
            and packet.ssrc == stream.ssrc
            and 0 < signed_difference(packet.sequence, stream.sequence, 16) <= _MAX_LEAP
        )
