"""Round trips of generated messages, and garbage: it is read, or the peer is at fault; nothing else."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.sip_talk import ANSWER, OFFER, PEER, Conversation, plan, request_from_peer, response_to

from callwright.sip.auth import Credentials, make_challenge, parse_parts
from callwright.sip.errors import SipParseError
from callwright.sip.event import Invited
from callwright.sip.headers import (
    Address,
    clean,
    parse_address,
    parse_via,
    plain_name,
    quote,
    split_commas,
    unquote,
)
from callwright.sip.message import Message, Request, Response
from callwright.sip.parser import parse_message
from callwright.sip.uri import SipUri, parse_uri

TOKEN = string.ascii_letters + string.digits + "-.!%*_+`'~"
tokens = st.text(TOKEN, min_size=1, max_size=12)
hosts = st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=12)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
uris = st.builds(
    SipUri,
    user=st.none() | st.text(string.ascii_letters + string.digits + "-_.!~*'()&=+$,;?/%", min_size=1, max_size=12),
    host=hosts,
    port=st.none() | st.integers(1, 65535),
    params=st.lists(st.tuples(tokens, st.none() | tokens), max_size=3).map(tuple),
)


@given(uri=uris)
def test_a_uri_written_and_read_is_the_same(uri: SipUri) -> None:
    assert parse_uri(str(uri)) == uri


@given(display=texts, uri=uris, params=st.dictionaries(tokens.map(str.lower), st.none() | tokens, max_size=3))
def test_an_address_written_and_read_is_the_same(display: str, uri: SipUri, params: dict[str, str | None]) -> None:
    tail = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params.items())
    text = f"{quote(display)} <{uri}>{tail}"
    assert parse_address(text) == Address(display=display, uri=str(uri), params=params)
    assert split_commas(f"{text}, {text}") == [text, text]


@given(text=texts)
def test_quotes_come_off_as_they_went_on(text: str) -> None:
    assert unquote(quote(text)) == text


values = texts.map(str.strip)
extra_headers = st.lists(
    st.tuples(tokens.filter(lambda name: plain_name(name) == name.lower() and len(name) > 1).map("X-".__add__), values),
    max_size=6,
)


@given(headers=extra_headers, body=st.binary(max_size=60), cseq=st.integers(0, 2**31 - 1))
def test_a_request_written_and_read_is_the_same(headers: list[tuple[str, str]], body: bytes, cseq: int) -> None:
    request = request_from_peer("INFO", headers=headers, body=body, cseq=cseq)
    again = parse_message(request.render())
    assert isinstance(again, Request)
    assert again.headers.pairs == (*request.headers.pairs, ("Content-Length", str(len(body))))
    assert (again.method, again.uri, again.body) == (request.method, request.uri, request.body)
    assert again.head == request.head


@given(code=st.integers(100, 699), reason=values, body=st.binary(max_size=60))
def test_a_response_written_and_read_is_the_same(code: int, reason: str, body: bytes) -> None:
    response = response_to(request_from_peer("INVITE"), code, tag="t", body=body)
    response = Response(code=code, reason=reason, headers=response.headers, body=body)
    again = parse_message(response.render())
    assert isinstance(again, Response)
    assert (again.code, again.reason, again.body, again.head) == (code, reason, body, response.head)


@given(text=st.text(max_size=80))
def test_any_text_is_read_by_every_small_parser_or_refused(text: str) -> None:
    for parse in (parse_uri, parse_address, parse_via, split_commas, parse_parts):
        try:
            parse(text)
        except SipParseError:
            pass
    clean(text).encode()


ODD_VALUES = st.sampled_from(
    """ ; , ,, < > <> "< sip: sip:@ <sip:a@[::1]> <sips:x:99999> <tel:+1> * "a\\ a;b=" <sip:a>;tag=;x <http://x> a@b
    SIP/2.0/UDP SIP/2.0/UDP;branch=z9hG4bK 1 2147483648 -1 Digest Digest,realm= \udcff \udc80;tag=\udcff""".split()
)
NAMES = (
    "Via From To Call-ID CSeq Contact Record-Route Route Require Content-Type Content-Length Accept Max-Forwards "
    "Reason WWW-Authenticate Proxy-Authenticate Authorization Content-Encoding Supported v f t i m l"
).split()


@st.composite
def mangled(draw: st.DrawFn, data: bytes) -> bytes:
    """Return a message with headers swapped for odd ones, bytes changed, pieces cut out."""
    if draw(st.booleans()):
        head, _, body = data.partition(b"\r\n\r\n")
        start, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        for _ in range(draw(st.integers(1, 3))):
            line = f"{draw(st.sampled_from(NAMES))}: {draw(ODD_VALUES | texts)}"
            where = draw(st.integers(0, len(lines) - 1))
            if draw(st.booleans()):
                lines[where] = line
            else:
                lines.insert(where, line)
        text = "\r\n".join([start, *lines])
        data = text.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body
    for _ in range(draw(st.integers(0, 4))):
        where = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 6))
        data = data[:where] + draw(st.binary(max_size=4)) + data[where + length :]
    return data


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_mangled_datagrams_during_a_call_never_raise_and_never_outlive_it(data: st.DataObject) -> None:
    talk = Conversation()
    core = talk.core
    alice = Credentials(user="a", password="b")
    handle, invite = talk.calls(plan(credentials=alice))
    challenge = ("WWW-Authenticate", make_challenge(realm="r", nonce="n", algorithm="SHA-256"))

    def within(method: str, branch: str, cseq: int = 1, body: bytes = b"") -> Request:
        return request_from_peer(
            method,
            branch=branch,
            cseq=cseq,
            body=body,
            from_=f"{invite.headers.get('to')};tag=bob",
            to=invite.headers.get("from") or "",
            call_id=invite.head.call_id,
        )

    samples: list[Message] = [
        response_to(invite, 100),
        response_to(invite, 183, tag="bob", body=ANSWER),
        response_to(invite, 401, tag="bob", headers=(challenge,)),
        response_to(invite, 200, tag="bob", headers=(("Record-Route", "<sip:p;lr>"),), body=ANSWER),
        response_to(invite, 200, tag="eve"),
        response_to(invite, 183, tag="bob", body=ANSWER, headers=(("Require", "100rel"), ("RSeq", "1"))),
        response_to(invite, 422, tag="bob", headers=(("Min-SE", "2000"),)),
        response_to(invite, 200, tag="bob", headers=(("Session-Expires", "90;refresher=uac"), ("Allow", "UPDATE"))),
        within("UPDATE", "z9hG4bK7", cseq=3, body=OFFER),
        within("PRACK", "z9hG4bK8", cseq=4),
        within("BYE", "z9hG4bK2"),
        within("INVITE", "z9hG4bK3", body=OFFER),
        within("INFO", "z9hG4bK4", cseq=2),
        request_from_peer("INVITE", branch="z9hG4bK5", body=OFFER),
        request_from_peer("INVITE", branch="z9hG4bK9", call_id="c2", headers=(("Require", "100rel"), ("k", "timer"))),
        request_from_peer("CANCEL", branch="z9hG4bK5"),
        request_from_peer("ACK", branch="z9hG4bK5"),
        request_from_peer("OPTIONS", branch="z9hG4bK6", headers=(("Require", "x"),)),
    ]
    invited = []
    for _ in range(data.draw(st.integers(1, 12))):
        sample = data.draw(st.sampled_from(samples)).render()
        core.receive(data.draw(mangled(sample)) if data.draw(st.booleans()) else sample, PEER, talk.now)
        for send in core.take_sends():
            head = send.data.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"")
            assert b"\r" not in head
            assert b"\n" not in head
        fresh = [event.handle for event in core.take_events() if isinstance(event, Invited)]
        for ringing in fresh:
            core.respond(ringing, 183, body=ANSWER, now=talk.now)
        invited += fresh
        talk.waits(data.draw(st.sampled_from([0.0, 0.3, 1.0, 33.0])))
    for ringing in invited:
        core.respond(ringing, 486, now=talk.now)
    core.bye(handle, talk.now)
    talk.runs_down()
    assert core.calls() == 0


@settings(max_examples=300)
@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        parse_message(data)
    except SipParseError:
        pass
