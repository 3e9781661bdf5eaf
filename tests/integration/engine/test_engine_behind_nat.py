"""A node behind a router that forwards its ports: far ends are told the router's address, and reach the node by it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.support.engine_calls import Told, order_to
from tests.support.far_end import far_end
from tests.support.real_engine import HOST, real_engine

from callwright.sip.event import Acked, Invited
from callwright.values.outcome import EndedBy

ROUTER = "127.0.0.5"
Address = tuple[str, int]


class _Outside(asyncio.DatagramProtocol):
    """One port of the router: what comes from outside goes to the node, its answers back to whoever spoke last."""

    def __init__(self, node: Address) -> None:
        self.passed = 0
        self._node = node
        self._last: Address | None = None
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if addr != self._node:
            self._last, self.passed = addr, self.passed + 1
            self._transport.sendto(data, self._node)
        elif self._last is not None:
            self._transport.sendto(data, self._last)


def test_far_ends_are_told_the_routers_address_and_hang_up_by_it() -> None:
    async def main() -> None:
        async with asyncio.timeout(40), AsyncExitStack() as stack:
            far = await stack.enter_async_context(far_end())
            world = await stack.enter_async_context(real_engine(advertised=ROUTER, media_host=ROUTER))
            port = world.sip.address[1]
            transport, router = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Outside((HOST, port)), local_addr=(ROUTER, port)
            )
            stack.callback(transport.close)
            told = Told()
            placing = asyncio.create_task(
                world.engine.place(
                    order_to(far.address), before_invite=told.before_invite, on_answered=told.on_answered
                )
            )
            invited: Invited = await far.answer()
            headers = dict(invited.headers)
            assert headers["Via"].startswith(f"SIP/2.0/UDP {ROUTER}:{port};")
            assert headers["Via"].endswith(";rport")
            assert headers["Contact"] == f"<sip:{ROUTER}:{port}>"
            assert f"c=IN IP4 {ROUTER}".encode() in invited.body
            call = await placing  # our answers came back the way the INVITE came (RFC 3581), past the router's port
            await far.ear.next(Acked)
            assert router.passed == 0
            far.hang_up(invited)
            assert (await call.wait_ended()).ended_by is EndedBy.FAR_END
            assert router.passed >= 1

    asyncio.run(main())
