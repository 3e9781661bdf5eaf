"""From a destination to a next hop, or the reason why there is none."""

from __future__ import annotations

import pytest

from callwright.engine.interface import Refusal
from callwright.engine.routes import Route, Routes, Sandbox, TrunkRoute
from callwright.sip.auth import Credentials
from callwright.sip.way import Transport
from callwright.values.destination import parse_destination

SANDBOX = Sandbox(address=("127.0.0.1", 5999), credentials=Credentials(user="u", password="p"))


def find(text: str, *, sandbox: Sandbox | None = SANDBOX) -> Route | TrunkRoute | Refusal:
    return Routes(sandbox=sandbox).find(parse_destination(text))


def test_test_numbers_go_to_the_simulated_network_with_its_password() -> None:
    route = find("tel:999005550001")
    assert isinstance(route, Route)
    assert route.next_hop == ("127.0.0.1", 5999)
    assert route.request_uri == "sip:999005550001@127.0.0.1:5999;user=phone"
    assert route.credentials == SANDBOX.credentials


@pytest.mark.parametrize(
    ("destination", "next_hop"),
    [
        ("sip:bob@example.com", ("example.com", 0)),
        ("sip:example.com:5070", ("example.com", 5070)),
        ("sip:bob@[2001:db8::1]:5070", ("2001:db8::1", 5070)),
        ("sip:bob;x=y@192.0.2.1;transport=UDP", ("192.0.2.1", 5060)),
    ],
)
def test_sip_addresses_are_called_directly_and_unchanged(destination: str, next_hop: tuple[str, int]) -> None:
    route = find(destination)
    assert isinstance(route, Route)
    assert route.next_hop == next_hop
    assert route.request_uri == destination
    assert route.credentials is None
    assert not route.secure


@pytest.mark.parametrize(
    ("destination", "next_hop", "transport", "secure"),
    [
        ("sip:bob@example.com", ("example.com", 0), None, False),
        ("sip:bob@192.0.2.1;transport=tcp", ("192.0.2.1", 5060), Transport.TCP, False),
        ("sip:bob@example.com:5070;transport=TLS", ("example.com", 5070), Transport.TLS, False),
        ("sip:bob@192.0.2.1;transport=tls", ("192.0.2.1", 5061), Transport.TLS, False),
        ("sips:bob@192.0.2.1", ("192.0.2.1", 5061), None, True),
        ("sips:bob@example.com;transport=tcp", ("example.com", 0), Transport.TCP, True),
    ],
)
def test_sip_addresses_may_name_their_transport(
    destination: str, next_hop: tuple[str, int], transport: Transport | None, secure: bool
) -> None:
    route = find(destination)
    assert isinstance(route, Route)
    assert route.request_uri == destination
    assert (route.next_hop, route.transport, route.secure) == (next_hop, transport, secure)


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        ("tel:441908273800", "No route: the simulated phone network only has numbers"),
        ("sip:bob@example.com:70000", "No route: port 70000"),
        ("sip:bob@example.com;transport=ws", "No route: SIP over WS is not available"),
        ("sips:bob@example.com;transport=udp", "No route: sips: goes by TLS"),
        ("con:room", "Conferences are not available"),
        ("loc:hotline", "Inbound services are not available"),
        ("webrtc:anna", "WebRTC clients are not available"),
        ("wss://example.com/x", "WebSocket destinations are not available"),
    ],
)
def test_what_cannot_be_called_has_its_reason(destination: str, reason: str) -> None:
    refusal = find(destination)
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith(reason)


def test_a_number_without_trunk_and_simulated_network_says_so() -> None:
    refusal = find("tel:999005550001", sandbox=None)
    assert isinstance(refusal, Refusal)
    assert "no trunk is configured" in refusal.reason


@pytest.mark.parametrize(
    ("host", "reached"),
    [("10.9.9.9", False), ("[::1]", False), ("169.254.169.254", False), ("10.1.2.3", True), ("8.8.8.8", True)],
)
def test_sip_addresses_in_inner_networks_are_called_where_the_operator_opens_them(host: str, reached: bool) -> None:
    routes = Routes(opens=lambda address: address.startswith("10.1."))
    found = routes.find(parse_destination(f"sip:bob@{host}:5070"))
    assert isinstance(found, Route) is reached
    if isinstance(found, Refusal):
        assert "sip.allow" in found.reason
    assert (routes.guarded(host.strip("[]"), 5070) is None) is reached  # what names lead to is judged likewise


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.2", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "localhost"]
)
def test_the_simulated_network_is_called_by_number_alone(host: str) -> None:
    found = find(f"sip:999005550001@{host}:5999")
    assert isinstance(found, Refusal)
    assert "simulated phone network is called by number" in found.reason
