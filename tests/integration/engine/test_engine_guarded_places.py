"""Trunks are called by number alone: no spelling of their addresses, and no trick of the DNS, leads to one as a SIP
address, where nothing of what is checked for telephone numbers is checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from tests.support.engine_calls import Told, order_to
from tests.support.far_end import FarEnd, far_end
from tests.support.name_server import NameServer, Zone, name_server
from tests.support.real_engine import RealEngine, real_engine
from tests.support.trunks import trunk

from callwright.engine.interface import CallFailed
from callwright.engine.trunk_setup import Trunk
from callwright.engine.trunks import is_this_machine
from callwright.sip.event import Invited

HOST = "127.0.0.1"

Story = Callable[[RealEngine, FarEnd, NameServer], Awaitable[None]]


def run(story: Story, *, carrier: Callable[[int], Trunk], zone: Zone | None = None) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), AsyncExitStack() as stack:
            far = await stack.enter_async_context(far_end())
            server, names = await stack.enter_async_context(name_server(zone or {}))
            world = await stack.enter_async_context(real_engine(names=names, trunks=[carrier(far.address[1])]))
            await story(world, far, server)
            assert not any(isinstance(event, Invited) for event in far.ear.heard)

    asyncio.run(main())


def by_address(port: int) -> Trunk:
    return trunk("carrier", port)


def by_name(port: int) -> Trunk:
    return trunk("carrier", port, host="carrier.test")


async def refused(world: RealEngine, address: str, *, before: Callable[[], None] = lambda: None) -> str:
    """Call an address; return why that failed. ``before`` happens when the INVITE is about to leave."""
    order = order_to(address)
    if (refusal := world.engine.refusal(order.destination)) is not None:
        return refusal.reason
    told = Told()

    async def before_invite(saved: bytes) -> None:
        before()
        await told.before_invite(saved)

    with pytest.raises(CallFailed) as failed:
        await world.engine.place(order, before_invite=before_invite, on_answered=told.on_answered)
    assert failed.value.outcome.code in (403, 503)
    return failed.value.outcome.detail


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_no_spelling_of_a_trunks_address_leads_to_it(transport: str) -> None:
    hosts = ("127.0.0.01", "127.000.000.001", "127.1", "2130706433", "0x7f.1", "127.0.0.2", "0.0.0.0", "0", "[::]")
    inner = ("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "[::1]")

    async def story(world: RealEngine, far: FarEnd, _server: NameServer) -> None:
        for host in hosts + inner:
            await refused(world, f"sip:+449012345678@{host}:{far.address[1]};transport={transport}")

    run(story, carrier=by_address, zone={})


def test_a_name_that_comes_to_mean_the_trunk_while_its_call_waits_leads_nowhere() -> None:
    async def story(world: RealEngine, far: FarEnd, server: NameServer) -> None:
        def rebind() -> None:
            server.zone["rebound.test.", "A"] = [HOST]

        why = await refused(world, f"sip:+449012345678@rebound.test:{far.address[1]}", before=rebind)
        assert "rebound.test has no address" in why

    run(story, carrier=by_address)


def test_where_a_trunk_is_stays_known_when_its_name_is_forgotten() -> None:
    async def story(world: RealEngine, far: FarEnd, server: NameServer) -> None:
        address = f"sip:+449012345678@{HOST}:{far.address[1]}"
        world.sip._names._remembered.clear()  # as a minute later
        assert "trunk carrier is called by number" in await refused(world, address)
        world.sip._names._remembered.clear()
        server.zone.clear()  # and now nobody can be asked
        assert "trunk carrier is called by number" in await refused(world, address)

    run(story, carrier=by_name, zone={("carrier.test.", "A"): [HOST]})


@pytest.mark.parametrize(
    ("host", "ours"), [(HOST, True), ("127.9.9.9", True), ("0.0.0.0", True), ("192.0.2.1", False), ("a.test", False)]
)
def test_addresses_of_this_machine_are_told_from_others(host: str, ours: bool) -> None:
    assert is_this_machine(host) is ours
