from __future__ import annotations

import pytest

from callwright.sip.errors import SipParseError, UnsafeText
from callwright.sip.headers import (
    Address,
    Headers,
    clean,
    header_value,
    parse_address,
    parse_cseq,
    parse_params,
    parse_via,
    quote,
    safe,
    safe_pairs,
    split_commas,
    unquote,
)


def test_headers_are_found_by_long_and_compact_name_in_any_case() -> None:
    headers = Headers([("f", "1"), ("VIA", "a"), ("v", "b"), ("X-Mine", "3")])
    assert headers.get("from") == "1"
    assert headers.all("via") == ["a", "b"]
    assert headers.get("x-mine") == "3"
    assert headers.get("to") is None
    assert headers.all("to") == []
    assert header_value(headers.pairs, "From") == "1"
    assert header_value(headers.pairs, "Nothing") is None


def test_headers_are_equal_when_their_fields_are() -> None:
    assert Headers([("a", "1")]) == Headers([("a", "1")])
    assert hash(Headers([("a", "1")])) == hash(Headers([("a", "1")]))
    assert Headers([("a", "1")]) != Headers([("a", "2")])
    assert Headers([]) != 1
    assert repr(Headers([("a", "1")])) == "Headers((('a', '1'),))"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" a ", ["a"]),
        ("a,b", ["a", "b"]),
        ("a, ,b,", ["a", "b"]),
        ('"x,\\",y" <sip:a,b@h>;p="1,2", c', ['"x,\\",y" <sip:a,b@h>;p="1,2"', "c"]),
    ],
)
def test_comma_lists_leave_quotes_and_brackets_alone(text: str, pieces: list[str]) -> None:
    assert split_commas(text) == pieces
    assert Headers([("Contact", text)]).listed("contact") == pieces


def test_an_open_quote_in_a_list_is_refused() -> None:
    with pytest.raises(SipParseError):
        split_commas('a,"b')


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sip:a@h", Address(uri="sip:a@h")),
        ("sip:a@h;tag=1", Address(uri="sip:a@h", params={"tag": "1"})),
        ("<sip:a@h;lr>", Address(uri="sip:a@h;lr")),
        ('"A \\"B\\" <C>" <sip:a@h> ; Tag = x', Address(display='A "B" <C>', uri="sip:a@h", params={"tag": "x"})),
        ("A. Bell<sip:a@h>;flag", Address(display="A. Bell", uri="sip:a@h", params={"flag": None})),
        ("J\xf6rg <sip:a@h>", Address(display="J\xf6rg", uri="sip:a@h")),
        ("< sip:a@h >", Address(uri="sip:a@h")),
    ],
)
def test_addresses_are_read_in_every_form(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "<>",
        '"A <sip:a@h>',
        "A, B <sip:a@h>",
        "<sip:a@h",
        "<sip:a@h> x",
        "<sip:a@h>;;",
        "sip:a@h;=",
        "sip:a b@h",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_address(text)


def test_a_hostile_address_costs_no_more_than_its_length() -> None:
    for text in (" " * 60_000 + '"<', "<" + " " * 60_000, '"' + "\\a" * 30_000, "a" * 60_000 + ",<"):
        with pytest.raises(SipParseError):
            parse_address(text)


def test_via_allows_free_spaces_and_any_transport() -> None:
    via = parse_via("sip / 2.0 / tcp   h.example.com : 5080 ; branch = z9hG4bK1 ;rport")
    assert (via.transport, via.host, via.port, via.branch) == ("TCP", "h.example.com", 5080, "z9hG4bK1")
    assert via.params["rport"] is None
    assert parse_via("SIP/2.0/UDP [::1]").branch == ""


@pytest.mark.parametrize("text", ["", "SIP/2.0/UDP", "SIP/3.0/UDP h", "SIP/2.0/UDP h:0", "SIP/2.0/UDP h;;", "UDP h"])
def test_what_is_no_via_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_via(text)


def test_cseq_is_a_number_below_2_to_31_and_a_method() -> None:
    assert parse_cseq("0009 INVITE") == (9, "INVITE")
    for text in ("", "INVITE", "1", "-1 INVITE", "2147483648 INVITE", f"{'9' * 5000} INVITE", "1 IN VITE"):
        with pytest.raises(SipParseError):
            parse_cseq(text)


def test_parameters_may_be_quoted() -> None:
    assert parse_params(';A="x;\\"y" ; b') == {"a": 'x;"y', "b": None}


def test_quoting_and_unquoting_undo_each_other() -> None:
    for text in ("", "plain", 'with "quotes"', "back\\slash"):
        assert unquote(quote(text)) == text
    assert unquote('"') == '"'


def test_clean_keeps_readable_text_and_replaces_the_rest() -> None:
    assert clean("J\xf6rg \u2603") == "J\xf6rg \u2603"
    assert clean("a\x00b\x1b\udce9") == "a\ufffdb\ufffd\ufffd"
    clean("x\udcff").encode()


def test_line_breaks_controls_and_lone_surrogates_are_unsafe() -> None:
    assert safe("tab\tis fine \xe9", "x") == "tab\tis fine \xe9"
    for text in ("a\rb", "a\nb", "a\x00", "\x7f", "\ud800"):
        with pytest.raises(UnsafeText) as caught:
            safe(text, "field")
        assert caught.value.field == "field"


def test_extra_headers_need_a_name_of_their_own() -> None:
    assert safe_pairs([("X-A", "1"), ("User-to-User", "00")]) == [("X-A", "1"), ("User-to-User", "00")]
    for name in ("From", "t", "Content-Length", "Contact", "", "A B", "A:"):
        with pytest.raises(UnsafeText):
            safe_pairs([(name, "x")])
