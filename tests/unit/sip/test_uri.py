from __future__ import annotations

import pytest

from callwright.sip.errors import SipParseError
from callwright.sip.uri import OtherUri, SipUri, parse_sip_uri, parse_uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:example.com", SipUri(host="example.com")),
        ("SIP:bob@example.com:5080", SipUri(user="bob", host="example.com", port=5080)),
        ("sips:bob:pw@[2001:db8::1]", SipUri(scheme="sips", user="bob", password="pw", host="[2001:db8::1]")),
        ("sip:b@h;lr;transport=UDP", SipUri(user="b", host="h", params=(("lr", None), ("transport", "UDP")))),
        ("sip:user;par=u%40x@h", SipUri(user="user;par=u%40x", host="h")),
        ("sip:b@h;a=?x=y", SipUri(user="b", host="h", params=(("a", ""),), headers="x=y")),
    ],
)
def test_sip_uris_are_read_into_their_parts(text: str, uri: SipUri) -> None:
    assert parse_uri(text) == uri
    assert parse_uri(str(uri)) == uri


def test_other_schemes_are_kept_as_text() -> None:
    assert parse_uri("tel:+44123") == OtherUri(scheme="tel", rest="+44123")
    assert str(parse_uri("TEL:+44123")) == "tel:+44123"
    with pytest.raises(SipParseError) as caught:
        parse_sip_uri("tel:+44123")
    assert caught.value.code == 416


NO_URIS = """example.com sip: <sip:a@h> sip:"a"@h sip:a@h:0 sip:a@h:65536 sip:a@h:x sip:@h sip:a@b@c sip:a@h;;"""


@pytest.mark.parametrize("text", ["", "sip:a b@h", "sip:a@\x00h", "sip:a@h\r\n", *NO_URIS.split()])
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_uri(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sip:h", ("h", 5060)),
        ("sip:h:70", ("h", 70)),
        ("sips:h", ("h", 5061)),
        ("sip:h;transport=TLS", ("h", 5061)),
        ("sip:h;transport=UDP", ("h", 5060)),
        ("sip:[::1]:5070", ("::1", 5070)),
    ],
)
def test_the_address_follows_port_scheme_and_transport_in_any_case(text: str, address: tuple[str, int]) -> None:
    assert parse_sip_uri(text).address == address


def test_parameter_names_ignore_case_and_may_have_no_value() -> None:
    uri = parse_sip_uri("sip:h;LR;Maddr=x")
    assert (uri.param("lr"), uri.param("maddr"), uri.param("ttl")) == ("", "x", None)
