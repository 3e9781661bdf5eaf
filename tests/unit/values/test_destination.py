from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.values.destination import (
    MAX_DESTINATION_CHARS,
    Destination,
    DestinationKind,
    parse_destination,
    parse_number,
)
from callwright.values.errors import RequestError

GOOD = [
    ("441908273800", DestinationKind.TEL, "441908273800"),
    ("44-1908-273800", DestinationKind.TEL, "441908273800"),
    ("tel:441908273800", DestinationKind.TEL, "441908273800"),
    ("tel:+441908273800", DestinationKind.TEL, "441908273800"),
    ("TEL:44-1908-273800", DestinationKind.TEL, "441908273800"),
    ("tel:999005550001", DestinationKind.TEL, "999005550001"),
    ("sip:contact@example.com", DestinationKind.SIP, "contact@example.com"),
    ("contact@example.com", DestinationKind.SIP, "contact@example.com"),
    ("sip:bob@[2001:db8::1]:5070", DestinationKind.SIP, "bob@[2001:db8::1]:5070"),
    ("sip:+44190@example.com;transport=tcp", DestinationKind.SIP, "+44190@example.com;transport=tcp"),
    ("example.com", DestinationKind.SIP, "example.com"),
    ("loc:my_inbound_service", DestinationKind.LOC, "my_inbound_service"),
    ("webrtc:clientId", DestinationKind.WEBRTC, "clientId"),
    ("wss://www.example.com/mywsapp?a=b", DestinationKind.WSS, "//www.example.com/mywsapp?a=b"),
    ("con:MyConferenceRoom", DestinationKind.CON, "MyConferenceRoom"),
]

BAD = [
    ("", "empty"),
    ("tel:", "not a telephone number"),
    ("tel:0441908273800", "starts with 0"),
    ("01908273800", "starts with 0"),
    ("tel:44--1908", "not a telephone number"),
    ("tel:-441908", "not a telephone number"),
    ("tel:44 1908", "not a telephone number"),
    ("tel:1", "has 1 digits"),
    ("tel:1234567890123456789", "has 19 digits"),
    ("+441908273800", "write tel:+"),
    ("sip:", "not a SIP address"),
    ("sip:bob@", "not a SIP address"),
    ("sip:bob smith@example.com", "not a SIP address"),
    ("sip:bob@example.com\r\nX-Evil: 1", "not a SIP address"),
    ("loc:a/b", "not an inbound service name"),
    ("webrtc:", "not a WebRTC client id"),
    ("con:my room", "not a conference room name"),
    ("wss:www.example.com", "not a secure WebSocket URL"),
    ("wss://", "not a secure WebSocket URL"),
    ("sip:" + "a" * MAX_DESTINATION_CHARS + "@example.com", "longer than"),
]


@pytest.mark.parametrize(("text", "kind", "address"), GOOD)
def test_destination_is_understood(text: str, kind: DestinationKind, address: str) -> None:
    assert parse_destination(text) == Destination(kind=kind, address=address, given=text)


@pytest.mark.parametrize(("text", "problem"), BAD)
def test_impossible_destination_is_refused_with_a_reason(text: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        parse_destination(text)


@pytest.mark.parametrize("text", ["44190827\n", "tel:44190827\n", "a@b\n", "con:room\n", "wss://host/\n"])
def test_a_trailing_line_end_is_never_let_through(text: str) -> None:
    with pytest.raises(RequestError):
        parse_destination(text)


@pytest.mark.parametrize("text", ["tel:٤٤١٩٠٨", "٤٤١٩٠٨", "sip:bob@example.com:٥٠٦٠"])
def test_only_ascii_digits_are_digits(text: str) -> None:
    with pytest.raises(RequestError):
        parse_destination(text)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_a_destination_or_a_request_error(text: str) -> None:
    try:
        found = parse_destination(text)
    except RequestError:
        return
    assert found.given == text
    assert not set(found.address) & set("\r\n\0 ")


@given(st.from_regex(r"[1-9][0-9]{1,17}", fullmatch=True), st.sampled_from(["", "tel:", "tel:+", "Tel:"]))
def test_number_means_the_same_in_every_spelling(digits: str, prefix: str) -> None:
    assert parse_destination(prefix + digits).prefixed == f"tel:{digits}"


@given(st.sampled_from([text for text, _, _ in GOOD]))
def test_the_prefixed_form_parses_to_the_same_destination(text: str) -> None:
    first = parse_destination(text)
    again = parse_destination(first.prefixed)
    assert (again.kind, again.address, again.prefixed) == (first.kind, first.address, first.prefixed)


def test_a_number_may_carry_plus_and_dashes() -> None:
    assert parse_number("+44-1908-273800") == "441908273800"
