"""Who a call says it is from."""

from __future__ import annotations

import pytest

from callwright.engine.caller_identity import from_uri
from callwright.engine.interface import CallOrder
from callwright.sip.uri import parse_sip_uri
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId


def sender(caller_id: str, *, to: str = "sip:bob@example.com", service_name: str = "hello") -> str:
    order = CallOrder(
        call_id=CallId("0.1.1"), destination=parse_destination(to), caller_id=caller_id, service_name=service_name
    )
    return from_uri(order, domain="cloud.test")


@pytest.mark.parametrize(
    ("caller_id", "to", "expected"),
    [
        ("441908273800", "tel:4412", "sip:441908273800@cloud.test"),
        ("+44-1908-273800", "tel:4412", "sip:441908273800@cloud.test"),
        ("alice-2", "tel:4412", "sip:alice-2@cloud.test"),
        ("+44-1908", "sip:bob@example.com", "sip:+44-1908@cloud.test"),
        ("alice", "sip:bob@example.com", "sip:alice@cloud.test"),
        ("alice@home.example:5070", "sip:bob@example.com", "sip:alice@home.example:5070"),
        ("sip:alice@home.example", "sip:bob@example.com", "sip:alice@home.example"),
    ],
)
def test_caller_id_becomes_the_user_or_the_whole_address(caller_id: str, to: str, expected: str) -> None:
    assert sender(caller_id, to=to) == expected


@pytest.mark.parametrize("name", ["hello", "two words", "me@home", 'né@à <x>;"?', "a:b", "100%", "日本"])
def test_a_service_name_of_any_kind_is_the_user_when_there_is_no_caller_id(name: str) -> None:
    uri = parse_sip_uri(sender("", service_name=name))
    assert uri.host == "cloud.test"
    assert uri.password is None
    assert uri.user
    assert not uri.params


def test_a_service_name_keeps_its_dashes_towards_telephones() -> None:
    assert sender("", to="tel:4412", service_name="my-service") == "sip:my-service@cloud.test"
