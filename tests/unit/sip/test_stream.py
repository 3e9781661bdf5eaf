"""Streams are cut into messages wherever the network cuts them into pieces."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import request_from_peer

from callwright.sip.errors import SipParseError
from callwright.sip.parser import MAX_MESSAGE
from callwright.sip.stream import Framer

INVITE = request_from_peer("INVITE", body=b"v=0\r\n\r\nnot the end\r\n").render()
BYE = request_from_peer("BYE").render()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 100, 10_000])
def test_messages_come_out_whole_whatever_the_pieces(size: int) -> None:
    stream = b"\r\n\r\n" + INVITE + BYE + b"\r\n" + INVITE + b"\r\n\r\n" + b"\r\n\r\n" + BYE
    framer = Framer()
    messages = [message for at in range(0, len(stream), size) for message in framer.feed(stream[at : at + size])]
    assert messages == [INVITE, BYE, INVITE, BYE]
    assert framer.pings == 3
    assert framer.is_empty


def test_one_empty_line_is_no_ping() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n" + BYE) == [BYE]
    assert framer.pings == 0


def test_a_message_without_a_length_has_no_body() -> None:
    head = b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n"
    assert Framer().feed(head + BYE) == [head, BYE]


@pytest.mark.parametrize("line", [b"Content-Length: 3", b"l:3", b"CONTENT-LENGTH \t:  3 ", b"Content-Length:\r\n 3"])
def test_the_length_is_found_however_it_is_written(line: bytes) -> None:
    message = b"INFO sip:a SIP/2.0\r\nX-Content-Length: 9\r\n" + line + b"\r\n\r\nabc"
    assert Framer().feed(message + BYE) == [message, BYE]


@pytest.mark.parametrize(
    "stream",
    [
        b"\x16\x03\x01\x02\x00\x01" * 20,  # TLS on the wrong port
        b"x" * 100,
        b"\rOPTIONS sip:a SIP/2.0\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: many\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: \r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\n" + b"X: y\r\n" * (MAX_MESSAGE // 6),
        b"\x00\x00\r\n\r\n",
    ],
)
def test_what_cannot_be_cut_breaks_the_stream(stream: bytes) -> None:
    for size in (1, len(stream)):
        framer = Framer()
        with pytest.raises(SipParseError):
            _ = [framer.feed(stream[at : at + size]) for at in range(0, len(stream), size)]


def test_a_begun_message_is_remembered_as_such() -> None:
    framer = Framer()
    assert framer.feed(INVITE[:30]) == []
    assert not framer.is_empty


def test_empty_lines_are_no_begun_message() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n") == []
    assert framer.is_empty


def test_where_we_ask_lone_empty_lines_are_answers_however_many_come() -> None:
    framer = Framer(asks=True)
    for _ in range(3):
        assert framer.feed(b"\r\n") == []
    assert (framer.pongs, framer.pings) == (3, 0)
    assert framer.feed(b"\r\n\r\n") == []
    assert (framer.pongs, framer.pings) == (3, 1)
    assert framer.feed(b"\r\n" + BYE) == [BYE]
