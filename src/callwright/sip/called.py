"""The called side of one call: an INVITE for us, our answers to it, and the call that comes of it.

ringing -> answered -> over    2xx, repeated until its ACK by the session of that answer; over after a BYE
        -> over                we refused, or the caller gave up with CANCEL (487)

Several To tags may answer one INVITE, as several telephones behind a proxy do: every ``to_tag`` has its own session,
and the call is over when the last answered one is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from callwright.sip.auth import Answerer, Credentials
from callwright.sip.dialog import called_dialog
from callwright.sip.endpoint import ALLOW, SDP, SUPPORTED, Endpoint, merge_key
from callwright.sip.errors import UnsafeText, WrongMoment
from callwright.sip.event import ByeDone, CancelledByPeer, ForkEnded, Invited, Send
from callwright.sip.headers import clean, clean_pairs, is_token, safe, safe_pairs
from callwright.sip.message import Request, Response
from callwright.sip.reliable import OPTION, has_option
from callwright.sip.session import Session
from callwright.sip.session_timer import answer_headers, answer_to
from callwright.sip.talk import SessionState
from callwright.sip.transaction import InviteServer, ServerTransaction
from callwright.sip.uri import is_sips


class CalledState(StrEnum):
    RINGING = "ringing"
    ANSWERED = "answered"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response to be sent in a dialog of its tag."""

    code: int
    tag: str
    reason: str
    extra: list[tuple[str, str]]
    body: bytes
    reliable: bool


class Called:
    """One call made to us. ``tag`` is our To tag unless another is asked for."""

    __slots__ = (
        "_answerer", "_endpoint", "_first", "_knows_prack", "_rseq", "_sessions", "_transaction", "_until", "_waiting",
        "call_id", "handle", "noted_at", "state", "tag",
    )  # fmt: skip

    def __init__(self, *, endpoint: Endpoint, handle: str, transaction: InviteServer, now: float) -> None:
        request = transaction.request
        self.handle = handle
        self.tag = endpoint.new_id()[-16:]
        self.state = CalledState.RINGING
        self.noted_at: float | None = None
        self.call_id = request.head.call_id
        self._endpoint = endpoint
        self._transaction = transaction
        self._answerer = Answerer(None, endpoint.new_id)
        self._sessions: dict[str, Session] = {}
        self._first: Session | None = None
        self._waiting: list[_Answer] = []  # what must not be sent before a PRACK
        self._rseq = int(endpoint.new_id()[:7], 16)  # chosen at random below 2**31 (RFC 3262 section 3)
        headers = request.headers
        self._knows_prack = has_option(headers, "supported", OPTION) or has_option(headers, "require", OPTION)
        answer_to(headers)  # unreadable session timers show here, too
        self._until: float | None = None  # over: when to be forgotten
        self._open(self.tag)  # a peer's error in Contact or Record-Route shows here, before anybody hears of the call
        transaction.on_cancel = self.receive_cancel
        endpoint.calls[handle] = self
        endpoint.invited.add(merge_key(request))
        head = request.head
        endpoint.events.append(
            Invited(
                handle=handle,
                at=now,
                request_uri=clean(request.uri),
                from_uri=clean(head.from_.uri),
                from_display=clean(head.from_.display),
                to_uri=clean(head.to.uri),
                call_id=clean(head.call_id),
                headers=clean_pairs(request.headers),
                body=request.body,
                content_type=clean(request.headers.get("content-type") or ""),
                source=transaction.source,
                way=transaction.way,
            )
        )

    @property
    def is_live(self) -> bool:
        return self.state is not CalledState.OVER

    # --- the timed machine -------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self.state is CalledState.OVER and self._until is None

    def leave(self) -> None:
        self._endpoint.calls.pop(self.handle, None)
        self._endpoint.invited.discard(merge_key(self._transaction.request))
        for tag in self._sessions:
            self._endpoint.by_tag.pop((self.call_id, tag), None)

    def wake_at(self) -> float | None:
        return self._until

    def wake(self, now: float) -> None:
        """Be forgotten."""
        self._until = None

    # --- answering ---------------------------------------------------------------------------------------------------

    def set_credentials(self, credentials: Credentials) -> None:
        """Give what answers a challenge to requests of ours (a BYE)."""
        self._answerer.use(credentials)

    def respond(
        self,
        code: int,
        now: float,
        *,
        reason: str,
        body: bytes,
        content_type: str,
        headers: Iterable[tuple[str, str]],
        to_tag: str,
        reliable: bool = False,
    ) -> bool:
        """Send a response to the INVITE; False when it is too late (final response sent, or the caller gave up)."""
        if not 100 <= code <= 699:
            raise WrongMoment(f"{code} is not a SIP response code")
        if to_tag and not is_token(to_tag):
            raise UnsafeText(f"to_tag {to_tag[:40]!r} is not a token", field="to_tag")
        extra = safe_pairs(headers, but="contact" if 300 <= code < 400 else "")
        reason = safe(reason, "reason")
        if body:
            extra.append(("Content-Type", safe(content_type, "content_type")))
        success = 200 <= code < 300
        if self.state is CalledState.OVER or (self.state is CalledState.ANSWERED and not success):
            return False
        tag = to_tag or self.tag
        if code == 100:
            self._endpoint.reply(self._transaction, code, now, reason=reason, headers=extra)
        elif code < 300:
            insists = has_option(self._transaction.request.headers, "require", OPTION)
            reliable = not success and self._knows_prack and (reliable or insists)
            return self._respond_in_dialog(_Answer(code, tag, reason, extra, body, reliable), now)
        else:
            self._endpoint.reply(self._transaction, code, now, reason=reason, to_tag=tag, headers=extra, body=body)
            self._finish(now)
        return True

    def _respond_in_dialog(self, answer: _Answer, now: float) -> bool:
        code, tag = answer.code, answer.tag
        session = self._sessions.get(tag) or self._open(tag)
        if session.state is not SessionState.EARLY:
            return False
        if session.pracks.is_awaiting or any(waiting.tag == tag and waiting.code >= 200 for waiting in self._waiting):
            self._waiting.append(answer)
            return True
        transaction = self._transaction
        request = transaction.request
        pairs = [("Record-Route", route) for route in request.headers.all("record-route")]
        contact = self._endpoint.contact(transaction.way, secure=is_sips(request.uri) or session.dialog.is_secure)
        pairs += [("Contact", contact), ("Allow", ALLOW), ("Supported", SUPPORTED)]
        if answer.reliable:
            self._rseq += 1
            pairs += [("Require", OPTION), ("RSeq", str(self._rseq))]
        agreed = answer_to(request.headers) if code >= 200 else None
        pairs += [*answer_headers(agreed), *answer.extra]
        data = self._endpoint.response(
            request, transaction.source, code, reason=answer.reason, to_tag=tag, headers=pairs, body=answer.body
        )
        if transaction.is_pending:
            transaction.respond(code, data, now)
            self._endpoint.agenda.note(transaction)
        else:
            # A second telephone answers: the Accepted state of RFC 6026.
            self._endpoint.send(data, transaction.to, transaction.way)
        session.local_body = answer.body or session.local_body
        if answer.reliable:
            send = Send(data=data, to=transaction.to, way=transaction.way)
            session.pracks.expect(send, self._rseq, request.head.cseq, now)
        if code >= 200:
            self.state = CalledState.ANSWERED
            self._first = self._first or session
            session.state = SessionState.UP
            session.refreshes.learn_peer(request.headers)
            session.acks.expect(data, transaction, now)
            session.refreshes.start(agreed, we_refresh=agreed is not None and agreed.refresher == "uas", now=now)
        return True

    def _pracked(self, came: bool, now: float) -> None:
        """Go on after a PRACK; without one the call cannot be (RFC 3262 section 3)."""
        if self.state is not CalledState.RINGING:
            return
        if came:
            waiting, self._waiting = self._waiting, []
            for answer in waiting:
                self._respond_in_dialog(answer, now)
            return
        self._endpoint.reply(self._transaction, 504, now, to_tag=self.tag)
        cause = "our reliable provisional answer was never acknowledged"
        self._endpoint.events.append(ByeDone(handle=self.handle, at=now, code=408, local=True, cause=cause))
        self._finish(now)

    def _open(self, tag: str) -> Session:
        transaction = self._transaction
        dialog = called_dialog(transaction.request, transaction.source, local_tag=tag, way=transaction.way)
        session = Session(
            endpoint=self._endpoint,
            handle=self.handle,
            dialog=dialog,
            answerer=self._answerer,
            on_over=self._session_over,
        )
        session.pracks.on_pracked = self._pracked
        self._sessions[tag] = session
        self._endpoint.by_tag[self.call_id, tag] = self
        return session

    def _session_over(self, session: Session, now: float) -> None:
        word = session.last_word
        if self.state is CalledState.OVER or word is None:
            return
        if any(other.state in _LIVING for other in self._sessions.values()):
            self._endpoint.events.append(ForkEnded(handle=self.handle, at=now, tag=session.dialog.local_tag))
            return
        if self._transaction.is_pending:
            # BYE within an early dialog ends the INVITE as well (RFC 3261 section 15.1.2).
            self._endpoint.reply(self._transaction, 487, now, to_tag=self.tag)
        self._endpoint.events.append(word)
        self._finish(now)

    def _finish(self, now: float) -> None:
        self.state = CalledState.OVER
        self._waiting = []
        for session in self._sessions.values():
            session.pracks.stop()
        self._until = now + self._endpoint.timers.patience
        self._endpoint.agenda.note(self)

    def hang_up(self, now: float, reason: str | None) -> None:
        """BYE for every answer we gave; before any, decline the call."""
        if self.state is CalledState.RINGING:
            self.respond(603, now, reason="", body=b"", content_type=SDP, headers=(), to_tag="")
            return
        for session in list(self._sessions.values()):
            session.bye(now, reason)

    @property
    def session(self) -> Session | None:
        """The session the caller talks to, None before an answer; of several, one with an open offer."""
        for session in self._sessions.values():
            if session.has_peer_offer:
                return session
        living = [session for session in self._sessions.values() if session.state in _LIVING]
        return living[0] if living else self._first

    # --- what arrives ------------------------------------------------------------------------------------------------

    def receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        """Take a CANCEL of the INVITE (RFC 3261 section 9.2); after our final response it changes nothing."""
        self._endpoint.reply(transaction, 200, now, to_tag=self.tag)
        if self.state is not CalledState.RINGING:
            return
        self._endpoint.reply(self._transaction, 487, now, to_tag=self.tag)
        headers = clean_pairs(transaction.request.headers)
        self._endpoint.events.append(CancelledByPeer(handle=self.handle, at=now, headers=headers))
        self._finish(now)

    def receive_request(self, transaction: ServerTransaction, now: float) -> None:
        """Take a request within one of the call's dialogs."""
        head = transaction.request.head
        session = self._sessions.get(head.to.tag)
        if session is None or session.dialog.remote_tag != head.from_.tag:
            self._endpoint.reply(transaction, 481, now)
        else:
            session.receive_request(transaction, now)

    def receive_ack(self, request: Request, now: float) -> None:
        """Take the ACK of a 2xx of ours."""
        session = self._sessions.get(request.head.to.tag)
        if session is not None:
            session.receive_ack(request, now)

    def receive_answer(self, response: Response, source: tuple[str, int], now: float) -> None:
        """Take a repeated 2xx to a re-INVITE of ours."""
        session = self._sessions.get(response.head.from_.tag)
        if session is not None:
            session.acks.repeat(response.head.cseq)


_LIVING = (SessionState.UP, SessionState.HELD, SessionState.LEAVING)
