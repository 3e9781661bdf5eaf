"""What an INVITE says to a trunk: number, From, P-Asserted-Identity, Privacy."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from callwright.engine.interface import CallOrder
from callwright.engine.trunk_identity import Dress, dress, rewritten
from callwright.engine.trunk_setup import Trunk
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId

ORDER = CallOrder(
    call_id=CallId("0011223344556677.1.2"),
    destination=parse_destination("tel:447700900123"),
    caller_id="441908273800",
    service_name="demo",
)


def dressed(order: CallOrder = ORDER, **fields: Any) -> Dress:
    return dress(Trunk(name="a", host="carrier.example", **fields), order, domain="us.example")


def test_the_plain_trunk_gets_the_number_and_the_caller_id_as_they_are() -> None:
    assert dressed() == Dress(
        request_uri="sip:447700900123@carrier.example;user=phone",
        from_uri="sip:441908273800@us.example",
        from_display="",
        headers=(),
    )


@pytest.mark.parametrize(
    ("host", "port", "authority"),
    [("192.0.2.9", 5070, "192.0.2.9:5070"), ("2001:db8::9", 0, "[2001:db8::9]"), ("a.example", 5060, "a.example:5060")],
)
def test_the_request_uri_names_the_trunk(host: str, port: int, authority: str) -> None:
    trunk = Trunk(name="a", host=host, port=port)
    assert dress(trunk, ORDER, domain="us.example").request_uri == f"sip:447700900123@{authority};user=phone"


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({}, "447700900123"),
        ({"plus": True}, "+447700900123"),
        ({"strip": "44", "add": "0"}, "07700900123"),
        ({"strip": "353", "add": "00"}, "00447700900123"),
        ({"add": "9", "plus": True}, "+9447700900123"),
    ],
)
def test_the_called_number_is_rewritten(fields: dict[str, Any], number: str) -> None:
    assert rewritten(Trunk(name="a", host="h", **fields), "447700900123") == number


def test_the_plus_is_put_before_the_caller_id_too() -> None:
    assert dressed(plus=True).from_uri == "sip:+441908273800@us.example"


def test_a_service_name_gets_no_plus_and_no_asserted_identity() -> None:
    order = replace(ORDER, caller_id="", service_name="123")
    found = dressed(order, plus=True, assert_identity=True)
    assert found.from_uri == "sip:123@us.example"
    assert found.headers == ()


def test_the_caller_id_is_asserted_when_the_trunk_wants_it() -> None:
    found = dressed(assert_identity=True, from_domain="carrier.example")
    assert found.from_uri == "sip:441908273800@carrier.example"
    assert found.headers == (("P-Asserted-Identity", "<sip:441908273800@carrier.example>"),)


def test_a_from_user_of_the_trunk_takes_the_place_of_the_caller_id() -> None:
    found = dressed(from_user="account7", assert_identity=True)
    assert found.from_uri == "sip:account7@us.example"
    assert found.headers == (("P-Asserted-Identity", "<sip:441908273800@us.example>"),)


def test_a_withheld_caller_id_is_known_to_the_trunk_only() -> None:
    found = dressed(withhold=True)
    assert found.from_uri == "sip:anonymous@anonymous.invalid"
    assert found.from_display == "Anonymous"
    assert found.headers == (("P-Asserted-Identity", "<sip:441908273800@us.example>"), ("Privacy", "id"))


def test_a_trunk_that_knows_us_by_from_keeps_it_when_the_caller_id_is_withheld() -> None:
    found = dressed(withhold=True, from_user="account7")
    assert found.from_uri == "sip:account7@us.example"
    assert found.from_display == "Anonymous"


def test_headers_of_the_order_follow() -> None:
    order = replace(ORDER, headers=(("X-Campaign", "7"),))
    assert dressed(order, withhold=True).headers[-1] == ("X-Campaign", "7")
