"""From a host to the places to try: RFC 3263, its examples and its dead ends."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from callwright.sip.locating import Found, Kind, Naptr, Question, Srv, by_weight, locate
from callwright.sip.way import Target, Transport


def naptr(order: int, preference: int, service: str, replacement: str, flags: str = "s") -> Naptr:
    return Naptr(order=order, preference=preference, flags=flags, service=service, replacement=replacement)


def srv(target: str, port: int = 5060, *, priority: int = 0, weight: int = 0) -> Srv:
    return Srv(priority=priority, weight=weight, port=port, target=target)


ZONE: dict[tuple[Kind, str], Found] = {
    (Kind.NAPTR, "example.com"): Found(
        naptr=(
            naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com."),
            naptr(100, 50, "SIP+D2U", "_sip._udp.example.com."),
            naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com."),
            naptr(10, 10, "E2U+sip", "!^.*$!sip:x@y!", flags="u"),
            naptr(11, 10, "SIP+D2S", "_sip._sctp.example.com."),
        )
    ),
    (Kind.SRV, "_sip._tcp.example.com"): Found(
        srv=(srv("b.example.com.", 5070, priority=2), srv("a.example.com.", priority=1))
    ),
    (Kind.SRV, "_sip._udp.example.com"): Found(srv=(srv("a.example.com."),)),
    (Kind.SRV, "_sips._tcp.example.com"): Found(srv=(srv("a.example.com.", 5061),)),
    (Kind.SRV, "_sip._udp.only.example.com"): Found(srv=(srv("a.example.com.", 5080),)),
    (Kind.SRV, "_sip._udp.closed.example.com"): Found(srv=(srv("."),)),
    (Kind.ADDRESS, "a.example.com"): Found(addresses=("192.0.2.1", "2001:db8::1")),
    (Kind.ADDRESS, "b.example.com"): Found(addresses=("192.0.2.2",)),
    (Kind.ADDRESS, "plain.example.com"): Found(addresses=("192.0.2.3",)),
}


def found(
    host: str, *, port: int = 0, transport: Transport | None = None, secure: bool = False, **more: object
) -> tuple[list[str], list[Question]]:
    """Locate a host in the zone; returns the targets as texts, and what was asked."""
    asked: list[Question] = []
    lookup = locate(host, port=port, transport=transport, secure=secure, dice=lambda most: 0, **more)  # type: ignore[arg-type]
    try:
        question = next(lookup)
        while True:
            asked.append(question)
            question = lookup.send(ZONE.get((question.kind, question.name), Found()))
    except StopIteration as end:
        targets: list[Target] = end.value
        return [f"{target.way.transport} {target.host} {target.port}" for target in targets], asked


def test_naptr_chooses_the_transport_and_srv_the_order() -> None:
    targets, asked = found("example.com")
    assert targets[:2] == ["tls 192.0.2.1 5061", "tls 2001:db8::1 5061"]
    assert targets[2:5] == ["tcp 192.0.2.1 5060", "tcp 2001:db8::1 5060", "tcp 192.0.2.2 5070"]
    assert targets[5:] == ["udp 192.0.2.1 5060", "udp 2001:db8::1 5060"]
    assert asked[0] == Question(kind=Kind.NAPTR, name="example.com")


def test_only_what_we_speak_is_followed() -> None:
    assert found("example.com", supported=(Transport.UDP,))[0] == ["udp 192.0.2.1 5060", "udp 2001:db8::1 5060"]


def test_a_secure_uri_leads_to_tls_alone_and_proves_the_domain_asked_for() -> None:
    assert found("example.com", secure=True)[0] == ["tls 192.0.2.1 5061", "tls 2001:db8::1 5061"]
    assert found("example.com", secure=True, transport=Transport.TCP)[0][0] == "tls 192.0.2.1 5061"
    lookup = locate("a.example.com", port=5061, transport=Transport.TLS, dice=lambda most: 0)
    next(lookup)
    with pytest.raises(StopIteration) as end:
        lookup.send(Found(addresses=("192.0.2.1",)))
    assert [target.way.name for target in end.value.value] == ["a.example.com"]


def test_a_named_transport_skips_naptr() -> None:
    targets, asked = found("example.com", transport=Transport.UDP)
    assert targets == ["udp 192.0.2.1 5060", "udp 2001:db8::1 5060"]
    assert [question.kind for question in asked] == [Kind.SRV, Kind.ADDRESS]


def test_a_named_port_skips_srv() -> None:
    targets, asked = found("plain.example.com", port=5099)
    assert targets == ["udp 192.0.2.3 5099"]
    assert [question.kind for question in asked] == [Kind.ADDRESS]


def test_without_naptr_every_srv_name_is_tried() -> None:
    assert found("only.example.com")[0] == ["udp 192.0.2.1 5080", "udp 2001:db8::1 5080"]


def test_without_any_record_the_name_itself_is_the_server() -> None:
    assert found("plain.example.com")[0] == ["udp 192.0.2.3 5060"]
    assert found("plain.example.com", transport=Transport.TLS)[0] == ["tls 192.0.2.3 5061"]


def test_a_name_without_address_leads_nowhere() -> None:
    assert found("nowhere.example.com")[0] == []
    assert found("closed.example.com", transport=Transport.UDP)[0] == []


@pytest.mark.parametrize(
    ("host", "target"), [("192.0.2.9", "udp 192.0.2.9 5060"), ("2001:db8::9", "udp 2001:db8::9 5060")]
)
def test_an_address_asks_nobody(host: str, target: str) -> None:
    assert found(host) == ([target], [])


def test_priorities_come_first_and_weights_share_the_first_place() -> None:
    records = [srv("c", priority=2), srv("a", priority=1, weight=30), srv("b", priority=1, weight=10)]
    chance = Random(7)
    firsts = Counter(by_weight(records, lambda most: chance.randint(0, most))[0].target for _ in range(4000))
    assert set(firsts) == {"a", "b"}
    assert 0.70 < firsts["a"] / 4000 < 0.80
    assert all(by_weight(records, lambda most: chance.randint(0, most))[2].target == "c" for _ in range(50))


def test_records_without_weight_are_seldom_first_but_never_lost() -> None:
    records = [srv("heavy", weight=100), srv("light", weight=0)]
    assert [record.target for record in by_weight(records, lambda most: most)] == ["heavy", "light"]
    assert [record.target for record in by_weight(records, lambda most: 0)] == ["light", "heavy"]
