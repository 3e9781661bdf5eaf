"""Trunks that lead back to the node itself are told apart from servers on the same machine."""

from __future__ import annotations

import asyncio

import pytest

from callwright.engine.trunk_link import TrunkLink
from callwright.engine.trunk_loop import own_place, warning_of
from callwright.engine.trunk_setup import Trunk
from callwright.sip.way import Target, Transport, Way


class Link(TrunkLink):
    """A node that listens at ``host`` on 5060 and, by TLS, on ``tls_port``; it is told to others as 192.0.2.1."""

    def __init__(self, host: str = "127.0.0.1", tls_port: int = 0) -> None:
        self.host = host
        self.tls_port = tls_port

    def own_places(self, transport: Transport) -> tuple[tuple[str, int], ...]:
        port = self.tls_port if transport is Transport.TLS else 5060
        return ((self.host, port), ("192.0.2.1", port)) if port else ()

    async def locate(self, trunk: Trunk) -> list[Target]:
        if trunk.host == "nowhere":
            raise OSError("not found")
        return [Target(host=trunk.host, port=5060, way=Way(transport=trunk.transport))]


def at(host: str, port: int = 5060, transport: Transport = Transport.UDP) -> list[Target]:
    return [Target(host=host, port=port, way=Way(transport=transport))]


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1", "192.0.2.1"])
@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_where_the_node_listens_or_says_it_does_is_itself(host: str, transport: Transport) -> None:
    assert f"{host} port 5060 is this node itself" in own_place(at(host, transport=transport), Link())


def test_one_place_of_several_is_enough() -> None:
    assert own_place([*at("198.51.100.1"), *at("127.0.0.1")], Link())


def test_other_ports_addresses_and_transports_are_somebody_else() -> None:
    assert own_place([], Link()) == ""
    assert own_place(at("127.0.0.1", 5080), Link()) == ""
    assert own_place(at("127.0.0.2"), Link()) == ""
    assert own_place(at("127.0.0.1", 5061, Transport.TLS), Link()) == ""
    assert own_place(at("127.0.0.1", 5061, Transport.TLS), Link(tls_port=5061))


def test_a_node_on_every_address_is_at_each_of_this_machine() -> None:
    assert own_place(at("127.0.0.7"), Link("0.0.0.0"))
    assert own_place(at("203.0.113.9"), Link("0.0.0.0")) == ""


def test_a_trunk_nobody_can_find_is_not_warned_of() -> None:
    assert asyncio.run(warning_of(Trunk(name="a", host="nowhere"), Link())) == ""
    assert asyncio.run(warning_of(Trunk(name="a", host="127.0.0.1"), Link()))
