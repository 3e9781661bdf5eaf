"""Where a redirected call may go on: the order, the end of it, and what is never followed."""

from __future__ import annotations

import pytest

from callwright.engine.redirects import (
    MOST_FOLLOWED,
    NotFollowed,
    Trail,
    address_beyond,
    contacts,
    is_inner,
    number_within,
    same_place,
    where_led,
)
from callwright.engine.trunk_setup import Trunk
from callwright.sip.way import Transport


def contact(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple(("Contact", value) for value in values)


# --- order


def test_contacts_come_by_q_and_equals_as_written() -> None:
    written = contact("<sip:low@x>;q=0.1, <sip:first@x>", "<sip:second@x>;q=1.0", "sip:mid@x;q=0.7", "<sip:none@x>;q=0")
    assert contacts(written) == ["sip:first@x", "sip:second@x", "sip:mid@x", "sip:low@x", "sip:none@x"]


@pytest.mark.parametrize("q", ["high", "", "2", "0.1234", "-1", "1e9", "0.²", "nan"])
def test_a_q_that_is_none_comes_last(q: str) -> None:
    assert contacts(contact(f'<sip:odd@x>;q="{q}"', "<sip:good@x>;q=0.001"))[0] == "sip:good@x"


@pytest.mark.parametrize("value", ["*", '"', "<sip:x", "", "no uri at all", "<>"])
def test_contacts_that_cannot_be_read_are_left_out(value: str) -> None:
    assert contacts(contact(value)) == []


def test_hostile_lists_are_cut() -> None:
    assert len(contacts(contact(", ".join(f"<sip:{n}@x>" for n in range(1000))))) == 10


# --- trail


def redirect(trail: Trail, *uris: str) -> str | None:
    assert trail.goes_on(302, contact(*(f"<{uri}>" for uri in uris)), local=False, rang=False) == bool(uris)
    uri = trail.next()
    if uri is not None:
        trail.followed.append(uri)
    return uri


def begun(uri: str = "sip:first@x") -> Trail:
    trail = Trail()
    trail.begin(uri)
    return trail


def test_no_place_is_asked_twice_however_it_is_written() -> None:
    trail = begun("sip:Anna@X:5060;user=phone")
    assert redirect(trail, "sip:Anna@x") is None
    assert trail.why_not == "it leads back to where the call was already"
    assert redirect(trail, "sip:anna@x") == "sip:anna@x"  # users are told apart by case (RFC 3261 19.1.4)
    assert redirect(trail, "sip:Anna@x;transport=tcp") == "sip:Anna@x;transport=tcp"


def test_only_so_many_redirections_are_followed() -> None:
    trail = begun()
    for n in range(MOST_FOLLOWED):
        assert redirect(trail, f"sip:{n}@x")
    assert redirect(trail, "sip:one-too-many@x") is None
    assert trail.why_not == f"it was redirected {MOST_FOLLOWED} times"


@pytest.mark.parametrize("code", [300, 301, 302])
def test_redirections_are_followed(code: int) -> None:
    assert begun().goes_on(code, contact("<sip:new@x>"), local=False, rang=False)


@pytest.mark.parametrize("code", [305, 380, 399, 404, 486, 503])
def test_nothing_else_leads_to_a_contact(code: int) -> None:
    assert not begun().goes_on(code, contact("<sip:new@x>"), local=False, rang=False)


def test_a_telephone_that_rang_may_still_send_the_call_on() -> None:
    assert begun().goes_on(302, contact("<sip:new@x>"), local=False, rang=True)


@pytest.mark.parametrize(
    ("code", "local", "rang", "tried"),
    [
        (404, False, False, True),
        (480, False, False, True),
        (503, False, False, True),
        (503, True, False, True),
        (408, True, False, False),
        (480, False, True, False),
        (486, False, False, False),
        (600, False, False, False),
        (603, False, False, False),
    ],
)
def test_next_contact_is_tried_only_when_nobody_was_or_may_have_been_rung(
    code: int, local: bool, rang: bool, tried: bool
) -> None:
    trail = begun()
    assert redirect(trail, "sip:second@x", "sip:third@x") == "sip:second@x"
    assert trail.goes_on(code, (), local=local, rang=rang) is tried


def test_places_named_later_come_before_those_named_earlier() -> None:
    trail = begun()
    assert redirect(trail, "sip:a@x", "sip:b@x") == "sip:a@x"
    assert redirect(trail, "sip:a1@x", "sip:b@x") == "sip:a1@x"
    assert trail.waiting == ["sip:b@x"]


@pytest.mark.parametrize("uri", ["tel:+4412345", "http://x/", "not a uri", "sip:"])
def test_every_text_has_a_place(uri: str) -> None:
    assert same_place(uri) == uri


# --- within a trunk

TRUNK = Trunk(name="carrier", host="sip.carrier.example")
REWRITING = Trunk(name="carrier", host="192.0.2.1", strip="44", add="0", plus=False)
HOSTS = {"192.0.2.1", "192.0.2.2"}


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:447700900123@sip.carrier.example", "447700900123"),
        ("sip:+44-7700-900123@SIP.carrier.example;user=phone", "447700900123"),
        ("sip:+447700900123;npdi;rn=+447700@192.0.2.2:5080", "447700900123"),
        ("tel:+44-7700-900123", "447700900123"),
        ("sips:447700900123@192.0.2.1", "447700900123"),
    ],
)
def test_a_number_of_the_trunk_is_read_back(uri: str, number: str) -> None:
    assert number_within(TRUNK, uri, hosts=HOSTS) == number


def test_a_number_is_read_back_as_the_trunk_writes_it() -> None:
    assert number_within(REWRITING, "sip:07700900123@192.0.2.1", hosts=HOSTS) == "447700900123"
    assert number_within(REWRITING, "sip:+353861234567@192.0.2.1", hosts=HOSTS) == "353861234567"


@pytest.mark.parametrize(
    "uri",
    [
        "sip:447700900123@198.51.100.7",
        "sip:447700900123@evil.example",
        "sip:447700900123@carrier.example",
        "sip:anna@sip.carrier.example",
        "sip:sip.carrier.example",
        "sip:00447700900123@sip.carrier.example",
        "sip:999%30@sip.carrier.example",
        "sip:٤٤@sip.carrier.example",
        "tel:112;phone-context=+44",
        "tel:",
        "http://sip.carrier.example/",
        "mailto:x@y",
        "",
    ],
)
def test_a_trunk_is_never_left_and_only_full_numbers_are_dialled(uri: str) -> None:
    with pytest.raises(NotFollowed):
        number_within(TRUNK, uri, hosts=HOSTS)


# --- to SIP addresses


def test_an_address_loses_what_a_contact_wants_to_add_to_the_invite() -> None:
    place = address_beyond("sip:anna:pw@x.example:5080;transport=tcp;method=INVITE?Route=%3Csip:evil%3E", secure=False)
    assert place.request_uri == "sip:anna:pw@x.example:5080;transport=tcp"
    assert (place.host, place.port, place.transport, place.secure) == ("x.example", 5080, Transport.TCP, False)


def test_a_call_may_become_secure_but_not_less() -> None:
    assert address_beyond("sips:anna@x.example", secure=False).secure
    assert address_beyond("sips:anna@x.example", secure=True).secure
    with pytest.raises(NotFollowed, match="TLS"):
        address_beyond("sip:anna@x.example;transport=tls", secure=True)


@pytest.mark.parametrize(
    "uri",
    [
        "tel:+447700900123",
        "sip:anna@x;method=BYE",
        "sip:anna@x;transport=sctp",
        "sips:anna@x;transport=udp",
        "mailto:anna@x",
        "sip:a b@x",
    ],
)
def test_what_is_no_sip_address_to_call_is_not_followed(uri: str) -> None:
    with pytest.raises(NotFollowed):
        address_beyond(uri, secure=False)


@pytest.mark.parametrize(
    ("host", "inner"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.0.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("ff02::1", True),
        ("2002:a00:1::", True),
        ("64:ff9b::10.0.0.1", True),
        ("64:ff9b:1::7f00:1", True),
        ("64:ff9b::8.8.8.8", False),
        ("8.8.8.8", False),
        ("2606:4700::1111", False),
        ("::ffff:8.8.8.8", False),
    ],
)
def test_inner_addresses_are_known(host: str, inner: bool) -> None:
    assert is_inner(host) is inner


# --- what is told of it


def test_where_it_led_is_told_in_order_and_short() -> None:
    assert where_led(()) == ""
    assert where_led(["sip:ann@[2001:db8::1]:5070;user=phone;transport=tcp"]) == (
        "redirected to sip:ann@[2001:db8::1]:5070"
    )
    assert where_led(["sips:a@x", "tel:+44"]) == "redirected to sips:a@x, then to tel:+44"
    assert len(where_led([f"sip:{'a' * 5000}@x"])) < 100


def test_secrets_and_bytes_that_are_no_text_are_not_told() -> None:
    assert where_led(["sip:ann:secret@x.example;a=b?Subject=c"]) == "redirected to sip:ann@x.example"
    where_led([b"sip:\xff@x".decode("utf-8", "surrogateescape")]).encode()
