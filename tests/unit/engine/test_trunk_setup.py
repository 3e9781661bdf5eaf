"""What a trunk may be set up as."""

from __future__ import annotations

from typing import Any

import pytest

from callwright.engine.trunk_setup import Trunk, TrunkPrefix, check_trunk, parse_prefix
from callwright.sip.way import Transport
from callwright.values.errors import RequestError


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("*", TrunkPrefix()),
        ("44", TrunkPrefix(digits="44")),
        ("+44:2", TrunkPrefix(digits="44", priority=2)),
        ("447:2:10", TrunkPrefix(digits="447", priority=2, weight=10)),
        ("*:0:0", TrunkPrefix(priority=0, weight=0)),
    ],
)
def test_a_prefix_is_digits_with_priority_and_weight(text: str, prefix: TrunkPrefix) -> None:
    assert parse_prefix(text) == prefix
    assert parse_prefix(str(prefix)) == prefix


@pytest.mark.parametrize("text", ["", "44:", "44:a", "44:1:2:3", ":1", "44:-1", "44:99999"])
def test_a_prefix_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is not a prefix"):
        parse_prefix(text)


def test_a_trunk_with_a_name_and_a_host_is_good() -> None:
    check_trunk(Trunk(name="carrier-1", host="sip.example"))
    check_trunk(Trunk(name="a", host="2001:db8::9", port=5070, user="u", password="p", register=True))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", {"name": "a b"}),
        ("name", {"name": ""}),
        ("host", {"host": "sip.example:5070"}),
        ("host", {"host": "a\r\nb"}),
        ("port", {"port": 65536}),
        ("prefixes", {"prefixes": ()}),
        ("prefixes", {"prefixes": (TrunkPrefix(), TrunkPrefix(priority=2))}),
        ("prefixes", {"prefixes": (TrunkPrefix(digits="4a"),)}),
        ("user", {"password": "p"}),
        ("user", {"register": True}),
        ("user", {"register": True, "user": "a b"}),
        ("password", {"user": "u", "password": "a\nb"}),
        ("expires_s", {"expires_s": 5}),
        ("from_user", {"from_user": "a@b"}),
        ("from_domain", {"from_domain": "a>b"}),
        ("strip", {"strip": "+44"}),
        ("add", {"add": "a"}),
        ("codecs", {"codecs": ("PCMA", "PCMA")}),
        ("codecs", {"codecs": ("OPUS",)}),
        ("codecs", {"codecs": ()}),
        ("max_calls", {"max_calls": 0}),
        ("max_cps", {"max_cps": 0.0}),
        ("check_every_s", {"check_every_s": 0.5}),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(field: str, change: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"name": "a", "host": "h"}
    with pytest.raises(RequestError) as refused:
        check_trunk(Trunk(**(plain | change)))
    assert refused.value.field == field


def test_the_password_is_not_in_the_repr() -> None:
    assert "open sesame" not in repr(Trunk(name="a", host="h", user="u", password="open sesame"))


def test_without_a_port_an_address_has_the_usual_one_and_a_name_the_one_srv_gives() -> None:
    assert Trunk(name="a", host="192.0.2.9").address == ("192.0.2.9", 5060)
    assert Trunk(name="a", host="2001:db8::9", transport=Transport.TLS).address == ("2001:db8::9", 5061)
    assert Trunk(name="a", host="sip.example").address == ("sip.example", 0)
    assert Trunk(name="a", host="sip.example", port=5070).address == ("sip.example", 5070)
