"""Conversations with a SipCore: what we feed it (>>), what must come out (<<), with the time in our hands.

A conversation used as a context manager fails when it is left with anything unread, or when the core still remembers
anything after all its timers have run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

from callwright.sip.agenda import Timers
from callwright.sip.core import Credentials, InvitePlan, SipCore
from callwright.sip.event import Event
from callwright.sip.headers import Headers
from callwright.sip.message import Message, Request, Response
from callwright.sip.parser import parse_message
from callwright.sip.way import BY_UDP, Way

US = ("192.0.2.1", 5060)
PEER = ("192.0.2.9", 5060)
OFFER = b"v=0 offer"
ANSWER = b"v=0 answer"
CHALLENGE = ("WWW-Authenticate", 'Digest realm="trunk", nonce="n1", algorithm=MD5, qop="auth"')
ALICE = Credentials(user="alice", password="secret")

E = TypeVar("E")


def counted_ids(prefix: int) -> Callable[[], str]:
    """Return a source of ids that never repeats and is the same in every run."""
    numbers = itertools.count(1)
    return lambda: f"{prefix:08x}{next(numbers):024x}"


def make_core(address: tuple[str, int] = US, *, prefix: int = 0xA, timers: Timers | None = None) -> SipCore:
    """Return a core at an address, with counted ids."""
    return SipCore(
        contact_host=address[0], contact_port=address[1], new_id=counted_ids(prefix), timers=timers or Timers()
    )


def plan(
    *,
    user: str = "100",
    peer: tuple[str, int] = PEER,
    headers: tuple[tuple[str, str], ...] = (),
    credentials: Credentials | None = None,
    body: bytes = OFFER,
    call_id: str | None = None,
    from_display: str = "",
) -> InvitePlan:
    """Return a plan to call somebody at the peer."""
    return InvitePlan(
        request_uri=f"sip:{user}@{peer[0]}:{peer[1]}",
        next_hop=peer,
        from_uri="sip:me@example.com",
        from_display=from_display,
        to_uri=f"sip:{user}@example.com",
        body=body,
        headers=headers,
        credentials=credentials,
        call_id=call_id,
    )


def name_of(message: Message) -> str:
    """Return "INVITE" for a request, "200 INVITE" for a response."""
    return message.method if isinstance(message, Request) else f"{message.code} {message.head.method}"


def response_to(
    request: Request,
    code: int,
    *,
    tag: str = "",
    body: bytes = b"",
    headers: Iterable[tuple[str, str]] = (),
    contact: str | None = f"<sip:bob@{PEER[0]}:{PEER[1]}>",
    reason: str = "Because",
) -> Response:
    """Build the response a peer would give to a request of ours."""
    pairs = [("Via", via) for via in request.headers.all("via")]
    to = request.headers.get("to") or ""
    if tag and ";tag=" not in to:
        to = f"{to};tag={tag}"
    pairs += [
        ("From", request.headers.get("from") or ""),
        ("To", to),
        ("Call-ID", request.head.call_id),
        ("CSeq", request.headers.get("cseq") or ""),
    ]
    if contact is not None and code > 100:
        pairs.append(("Contact", contact))
    pairs += headers
    return Response(code=code, reason=reason, headers=Headers(pairs), body=body)


def request_from_peer(
    method: str,
    *,
    uri: str = f"sip:me@{US[0]}:{US[1]}",
    branch: str = "z9hG4bKpeer",
    via: str | None = None,
    from_: str = "<sip:bob@example.com>;tag=bob",
    to: str = "<sip:me@example.com>",
    call_id: str = "peer-call",
    cseq: int = 1,
    body: bytes = b"",
    headers: Iterable[tuple[str, str]] = (),
    contact: str | None = f"<sip:bob@{PEER[0]}:{PEER[1]}>",
) -> Request:
    """Build a request as a peer would send it to us."""
    pairs = [
        ("Via", via or f"SIP/2.0/UDP {PEER[0]}:{PEER[1]};branch={branch}"),
        ("Max-Forwards", "70"),
        ("From", from_),
        ("To", to),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
    ]
    if contact is not None:
        pairs.append(("Contact", contact))
    if body:
        pairs.append(("Content-Type", "application/sdp"))
    pairs += headers
    return Request(method=method, uri=uri, headers=Headers(pairs), body=body)


class Conversation:
    """One core and one scripted peer."""

    def __init__(self, core: SipCore | None = None) -> None:
        self.core = core or make_core()
        self.now = 0.0
        self.ways: list[Way] = []  # how what was expected last left
        self._transcript: list[str] = []
        self._branches = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.expects()
            self.hears()
            self.runs_down()

    # --- time --------------------------------------------------------------------------------------------------------

    def waits(self, seconds: float) -> None:
        """Let time pass, waking the core at every moment it asks for."""
        end = self.now + seconds
        while (at := self.core.wake_at()) is not None and at <= end:
            self.now = max(self.now, at)
            self.core.wake(self.now)
        self.now = end
        self._note(f".. {self.now:.1f} s")

    def waits_for_a_send(self, seconds: float) -> None:
        """Let time pass until something is to be sent, so many seconds at most."""
        end = self.now + seconds
        while not self.core._endpoint.outbox and (at := self.core.wake_at()) is not None and at <= end:
            self.now = max(self.now, at)
            self.core.wake(self.now)
        self._note(f".. {self.now:.1f} s")

    def runs_down(self) -> None:
        """Let all timers run; nothing may be remembered then."""
        for _ in range(1000):
            at = self.core.wake_at()
            if at is None:
                break
            self.now = max(self.now, at)
            self.core.wake(self.now)
        assert self.core.wake_at() is None, self._story("timers that never end")
        assert self.core.dialogs() == 0, self._story(f"{self.core.dialogs()} things are remembered for ever")
        # What only finds calls is no dialog, but would grow all the same.
        endpoint = self.core._endpoint
        assert not endpoint.by_tag, self._story("tags are remembered for ever")
        assert not endpoint.invited, self._story("INVITEs are remembered for ever")

    # --- in and out --------------------------------------------------------------------------------------------------

    def feeds(self, message: Message | bytes, source: tuple[str, int] = PEER, way: Way = BY_UDP) -> None:
        """Give the core a message."""
        data = message if isinstance(message, bytes) else message.render()
        self._note(">> " + data.partition(b"\r\n")[0].decode("utf-8", "replace"))
        self.core.receive(data, source, self.now, way)

    def answers(
        self,
        request: Request,
        code: int,
        *,
        tag: str = "bob",
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        contact: str | None = f"<sip:bob@{PEER[0]}:{PEER[1]}>",
        way: Way = BY_UDP,
    ) -> Response:
        """Feed the peer's response to a request of ours; returns it, to be fed again."""
        response = response_to(request, code, tag=tag, body=body, headers=headers, contact=contact)
        self.feeds(response, way=way)
        return response

    def asks(
        self, method: str, call: Request, *, tag: str = "bob", cseq: int = 1, body: bytes = b"", branch: str = ""
    ) -> Request:
        """Feed a request of the peer within the call that our INVITE ``call`` began; returns it."""
        request = request_from_peer(
            method,
            branch=branch or f"z9hG4bKpeer{next(self._branches)}",
            from_=f"{call.headers.get('to')};tag={tag}",
            to=call.headers.get("from") or "",
            call_id=call.head.call_id,
            cseq=cseq,
            body=body,
        )
        self.feeds(request)
        return request

    def expects(self, *names: str, to: tuple[str, int] | None = None) -> list[Message]:
        """Require exactly these messages to have come out, in this order; returns them."""
        sends = self.core.take_sends()
        self.ways = [send.way for send in sends]
        messages = [parse_message(send.data) for send in sends]
        got = [name_of(message) for message in messages]
        for name in got:
            self._note(f"<< {name}")
        assert got == list(names), self._story(f"wanted {list(names)}, got {got}")
        if to is not None:
            assert {send.to for send in sends} == {to}, self._story(f"went to {[send.to for send in sends]}, not {to}")
        return messages

    def expects_request(self, name: str, to: tuple[str, int] | None = None) -> Request:
        """Require exactly one request to have come out; returns it."""
        message = self.expects(name, to=to)[0]
        assert isinstance(message, Request)
        return message

    def expects_response(self, name: str, to: tuple[str, int] | None = None) -> Response:
        """Require exactly one response to have come out; returns it."""
        message = self.expects(name, to=to)[0]
        assert isinstance(message, Response)
        return message

    def hears(self, *kinds: type[object]) -> list[Event]:
        """Require exactly these events, in this order; returns them."""
        events = self.core.take_events()
        got = [type(event).__name__ for event in events]
        for name in got:
            self._note(f"!! {name}")
        assert got == [kind.__name__ for kind in kinds], self._story(f"wanted {[k.__name__ for k in kinds]}, got {got}")
        return events

    def hears_one(self, kind: type[E]) -> E:
        """Require exactly one event, of this kind; returns it."""
        event = self.hears(kind)[0]
        assert isinstance(event, kind)
        return event

    # --- the usual beginnings ----------------------------------------------------------------------------------------

    def calls(self, the_plan: InvitePlan | None = None) -> tuple[str, Request]:
        """Have the core call the peer; returns the handle and the INVITE."""
        handle = self.core.invite(the_plan or plan(), self.now)
        return handle, self.expects_request("INVITE")

    def calls_and_is_answered(self, the_plan: InvitePlan | None = None) -> tuple[str, Request]:
        """Have the core call the peer, who answers at once; returns the handle and the INVITE."""
        handle, invite = self.calls(the_plan)
        self.answers(invite, 200, body=ANSWER)
        self.expects("ACK")
        self.core.take_events()
        return handle, invite

    def _note(self, line: str) -> None:
        self._transcript.append(line)

    def _story(self, what: str) -> str:
        return "\n".join([what, *self._transcript])
