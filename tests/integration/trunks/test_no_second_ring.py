"""What may have reached a telephone through one trunk never goes to another one, and no call waits for ever for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.real_engine import RealEngine, real_engine
from tests.support.trunks import HOST, trunk, until

from callwright.engine.interface import CallFacts, CallFailed, CallOrder
from callwright.engine.trunk_setup import parse_prefix
from callwright.sip.core import Timers
from callwright.sip.way import Transport
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy

FIRST, SECOND = (parse_prefix("*:1"),), (parse_prefix("*:2"),)
QUICK = Timers(t1=0.02, t2=0.16, t4=0.2)


class _Ear(asyncio.DatagramProtocol):
    """A trunk that takes INVITEs, refuses each (or lets it ring until it is cancelled) and remembers them."""

    def __init__(self, ringing: bool) -> None:
        self._code = b"180 Ringing" if ringing else b"503 Full"
        self.invites: list[bytes] = []
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.startswith(b"CANCEL"):
            self._answer(data, b"200 OK", addr)
            self._answer(self.invites[0], b"487 Request Terminated", addr)
        elif data.startswith(b"INVITE"):
            self.invites.append(data)
            self._answer(data, self._code, addr)

    def _answer(self, data: bytes, said: bytes, addr: tuple[str, int]) -> None:
        kept = [line for line in data.split(b"\r\n") if line.split(b":")[0] in (b"Via", b"From", b"Call-ID", b"CSeq")]
        to = next(line for line in data.split(b"\r\n") if line.startswith(b"To:"))
        answer = b"\r\n".join([b"SIP/2.0 " + said, *kept, to + b";tag=t", b"Content-Length: 0", b"", b""])
        self._transport.sendto(answer, addr)


@asynccontextmanager
async def ear(*, ringing: bool = False) -> AsyncIterator[_Ear]:
    loop = asyncio.get_running_loop()
    transport, listener = await loop.create_datagram_endpoint(lambda: _Ear(ringing), local_addr=(HOST, 0))
    try:
        yield listener
    finally:
        transport.close()


async def nothing(*_: object) -> None:
    """Stand in for the ledger."""


def order(*, headers: tuple[tuple[str, str], ...] = ()) -> CallOrder:
    return CallOrder(
        call_id=CallId("0000000000000001.1.1"),
        destination=parse_destination("tel:447700900123"),
        caller_id="441908273800",
        service_name="demo",
        headers=headers,
        ring_timeout_s=3.0,
    )


async def fails(world: RealEngine, wanted: CallOrder) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await world.engine.place(wanted, before_invite=nothing, on_answered=nothing)
    return failed.value


def test_a_connection_that_breaks_behind_an_invite_leaves_it_to_no_other_trunk() -> None:
    async def story() -> None:
        read: list[bytes] = []

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            read.append(await reader.readuntil(b"\r\n\r\n"))
            writer.transport.abort()  # it may be ringing by now

        server = await asyncio.start_server(take, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        async with server, ear() as second:
            trunks = (
                trunk("first", port, prefixes=FIRST, transport=Transport.TCP),
                trunk("second", second.port, prefixes=SECOND),
            )
            async with asyncio.timeout(20), real_engine(trunks=trunks, timers=QUICK) as world:
                failed = await fails(world, order())
                assert read[0].startswith(b"INVITE")
                assert failed.facts.trunk == "first"
                assert failed.outcome.code == 408
                assert second.invites == []

    asyncio.run(story())


def test_a_call_that_is_given_up_while_it_rings_tells_which_trunk_it_rang_through() -> None:
    async def story() -> None:
        async with ear(ringing=True) as only:
            async with asyncio.timeout(20), real_engine(trunks=(trunk("only", only.port),), timers=QUICK) as world:
                wanted = order()
                facts = CallFacts(call_id=wanted.call_id, destination=wanted.destination)
                placing = asyncio.create_task(
                    world.engine.place(wanted, before_invite=nothing, on_answered=nothing, facts=facts)
                )
                await until(lambda: facts.ringing_at is not None)
                placing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await placing
                assert facts.trunk == "only"
                assert facts.outcome is not None
                assert (facts.outcome.code, facts.outcome.ended_by) == (487, EndedBy.PLATFORM)
                assert facts.ended_at is not None

    asyncio.run(story())


def test_a_trunk_that_cannot_carry_the_headers_of_a_call_ends_it_in_place_of_losing_it() -> None:
    async def story() -> None:
        async with ear() as first, ear() as second:
            trunks = (
                trunk("first", first.port, prefixes=FIRST),
                trunk("second", second.port, prefixes=SECOND, assert_identity=True, withhold=True, plus=True),
            )
            async with asyncio.timeout(20), real_engine(trunks=trunks, timers=QUICK) as world:
                failed = await fails(world, order(headers=(("X-Long", "x" * 31_750),)))
                assert failed.outcome.code == 503
                assert len(first.invites) == 1
                assert second.invites == []
                assert all(not line.calls for line in world.trunks.lines)

    asyncio.run(story())
