"""A bad network between a node and its far end: UDP datagrams lost, doubled, delayed and overtaken, by seeded chance.

    relay = await LossyRelay.open(beyond=(sandbox.host, sandbox.port), trouble=Trouble(loss=0.05), seed=1)
    ...                                     # the node calls ``relay.address``
    relay.tally.lost

Like a router with a SIP helper it writes its own address over those in the head of every message, so that requests
within calls pass it too; ``sound=True`` does the same to session descriptions and carries RTP through the same trouble.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from random import Random

_HOST = "127.0.0.1"
_AUTHORIZATION = re.compile(rb"^(?:proxy-)?authorization:", re.IGNORECASE)  # what it hashes must stay as it was
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_AUDIO = re.compile(rb"^m=audio ([1-9][0-9]{4}) ", re.MULTILINE)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What happens to each datagram of each direction: chances from 0 to 1, delays in seconds.

    ``late`` is the chance of a delay of up to ``late_by_s`` on top of ``delay_s``: those are overtaken by later ones.
    """

    loss: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    late_by_s: float = 0.3
    delay_s: tuple[float, float] = (0.0, 0.0)

    def copies(self, chance: Random) -> list[float]:
        """Return after how many seconds each copy of a datagram arrives."""
        if chance.random() < self.loss:
            return []
        times = 2 if chance.random() < self.doubled else 1
        return [self._delay(chance) for _ in range(times)]

    def _delay(self, chance: Random) -> float:
        late = chance.uniform(0.0, self.late_by_s) if chance.random() < self.late else 0.0
        return chance.uniform(*self.delay_s) + late


@dataclass(slots=True)
class Tally:
    """Datagrams so far: those that came, those never sent on, those sent on twice, those held back to be overtaken."""

    came: int = 0
    lost: int = 0
    doubled: int = 0
    overtaken: int = 0


class _Side(asyncio.DatagramProtocol):
    """One socket of the relay. What it receives leaves by ``other``, to where ``other`` last knew its peer."""

    def __init__(self, relay: LossyRelay, *, is_sip: bool) -> None:
        self.peer: Address | None = None
        self.address: Address
        self.other: _Side
        self.transport: asyncio.DatagramTransport
        self._relay = relay
        self._is_sip = is_sip

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # asyncio's own is one by what it can do, not by class
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.peer = (addr[0], addr[1])
        if self._is_sip:
            data = self._relay.rewrite(data, self)
        self._relay.carry(data, self.other, self._relay.tally if self._is_sip else self._relay.sound_tally)

    def error_received(self, exc: Exception) -> None:
        """Somebody behind the relay has closed a port: to the other side that is silence."""

    def send(self, data: bytes) -> None:
        if self.peer is not None and not self.transport.is_closing():
            self.transport.sendto(data, self.peer)


@dataclass(slots=True)
class _SoundPair:
    near: _Side
    far: _Side


@dataclass(slots=True)
class LossyRelay:
    """Use ``open`` and ``close`` on one event loop. The node talks to ``address``."""

    trouble: Trouble
    chance: Random
    tally: Tally = field(default_factory=Tally)
    sound_tally: Tally = field(default_factory=Tally)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _near: _Side = field(init=False)
    _far: _Side = field(init=False)
    _sound: dict[bytes, _SoundPair] | None = None
    _pairs: list[_SoundPair] = field(default_factory=list)
    _due: dict[_Side, float] = field(default_factory=dict)

    @classmethod
    async def open(
        cls, *, beyond: Address, trouble: Trouble, seed: int, sound: bool = False, most_calls: int = 0
    ) -> LossyRelay:
        """Bind both sides; ``sound`` opens the sockets of ``most_calls`` calls at once beforehand."""
        relay = cls(trouble=trouble, chance=Random(seed))
        relay._loop = asyncio.get_running_loop()
        relay._near, relay._far = await relay._pair(is_sip=True)
        relay._far.peer = beyond
        if sound:
            relay._sound = {}
            for _ in range(most_calls):
                near, far = await relay._pair(is_sip=False)
                relay._pairs.append(_SoundPair(near, far))
        return relay

    @property
    def address(self) -> Address:
        return self._near.address

    async def close(self) -> None:
        """Close every socket; what is under way is lost."""
        for pair in (_SoundPair(self._near, self._far), *self._pairs, *(self._sound or {}).values()):
            pair.near.transport.close()
            pair.far.transport.close()
        await asyncio.sleep(0)  # the transports close in the loop's next turn

    def carry(self, data: bytes, out: _Side, tally: Tally) -> None:
        """Send a datagram on, as chance has it."""
        tally.came += 1
        copies = self.trouble.copies(self.chance)
        tally.lost += not copies
        tally.doubled += len(copies) == 2
        now = self._loop.time()
        for delay in copies:
            if now + delay < self._due.get(out, 0.0):
                tally.overtaken += 1
            self._due[out] = max(self._due.get(out, 0.0), now + delay)
            if delay > 0:
                self._loop.call_later(delay, out.send, data)
            else:
                out.send(data)

    def rewrite(self, data: bytes, side: _Side) -> bytes:
        """Put the relay's addresses where those of the sender and, coming back, the relay's own are."""
        out = side.other
        head, blank, body = data.partition(b"\r\n\r\n")
        if side.peer is None or out.peer is None:
            return data
        mine, theirs = _text(side.peer), _text(side.address)
        lines = [
            line
            if _AUTHORIZATION.match(line)
            else line.replace(mine, b"\0").replace(theirs, _text(out.peer)).replace(b"\0", _text(out.address))
            for line in head.split(b"\r\n")
        ]
        if self._sound is not None and body:
            body = self._through_relay(head, body, side)
        return b"\r\n".join(lines) + blank + body

    def _through_relay(self, head: bytes, body: bytes, side: _Side) -> bytes:
        """Have sound sent to the relay; all ports it uses have five digits, so the body's length stays."""
        found, audio = _CALL_ID.search(head), _AUDIO.search(body)
        if found is None or audio is None or self._sound is None:
            return body
        pair = self._sound.get(found[1])
        if pair is None:
            pair = self._sound[found[1]] = self._pairs.pop()
        from_near = side is self._near
        behind, shown = (pair.near, pair.far) if from_near else (pair.far, pair.near)
        behind.peer = (_HOST, int(audio[1]))
        return body[: audio.start(1)] + b"%d" % shown.address[1] + body[audio.end(1) :]

    async def _pair(self, *, is_sip: bool) -> tuple[_Side, _Side]:
        near, far = await self._bind(is_sip=is_sip), await self._bind(is_sip=is_sip)
        near.other, far.other = far, near
        return near, far

    async def _bind(self, *, is_sip: bool) -> _Side:
        """Bind a free port of five digits, so that writing it over another of five changes no length."""
        while True:
            transport, side = await self._loop.create_datagram_endpoint(
                lambda: _Side(self, is_sip=is_sip), local_addr=(_HOST, 0)
            )
            if side.address[1] >= 10_000:
                return side
            transport.close()


def _text(address: Address) -> bytes:
    return f"{address[0]}:{address[1]}".encode()
