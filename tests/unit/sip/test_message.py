from __future__ import annotations

import pytest
from tests.support.sip_talk import request_from_peer

from callwright.sip.errors import SipParseError
from callwright.sip.headers import Headers
from callwright.sip.message import Request, Response, contact_of, read_head, route_set_of
from callwright.sip.parser import parse_message


def test_content_length_is_always_the_true_one() -> None:
    request = Request(method="X", uri="sip:h", headers=Headers([("l", "99"), ("A", "b")]), body=b"123")
    assert request.render() == b"X sip:h SIP/2.0\r\nA: b\r\nContent-Length: 3\r\n\r\n123"


def test_a_message_read_back_is_the_same_but_for_its_content_length() -> None:
    request = request_from_peer("INVITE", body=b"x")
    again = parse_message(request.render())
    assert again.headers.pairs == (*request.headers.pairs, ("Content-Length", "1"))
    assert parse_message(again.render()) == again


def test_the_head_is_read_once_and_names_what_is_missing() -> None:
    request = request_from_peer("BYE")
    assert request.head is request.head
    with pytest.raises(SipParseError, match="cseq"):
        read_head(Headers([("Via", "SIP/2.0/UDP h"), ("From", "sip:a"), ("To", "sip:b"), ("Call-ID", "c")]))


def test_contact_and_record_route_are_read_from_lists() -> None:
    headers = Headers(
        [("m", "<sip:a@h>, <sip:b@h>"), ("Record-Route", "<sip:p1;lr>,<sip:p2>"), ("Record-Route", "<sip:p3>")]
    )
    response = Response(code=200, reason="", headers=headers)
    contact = contact_of(response)
    assert contact is not None
    assert contact.uri == "sip:a@h"
    assert route_set_of(response) == ("<sip:p1;lr>", "<sip:p2>", "<sip:p3>")
    assert contact_of(Response(code=200, reason="", headers=Headers([]))) is None
