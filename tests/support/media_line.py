"""Media legs for tests, each on a real worker and with a far end on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.support.rtp_peer import DEADLINE_S, RtpPeer

from callwright.engine.interface import Silence
from callwright.engine.media_client import Codec, Digit, Leg, LegEvent, MediaClient
from callwright.media.codec import PCMA

PORTS = (22000, 23999)
LONGEST_WAIT_MS = 300  # what was received is heard some ticks later, at most so many as this silence has


class Line:
    """A connected leg, its far end, and what the leg reported."""

    def __init__(self, client: MediaClient, leg: Leg, peer: RtpPeer, codec: Codec) -> None:
        self.client, self.leg, self.peer, self.codec = client, leg, peer, codec
        self.events: list[LegEvent] = []
        self._news = asyncio.Event()
        leg.on_event = self._hear

    def _hear(self, event: LegEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, reached: Callable[[list[LegEvent]], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not reached(self.events):
                self._news.clear()
                await self._news.wait()

    async def until_received(self, packets: int) -> None:
        """Wait until the worker has taken so many packets, of all its legs, and had time to hand on their sound."""
        async with asyncio.timeout(DEADLINE_S):
            while (await self.client.report())[0].packets_received < packets:
                await self.leg.play([Silence(ms=20)])
            await self.leg.play([Silence(ms=LONGEST_WAIT_MS)])

    async def stuttered_ms(self) -> float:
        """Return how much longer, or shorter, sound from the far end may have become by pauses of this machine."""
        report = (await self.client.report())[0]
        return self.peer.stuttered_ms + report.late_ticks * report.worst_late_ms

    def keys(self) -> str:
        return "".join(event.key for event in self.events if isinstance(event, Digit))


@asynccontextmanager
async def line(
    codec: Codec = PCMA, *, dtmf_payload: int | None = 101, no_rtp_s: float = 10.0, connect: bool = True
) -> AsyncIterator[Line]:
    client = await MediaClient.start(host="127.0.0.1", port_range=PORTS, no_rtp_s=no_rtp_s)
    peer = await RtpPeer.open(codec.payload)
    try:
        leg = await client.open_leg()
        peer.target = (leg.host, leg.port)
        if connect:
            leg.connect(remote=peer.address, codec=codec, dtmf_payload=dtmf_payload)
        yield Line(client, leg, peer, codec)
    finally:
        peer.close()
        await client.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(bounded())


@asynccontextmanager
async def two_lines(codec: Codec = PCMA, other: Codec = PCMA) -> AsyncIterator[tuple[Line, Line]]:
    """Two legs of one worker, each with a far end of its own."""
    async with line(codec) as one:
        peer = await RtpPeer.open(other.payload)
        try:
            leg = await one.client.open_leg(beside=one.leg)
            peer.target = (leg.host, leg.port)
            leg.connect(remote=peer.address, codec=other, dtmf_payload=101)
            yield one, Line(one.client, leg, peer, other)
        finally:
            peer.close()
