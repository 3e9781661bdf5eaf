"""Datagrams into messages, each sample also with something trailing and cut at every byte."""

from __future__ import annotations

import pytest

from callwright.sip.errors import SipParseError
from callwright.sip.message import Request, Response
from callwright.sip.parser import MAX_HEADERS, BadRequest, parse_message

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n"
    b"To: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nSubject: folded\r\n  text\r\n"
    b"Content-Length: 4\r\n\r\nbody"
)
OK = (
    b"SIP/2.0 200 Sehr gut\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nf: <sip:a@h>;tag=1\r\n"
    b"t: <sip:bob@example.com>;tag=2\r\ni: c1\r\nCSeq: 1 INVITE\r\n\r\nbody"
)


def test_a_request_is_read() -> None:
    message = parse_message(INVITE)
    assert isinstance(message, Request)
    assert (message.method, message.uri, message.body) == ("INVITE", "sip:bob@example.com", b"body")
    assert message.headers.get("subject") == "folded text"
    assert (message.head.cseq, message.head.method, message.head.call_id) == (1, "INVITE", "c1")


def test_a_response_is_read_and_without_length_its_body_is_the_rest() -> None:
    message = parse_message(OK)
    assert isinstance(message, Response)
    assert (message.code, message.reason, message.body) == (200, "Sehr gut", b"body")
    assert message.head.to.tag == "2"


def test_a_status_line_may_lack_its_reason() -> None:
    for start in (b"SIP/2.0 200", b"SIP/2.0 200 ", b"sip/2.0 200 "):
        message = parse_message(start + OK[OK.index(b"\r\n") :])
        assert isinstance(message, Response)
        assert message.reason == ""


@pytest.mark.parametrize("end", [b"\r", b"\n"])
def test_a_bare_line_end_in_a_reason_is_refused(end: bytes) -> None:
    with pytest.raises(SipParseError, match="not a status line"):
        parse_message(b"SIP/2.0 200 OK" + end + b"SIP/2.0 486 Busy" + OK[OK.index(b"\r\n") :])


def test_what_trails_the_body_and_line_ends_in_front_are_ignored() -> None:
    assert parse_message(b"\r\n\r\n" + INVITE + b"trailing") == parse_message(INVITE)


@pytest.mark.parametrize("sample", [INVITE, OK])
def test_cut_anywhere_a_message_is_read_or_refused(sample: bytes) -> None:
    for length in range(len(sample)):
        try:
            parse_message(sample[:length])
        except SipParseError:
            continue
        assert sample is OK
        assert length >= len(sample) - 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"CSeq: 1 INVITE\r\n", b""),
        (b"CSeq: 1 INVITE", b"CSeq: 1 BYE"),
        (b"CSeq: 1 INVITE", b"CSeq: 1 INVITE\r\nCSeq: 1 INVITE"),
        (b"Call-ID: c1", b"Call-ID:"),
        (b"Content-Length: 4", b"Content-Length: 5"),
        (b"Content-Length: 4", b"Content-Length: -4"),
        (b"Content-Length: 4", b"Content-Length: \xc2\xb2"),
        (b"Content-Length: 4", b"Content-Length: 4\r\nl: 4"),
        (b"Subject: folded", b"Subject folded"),
        (b"Subject: folded", b"Sub ject: folded"),
        (b"Subject: folded", b"Subject: fol\nded"),
        (b"Subject: folded", b"Max-Forwards: 300"),
        (b"Subject: folded", b"Max-Forwards: x"),
        (b"INVITE sip:bob@example.com SIP/2.0", b"INVITE  sip:bob@example.com SIP/2.0"),
        (b"INVITE sip:bob@example.com SIP/2.0", b"INVITE <sip:bob@example.com> SIP/2.0"),
        (b"INVITE sip:bob@example.com SIP/2.0", b"INVITE sip:bob@example.com"),
        (b"INVITE sip:bob@example.com SIP/2.0", b"INVITE sip:bob@example.com HTTP/1.1"),
        (b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", b"Via: ,"),
    ],
)
def test_a_broken_request_is_refused_with_400(old: bytes, new: bytes) -> None:
    assert old in INVITE
    with pytest.raises(BadRequest) as caught:
        parse_message(INVITE.replace(old, new))
    assert caught.value.code == 400
    assert caught.value.method == "INVITE"


def test_another_version_is_refused_with_505() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_message(INVITE.replace(b" SIP/2.0\r\n", b" SIP/3.0\r\n", 1))
    assert caught.value.code == 505


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x60\x00\x01rtp",
        b"{}\r\n\r\n",
        b"SIP/2.0 99 Low" + OK[OK.index(b"\r\n") :],
        b"SIP/2.0 700 High" + OK[OK.index(b"\r\n") :],
        OK.replace(b"CSeq", b"X"),
        INVITE.replace(b"\r\n\r\n", b"\r\n" + b"X: 1\r\n" * MAX_HEADERS + b"\r\n"),
        INVITE + b"x" * 66_000,
    ],
)
def test_what_deserves_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(data)
    assert not isinstance(caught.value, BadRequest)


def test_bytes_that_are_not_utf_8_come_out_as_they_went_in() -> None:
    data = INVITE.replace(b"folded", b"caf\xe9").replace(b"\r\n  text", b"")
    assert b"Subject: caf\xe9\r\n" in parse_message(data).render()


def test_within_a_dialog_a_garbled_request_uri_is_no_reason_to_refuse() -> None:
    data = INVITE.replace(b"sip:bob@example.com SIP", b"sip:bob@:5060 SIP")
    with pytest.raises(BadRequest):
        parse_message(data)
    assert parse_message(data.replace(b"To: <sip:bob@example.com>", b"To: <sip:bob@example.com>;tag=2"))
