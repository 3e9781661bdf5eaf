"""The four transactions of SIP (RFC 3261 section 17, with the Accepted states of RFC 6026).

InviteClient   calling -> proceeding -> completed (refused: ACKs again, timer D)      -> terminated
                                     -> accepted  (2xx: hands every 2xx up, timer M)  -> terminated
PlainClient    trying  -> proceeding -> completed (swallows repeats, timer K)         -> terminated
InviteServer   proceeding -> completed (repeats until ACK, G and H) -> confirmed (I)  -> terminated
                          -> accepted  (swallows INVITEs, timer L)                    -> terminated
PlainServer    trying  -> proceeding -> completed (answers repeats, timer J)          -> terminated

Each is told the time, appends what it sends to the outbox it was given and says when it wants to be woken. Client
transactions call ``on_response`` for what their user must hear and ``on_failure`` once when no final response comes.
Over a reliable transport nothing is repeated (timers A, E, G), nor are repetitions waited for (D, I, J, K).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from callwright.sip.agenda import Timers
from callwright.sip.event import Send
from callwright.sip.headers import Headers
from callwright.sip.message import Request, Response, render
from callwright.sip.way import BY_UDP, Way

ServerKey = tuple[str, str, str]
OnResponse = Callable[[Response, tuple[str, int], float], None]
OnFailure = Callable[[int, float], None]

# Stands for a request that is not sent again: ended calls are remembered by the thousand.
_NO_MORE = Request(method="", uri="", headers=Headers(()))
TRYING_AFTER_S = 0.2  # RFC 3261 section 17.2.1


class State(StrEnum):
    """States of all four machines; "calling" of RFC 3261 is TRYING here."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


def _cseq_of(request: Request) -> int:
    for name, value in request.headers.pairs:
        if name == "CSeq":
            return int(value.partition(" ")[0])
    return request.head.cseq


class InviteClient:
    """An INVITE we sent (figure 5 of RFC 3261, figure 1 of RFC 6026)."""

    __slots__ = (
        "_ack",
        "_data",
        "_end_at",
        "_interval",
        "_otherwise",
        "_outbox",
        "_resend_at",
        "_table",
        "_timers",
        "cseq",
        "key",
        "noted_at",
        "on_failure",
        "on_response",
        "request",
        "state",
        "to",
        "way",
    )

    def __init__(
        self,
        *,
        key: str,
        request: Request,
        to: tuple[str, int],
        timers: Timers,
        outbox: list[Send],
        table: dict[str, ClientTransaction],
        on_response: OnResponse,
        on_failure: OnFailure,
        now: float,
        way: Way = BY_UDP,
        otherwise: tuple[Request, Way] | None = None,
        data: bytes = b"",
    ) -> None:
        self.key = key
        self.request = request
        self.cseq = _cseq_of(request)
        self.to = to
        self.way = way
        self.on_response = on_response
        self.on_failure = on_failure
        self.state = State.TRYING
        self.noted_at: float | None = None
        self._timers = timers
        self._outbox = outbox
        self._table = table
        self._otherwise = otherwise
        self._ack: bytes | None = None
        self._data = data or request.render()
        table[key] = self
        self._start(now)

    def _start(self, now: float) -> None:
        self._interval = self._timers.t1
        self._resend_at: float | None = None if self.way.is_reliable else now + self._interval  # timer A
        self._end_at: float | None = now + self._timers.patience  # timer B
        self._send(self._data)

    @property
    def is_over(self) -> bool:
        return self.state is State.TERMINATED

    def receive(self, response: Response, source: tuple[str, int], now: float) -> None:
        """Take a response to this INVITE."""
        waiting = self.state in (State.TRYING, State.PROCEEDING)
        if response.code < 200:
            if waiting:
                self.state = State.PROCEEDING
                self._resend_at = self._end_at = None
                self.on_response(response, source, now)
        elif response.code < 300:
            if waiting:
                self.state = State.ACCEPTED
                self._resend_at = None
                self._end_at = now + self._timers.patience  # timer M
                self.request, self._data = _NO_MORE, b""
                self.on_failure = _no_failure
            # A 2xx behind a refusal breaks RFC 3261, but a proxy that forked may let it through and somebody's
            # telephone is up: the user must hear of it to hang it up.
            self.on_response(response, source, now)
        elif waiting:
            self.state = State.COMPLETED
            self._resend_at = None
            self._end_at = now + (0.0 if self.way.is_reliable else self._timers.patience)  # timer D
            self._ack = self._refusal_ack(response)
            self.request, self._data = _NO_MORE, b""
            self._send(self._ack)
            self.on_response(response, source, now)
        elif self.state is State.COMPLETED and self._ack is not None:
            self._send(self._ack)

    def wake(self, now: float) -> None:
        """Retransmit (timer A), give up (B) or forget (D, M)."""
        if self._end_at is not None and self._end_at <= now:
            unanswered = self.state is State.TRYING
            self.state = State.TERMINATED
            if unanswered:
                self.on_failure(408, now)
        elif self._resend_at is not None and self._resend_at <= now:
            self._send(self._data)
            self._interval *= 2
            self._resend_at = now + self._interval

    def wake_at(self) -> float | None:
        resend_at, end_at = self._resend_at, self._end_at
        return end_at if resend_at is None or (end_at is not None and end_at < resend_at) else resend_at

    def leave(self) -> None:
        self._table.pop(self.key, None)
        # Who asked holds us, and we them: nobody else has to find that out later.
        self.on_response, self.on_failure = _no_response, _no_failure

    def fail(self, code: int, now: float) -> None:
        """End at once, or take the other way if there is one: the request could not be sent."""
        if self.state is State.TRYING and self._otherwise is not None:
            (self.request, self.way), self._otherwise = self._otherwise, None
            self._data = self.request.render()
            self._start(now)
        elif self.state is State.TRYING:
            self.state = State.TERMINATED
            self.on_failure(code, now)

    def abandon(self) -> None:
        """End without a word: a CANCEL was never echoed (RFC 3261 section 9.1)."""
        self.state = State.TERMINATED

    def _send(self, data: bytes) -> None:
        self._outbox.append(Send(data=data, to=self.to, transaction=self.key, way=self.way))

    def _refusal_ack(self, response: Response) -> bytes:
        """Build the ACK of a refusal: same Request-URI, top Via and Route as the INVITE (RFC 3261 section 17.1.1.3)."""
        headers = self.request.headers
        pairs = [("Via", headers.get("via") or ""), ("Max-Forwards", "70")]
        pairs += [("Route", route) for route in headers.all("route")]
        pairs += [
            ("From", headers.get("from") or ""),
            ("To", response.headers.get("to") or ""),
            ("Call-ID", headers.get("call-id") or ""),
            ("CSeq", f"{response.head.cseq} ACK"),
        ]
        return render(f"ACK {self.request.uri} SIP/2.0", pairs, b"")


class PlainClient:
    """A request other than INVITE and ACK that we sent (figure 6 of RFC 3261)."""

    __slots__ = (
        "_data", "_end_at", "_interval", "_otherwise", "_outbox", "_resend_at", "_table", "_timers", "cseq", "key",
        "noted_at", "on_failure", "on_response", "request", "state", "to", "way",
    )  # fmt: skip

    def __init__(
        self,
        *,
        key: str,
        request: Request,
        to: tuple[str, int],
        timers: Timers,
        outbox: list[Send],
        table: dict[str, ClientTransaction],
        on_response: OnResponse,
        on_failure: OnFailure,
        now: float,
        way: Way = BY_UDP,
        otherwise: tuple[Request, Way] | None = None,
        data: bytes = b"",
    ) -> None:
        self.key = key
        self.request = request
        self.cseq = _cseq_of(request)
        self.to = to
        self.way = way
        self.on_response = on_response
        self.on_failure = on_failure
        self.state = State.TRYING
        self.noted_at: float | None = None
        self._timers = timers
        self._outbox = outbox
        self._table = table
        self._otherwise = otherwise
        self._data = data or request.render()
        table[key] = self
        self._start(now)

    def _start(self, now: float) -> None:
        self._interval = self._timers.t1
        self._resend_at: float | None = None if self.way.is_reliable else now + self._interval  # timer E
        self._end_at: float | None = now + self._timers.patience  # timer F
        self._send()

    @property
    def is_over(self) -> bool:
        return self.state is State.TERMINATED

    def receive(self, response: Response, source: tuple[str, int], now: float) -> None:
        """Take a response to this request."""
        if self.state not in (State.TRYING, State.PROCEEDING):
            return
        on_response = self.on_response
        if response.code < 200:
            self.state = State.PROCEEDING
            self._interval = self._timers.t2
        else:
            self.state = State.COMPLETED
            self._resend_at = None
            self._end_at = now + (0.0 if self.way.is_reliable else self._timers.t4)  # timer K
            self._let_go()
        on_response(response, source, now)

    def wake(self, now: float) -> None:
        """Retransmit (timer E), give up (F) or forget (K)."""
        if self._end_at is not None and self._end_at <= now:
            unanswered = self.state is not State.COMPLETED
            self.state = State.TERMINATED
            if unanswered:
                self.on_failure(408, now)
        elif self._resend_at is not None and self._resend_at <= now:
            self._send()
            self._interval = min(self._interval * 2, self._timers.t2)
            self._resend_at = now + self._interval

    def wake_at(self) -> float | None:
        resend_at, end_at = self._resend_at, self._end_at
        return end_at if resend_at is None or (end_at is not None and end_at < resend_at) else resend_at

    def leave(self) -> None:
        self._table.pop(self.key, None)
        self._let_go()

    def _let_go(self) -> None:
        self.request, self._data = _NO_MORE, b""
        # Who asked holds us, and we them: nobody else has to find that out later.
        self.on_response, self.on_failure = _no_response, _no_failure

    def fail(self, code: int, now: float) -> None:
        """End at once, or take the other way if there is one: the request could not be sent."""
        if self.state is State.TRYING and self._otherwise is not None:
            (self.request, self.way), self._otherwise = self._otherwise, None
            self._data = self.request.render()
            self._start(now)
        elif self.state in (State.TRYING, State.PROCEEDING):
            self.state = State.TERMINATED
            self.on_failure(code, now)

    def _send(self) -> None:
        self._outbox.append(Send(data=self._data, to=self.to, transaction=self.key, way=self.way))


class InviteServer:
    """An INVITE we received (figure 7 of RFC 3261, figure 2 of RFC 6026).

    2xx are repeated by the dialog, not here. ``trying`` is the 100 that goes out when nothing else was said for 200 ms.
    ``on_cancel`` belongs to whoever answers the INVITE, and answers a CANCEL of it.
    """

    __slots__ = (
        "_end_at", "_interval", "_last", "_outbox", "_resend_at", "_table", "_timers", "_trying", "key", "noted_at",
        "on_cancel", "request", "source", "state", "to", "way",
    )  # fmt: skip

    def __init__(
        self,
        *,
        key: ServerKey,
        request: Request,
        source: tuple[str, int],
        to: tuple[str, int],
        timers: Timers,
        outbox: list[Send],
        table: dict[ServerKey, ServerTransaction],
        trying: bytes | None,
        now: float,
        way: Way = BY_UDP,
    ) -> None:
        self.key = key
        self.request = request
        self.source = source
        self.to = to
        self.way = way
        self.state = State.PROCEEDING
        self.noted_at: float | None = None
        self._timers = timers
        self._outbox = outbox
        self._table = table
        self.on_cancel: Callable[[ServerTransaction, float], None] | None = None
        self._trying = trying
        self._last: bytes | None = None
        self._interval = timers.t1  # timer G
        self._resend_at: float | None = None if trying is None else now + TRYING_AFTER_S
        self._end_at: float | None = None
        table[key] = self

    @property
    def is_over(self) -> bool:
        return self.state is State.TERMINATED

    @property
    def is_pending(self) -> bool:
        """Whether the INVITE still waits for its final response."""
        return self.state is State.PROCEEDING

    def receive(self, request: Request, now: float) -> None:
        """Take a retransmission of the INVITE, or the ACK of a refusal."""
        if request.method == "ACK":
            if self.state is State.COMPLETED:
                self.state = State.CONFIRMED
                self._resend_at = None
                self._end_at = now + (0.0 if self.way.is_reliable else self._timers.t4)  # timer I
        elif self.state in (State.PROCEEDING, State.COMPLETED) and self._last is not None:
            self._send(self._last)

    def respond(self, code: int, data: bytes, now: float) -> None:
        """Send a response of ours. A final one may be given once; the caller checks ``is_pending``."""
        if self.state is not State.PROCEEDING:
            return
        self._trying = None
        self._resend_at = None
        self._last = data
        if 200 <= code < 300:
            self.state = State.ACCEPTED
            self._end_at = now + self._timers.patience  # timer L
        elif code >= 300:
            self.state = State.COMPLETED
            self._resend_at = None if self.way.is_reliable else now + self._interval  # timer G
            self._end_at = now + self._timers.patience  # timer H
        self._send(data)

    def wake(self, now: float) -> None:
        """Say 100, retransmit a refusal (timer G), give up waiting for its ACK (H) or forget (I, L)."""
        if self._end_at is not None and self._end_at <= now:
            self.state = State.TERMINATED
        elif self._resend_at is not None and self._resend_at <= now:
            if self._trying is not None:
                self._last = self._trying
                self._trying = None
                self._resend_at = None
                self._send(self._last)
            elif self._last is not None:
                self._send(self._last)
                self._interval = min(self._interval * 2, self._timers.t2)
                self._resend_at = now + self._interval

    def wake_at(self) -> float | None:
        resend_at, end_at = self._resend_at, self._end_at
        return end_at if resend_at is None or (end_at is not None and end_at < resend_at) else resend_at

    def leave(self) -> None:
        self._table.pop(self.key, None)

    def _send(self, data: bytes) -> None:
        self._outbox.append(Send(data=data, to=self.to, way=self.way))


class PlainServer:
    """A request other than INVITE and ACK that we received (figure 8 of RFC 3261)."""

    __slots__ = (
        "_end_at", "_last", "_outbox", "_table", "_timers", "key", "noted_at", "request", "source", "state", "to",
        "way",
    )  # fmt: skip

    def __init__(
        self,
        *,
        key: ServerKey,
        request: Request,
        source: tuple[str, int],
        to: tuple[str, int],
        timers: Timers,
        outbox: list[Send],
        table: dict[ServerKey, ServerTransaction],
        way: Way = BY_UDP,
    ) -> None:
        self.key = key
        self.request = request
        self.source = source
        self.to = to
        self.way = way
        self.state = State.TRYING
        self.noted_at: float | None = None
        self._timers = timers
        self._outbox = outbox
        self._table = table
        self._last: bytes | None = None
        self._end_at: float | None = None
        table[key] = self

    @property
    def is_over(self) -> bool:
        return self.state is State.TERMINATED

    @property
    def is_pending(self) -> bool:
        """Whether the request still waits for its final response."""
        return self.state in (State.TRYING, State.PROCEEDING)

    def receive(self, request: Request, now: float) -> None:
        """Take a retransmission of the request."""
        if self._last is not None:
            self._send(self._last)

    def respond(self, code: int, data: bytes, now: float) -> None:
        """Send a response of ours. A final one may be given once; the caller checks ``is_pending``."""
        if not self.is_pending:
            return
        self._last = data
        if code < 200:
            self.state = State.PROCEEDING
        else:
            self.state = State.COMPLETED
            self._end_at = now + (0.0 if self.way.is_reliable else self._timers.patience)  # timer J
        self._send(data)

    def wake(self, now: float) -> None:
        """Forget (timer J)."""
        if self._end_at is not None and self._end_at <= now:
            self.state = State.TERMINATED

    def wake_at(self) -> float | None:
        return self._end_at

    def leave(self) -> None:
        self._table.pop(self.key, None)

    def _send(self, data: bytes) -> None:
        self._outbox.append(Send(data=data, to=self.to, way=self.way))


def _no_response(response: Response, source: tuple[str, int], now: float) -> None:
    """Leave alone what comes for a transaction that is over."""


def _no_failure(code: int, now: float) -> None:
    """Leave it alone: the transaction is over."""


ClientTransaction = InviteClient | PlainClient
ServerTransaction = InviteServer | PlainServer
