"""The calling side of one call: INVITE, its answers from however many telephones, CANCEL, and what comes of it.

calling -> answered -> over         2xx: ACK, the session of that answer lives until a BYE
        -> over                     refused, or nobody there (timer B)
        -> cancel wanted -> cancelling -> over    CANCEL waits for a provisional answer (RFC 3261 section 9.1)

"over" is not forgotten at once: for 64*T1 more an answer that was under way is ACKed and hung up, so that no telephone
stays off the hook for a call that ended here.
"""

from __future__ import annotations

from enum import StrEnum

from callwright.sip.auth import Answerer
from callwright.sip.cancel import send_cancel
from callwright.sip.dialog import calling_dialog
from callwright.sip.endpoint import ALLOW, SUPPORTED, Endpoint
from callwright.sip.errors import SipParseError
from callwright.sip.event import UNSENT, Answered, ExtraAnswer, Failed, Provisional, Trying
from callwright.sip.headers import Headers, clean, clean_pairs, safe, safe_pairs
from callwright.sip.invite_plan import InvitePlan, check_plan, from_value
from callwright.sip.message import Request, Response
from callwright.sip.reliable import reliable_number
from callwright.sip.saved_invite import numbered
from callwright.sip.session import Session
from callwright.sip.session_timer import MIN_SE_S, min_se, session_expires
from callwright.sip.talk import SessionState
from callwright.sip.transaction import InviteClient, ServerTransaction, State
from callwright.sip.uri import is_sips
from callwright.sip.way import Target

_MOST_FORKS = 32


class CallerState(StrEnum):
    CALLING = "calling"
    CANCEL_WANTED = "cancel wanted"
    CANCELLING = "cancelling"
    ANSWERED = "answered"
    OVER = "over"


class Caller:
    """One call we make."""

    __slots__ = (
        "_ack_held",
        "_answerer",
        "_branch",
        "_cancel_reason",
        "_chosen",
        "_credentials_sent",
        "_cseq",
        "_early",
        "_endpoint",
        "_expires",
        "_extra",
        "_first_branch",
        "_from",
        "_plan",
        "_rang",
        "_sessions",
        "_tag",
        "_targets",
        "_transaction",
        "_tried",
        "_until",
        "call_id",
        "handle",
        "noted_at",
        "state",
    )  # fmt: skip

    def __init__(self, *, endpoint: Endpoint, handle: str, plan: InvitePlan, now: float) -> None:
        check_plan(plan)
        self.handle = handle
        self.state = CallerState.CALLING
        self.noted_at: float | None = None
        self.call_id = plan.call_id or endpoint.new_id()
        self._endpoint = endpoint
        self._plan = plan
        self._extra = safe_pairs(plan.headers)
        self._tag = plan.tag or endpoint.new_id()[-16:]
        self._first_branch = plan.branch or endpoint.new_branch()
        self._from = from_value(plan, self._tag)
        self._answerer = Answerer(plan.credentials, endpoint.new_id)
        self._tried: dict[str, int] = {}
        self._cseq = 0
        self._targets = [Target(host=plan.next_hop[0], port=plan.next_hop[1], way=plan.way), *plan.alternatives]
        self._expires = plan.session_expires_s
        self._rang = False
        self._cancel_reason = ""
        self._early: dict[str, tuple[Response, tuple[str, int]]] = {}  # dialogs that nothing happened in so far
        self._sessions: dict[str, Session] = {}
        self._chosen: Session | None = None
        self._ack_held: tuple[int, list[tuple[str, str]]] | None = None
        self._until: float | None = None  # cancelling: when to stop waiting for 487; over: when to be forgotten
        endpoint.calls[handle] = self
        endpoint.by_tag[self.call_id, self._tag] = self
        self._invite(now)

    @property
    def is_live(self) -> bool:
        return self.state is not CallerState.OVER

    # --- the timed machine -------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self.state is CallerState.OVER and self._until is None

    def leave(self) -> None:
        self._endpoint.calls.pop(self.handle, None)
        self._endpoint.by_tag.pop((self.call_id, self._tag), None)
        for session in self._sessions.values():
            if session.state is SessionState.OVER:  # else its BYE is still under way, challenged late
                session.dissolve()
        self._early.clear()
        self._sessions.clear()  # they hold us, and we them: nobody else has to find that out later
        self._chosen = None

    def wake_at(self) -> float | None:
        return self._until

    def wake(self, now: float) -> None:
        """Stop waiting for the end of a cancelled INVITE, or be forgotten."""
        if self.state is CallerState.CANCELLING:
            self._transaction.abandon()
            self._endpoint.agenda.note(self._transaction)
            self._fail(Failed(handle=self.handle, at=now, code=487, reason="CANCEL without an end", local=True), now)
        elif self.state is CallerState.OVER:
            self._until = None

    # --- INVITE ------------------------------------------------------------------------------------------------------

    def _invite(self, now: float) -> None:
        plan = self._plan
        target = self._targets[0]
        self._cseq += 1
        self._branch = numbered(self._first_branch, self._cseq)
        self._credentials_sent = self._answerer.pairs("INVITE", plan.request_uri)
        pairs = [
            ("Via", self._endpoint.via(self._branch, target.way)),
            ("Max-Forwards", "70"),
            ("From", self._from),
            ("To", f"<{plan.to_uri}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} INVITE"),
            ("Contact", self._endpoint.contact(target.way, secure=is_sips(plan.request_uri))),
            ("Allow", ALLOW),
            ("Supported", SUPPORTED),
            *self._timer_pairs(),
            ("User-Agent", self._endpoint.user_agent),
            *self._extra,
            *self._credentials_sent,
        ]
        if plan.body:
            pairs.append(("Content-Type", plan.content_type))
        request = Request(method="INVITE", uri=plan.request_uri, headers=Headers(pairs), body=plan.body)
        transaction = self._endpoint.ask(
            request,
            target,
            now,
            branch=self._branch,
            on_response=self._receive_response,
            on_failure=self._unanswered,
        )
        assert isinstance(transaction, InviteClient)
        self._transaction = transaction

    def _timer_pairs(self) -> list[tuple[str, str]]:
        if not self._expires:
            return []
        return [("Session-Expires", str(self._expires)), ("Min-SE", str(max(MIN_SE_S, self._raised_min_se)))]

    @property
    def _raised_min_se(self) -> int:
        """What a 422 taught us, 0 without one."""
        return self._expires if self._expires != self._plan.session_expires_s else 0

    def _receive_response(self, response: Response, source: tuple[str, int], now: float) -> None:
        if response.code < 200:
            self._receive_provisional(response, source, now)
        elif response.code < 300:
            self.receive_answer(response, source, now)
        else:
            self._receive_refusal(response, now)

    def _receive_provisional(self, response: Response, source: tuple[str, int], now: float) -> None:
        if self.state is CallerState.CANCEL_WANTED:
            self._send_cancel(now)
        if self.state is not CallerState.CALLING:
            return
        if response.code == 100:
            self._endpoint.events.append(Trying(handle=self.handle, at=now))
            return
        self._rang = self._rang or response.code >= 180
        tag = response.head.to.tag
        if tag and not self._knows(tag) and self._known() < _MOST_FORKS:
            self._early[tag] = response, source
        if not self._acknowledge_provisional(response, now):
            return
        self._endpoint.events.append(
            Provisional(
                handle=self.handle,
                at=now,
                code=response.code,
                reason=clean(response.reason),
                body=response.body,
                headers=clean_pairs(response.headers),
                source=source,
                tag=clean(tag),
            )
        )

    def _acknowledge_provisional(self, response: Response, now: float) -> bool:
        """Send PRACK where it is asked for; False for a repetition, or one out of order (RFC 3262 section 4)."""
        try:
            number = reliable_number(response)
        except SipParseError:
            return True  # its Require cannot be read: whatever it wants, somebody rings
        session = None if number is None else self._session_of(response.head.to.tag)
        if number is None or session is None:
            return True
        return session.pracks.receive_reliable(number, response, now)

    def _receive_refusal(self, response: Response, now: float) -> None:
        if self.state in (CallerState.ANSWERED, CallerState.OVER):
            return
        code, reason = response.code, clean(response.reason)
        if self.state is CallerState.CALLING:
            if code in (401, 407) and self._answerer.learn(response.headers, self._tried):
                self._forget_sessions(now)
                self._invite(now)
                return
            if code == 422 and self._raise_expires(response):
                self._invite(now)
                return
            if code == 503 and self._may_try_next(response):
                del self._targets[0]
                self._forget_sessions(now)
                self._invite(now)
                return
        elif code in (401, 407) or code < 400:
            code, reason = 487, "Request Terminated"  # would have needed another INVITE, which nobody wants any more
        headers = clean_pairs(response.headers)
        self._fail(Failed(handle=self.handle, at=now, code=code, reason=reason, headers=headers), now)

    def _forget_sessions(self, now: float) -> None:
        """Another INVITE is sent: what came of the one before means nothing any more."""
        self._drop_peer_offers(now)
        self._early.clear()
        self._sessions.clear()

    def _drop_peer_offers(self, now: float) -> None:
        for session in self._sessions.values():
            session.drop_peer_offer(now)  # nobody else would answer it, and it would never be forgotten

    def _may_try_next(self, response: Response) -> bool:
        """Whether a server that cannot take the call leaves it to the next place (RFC 3263 section 4.3): nobody may
        have been rung, and it did not ask for peace, which concerns the whole peer.
        """
        return len(self._targets) > 1 and not self._rang and response.headers.get("retry-after") is None

    def _raise_expires(self, response: Response) -> bool:
        """Learn the least interval a far end takes (RFC 4028 section 6); False when it is nothing new."""
        try:
            least = min_se(response.headers)
        except SipParseError:
            return False
        if not self._expires or least <= self._expires:
            return False
        self._expires = least
        return True

    def _unanswered(self, code: int, now: float) -> None:
        if self.state is CallerState.CALLING and code == 503 and len(self._targets) > 1:
            del self._targets[0]
            self._invite(now)
        elif self.state is CallerState.CALLING:
            reason = "no answer" if code == 408 else UNSENT
            self._fail(Failed(handle=self.handle, at=now, code=code, reason=reason, local=True), now)
        elif self.state in (CallerState.CANCEL_WANTED, CallerState.CANCELLING):
            self._fail(Failed(handle=self.handle, at=now, code=487, reason="no answer", local=True), now)

    def _fail(self, event: Failed, now: float) -> None:
        self._endpoint.events.append(event)
        self._finish(now)

    def _finish(self, now: float) -> None:
        self.state = CallerState.OVER
        if self._transaction.state in (State.TRYING, State.PROCEEDING):
            # Its answer found the call, but not the transaction (a Via was garbled): nothing else will end it.
            self._transaction.abandon()
            self._endpoint.agenda.note(self._transaction)
        self._drop_peer_offers(now)
        self._until = now + self._endpoint.timers.patience
        self._endpoint.agenda.note(self)

    # --- answers -----------------------------------------------------------------------------------------------------

    def receive_answer(self, response: Response, source: tuple[str, int], now: float) -> None:
        """Take a 2xx to an INVITE of ours, whichever of its transactions still remembers it.

        A repeated one is ACKed again. The first one is the answer; every other one, and the first when it crossed our
        CANCEL, comes after the end or is for an INVITE that was challenged, is ACKed and hung up (RFC 3261 sections
        13.2.2.4 and 9.1).
        """
        head = response.head
        tag = head.to.tag
        session = self._sessions.get(tag)
        if session is not None and session.acks.repeat(head.cseq):
            return
        if session is self._chosen and self._ack_held is not None:
            return  # a repetition: the ACK may not leave yet
        if head.cseq > self._cseq or (session is not None and session.acks.confirmed):
            return  # an answer to something this dialog never asked
        if not self._knows(tag) and self._known() >= 2 * _MOST_FORKS:
            return
        self._early.pop(tag, None)
        early, session = session, self._session(response, source)
        if early is not None:
            session.follow(early)
        session.state = SessionState.UP
        session.dialog.local_cseq = max(self._cseq, session.dialog.local_cseq)
        session.local_body = self._plan.body
        self._sessions[tag] = session
        credentials = self._credentials_sent if head.cseq == self._cseq else []
        is_wanted = self.state is CallerState.CALLING and head.cseq == self._cseq
        if is_wanted and self._plan.hold_ack:
            self._ack_held = head.cseq, credentials
        else:
            session.acks.send(head.cseq, credentials)
        if not is_wanted:
            self._refuse_answer(session, response, source, now)
            return
        self.state = CallerState.ANSWERED
        self._chosen = session
        session.refreshes.learn_peer(response.headers)
        try:
            agreed = session_expires(response.headers)
        except SipParseError:
            agreed = None
        if agreed is not None and self._expires:
            session.refreshes.start(agreed, we_refresh=agreed.refresher != "uas", now=now)
        self._endpoint.events.append(
            Answered(
                handle=self.handle,
                at=now,
                code=response.code,
                reason=clean(response.reason),
                body=response.body,
                headers=clean_pairs(response.headers),
                source=source,
                tag=clean(tag),
            )
        )
        if early is not None and early.last_word is not None:
            # Its BYE overtook its answer.
            self.acknowledge()
            self._endpoint.events.append(early.last_word)
            session.state = SessionState.OVER
            self._finish(now)

    def _refuse_answer(self, session: Session, response: Response, source: tuple[str, int], now: float) -> None:
        session.quiet = True
        session.bye(now)
        self._endpoint.events.append(
            ExtraAnswer(
                handle=self.handle, at=now, code=response.code, source=source, tag=clean(session.dialog.remote_tag)
            )
        )
        if self.state in (CallerState.CANCEL_WANTED, CallerState.CANCELLING):
            reason = "answered while being cancelled"
            self._fail(Failed(handle=self.handle, at=now, code=487, reason=reason), now)
        elif self._until is not None:
            self._until = now + self._endpoint.timers.patience  # this answer will be repeated for that long

    def _knows(self, tag: str) -> bool:
        """Whether a telephone with this tag was heard of."""
        return tag in self._sessions or tag in self._early

    def _known(self) -> int:
        return len(self._sessions) + len(self._early)

    def _session_of(self, tag: str) -> Session | None:
        """Return the session with a telephone that was heard of, None for any other."""
        early = self._early.pop(tag, None)
        if early is not None:
            self._sessions[tag] = self._session(*early)
        return self._sessions.get(tag)

    def _session(self, response: Response, source: tuple[str, int]) -> Session:
        dialog = calling_dialog(
            response,
            source,
            local=self._from,
            local_tag=self._tag,
            request_uri=self._plan.request_uri,
            way=self._transaction.way,
        )
        return Session(
            endpoint=self._endpoint,
            handle=self.handle,
            dialog=dialog,
            answerer=self._answerer,
            on_over=self._session_over,
            owns_call_id=True,
        )

    def _session_over(self, session: Session, now: float) -> None:
        if session is self._chosen and session.last_word is not None:
            self._endpoint.events.append(session.last_word)
            self._finish(now)

    # --- what the floor above asks -----------------------------------------------------------------------------------

    def cancel(self, now: float, reason: str | None = None) -> None:
        """Give up before the answer; harmless when it is too late. Failed(487) follows, or the true refusal."""
        if self.state is not CallerState.CALLING:
            return
        self._cancel_reason = safe(reason or "", "reason")
        self.state = CallerState.CANCEL_WANTED
        if self._transaction.state is State.PROCEEDING:
            self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        self.state = CallerState.CANCELLING
        self._until = now + self._endpoint.timers.patience
        self._endpoint.agenda.note(self)
        target = Target(host=self._transaction.to[0], port=self._transaction.to[1], way=self._transaction.way)
        send_cancel(
            self._endpoint, self._transaction.request, target, now, branch=self._branch, reason=self._cancel_reason
        )

    def acknowledge(self) -> None:
        """Send the ACK that ``hold_ack`` kept back; harmless when there is none."""
        if self._ack_held is not None and self._chosen is not None:
            cseq, credentials = self._ack_held
            self._ack_held = None
            self._chosen.acks.send(cseq, credentials)

    def hang_up(self, now: float, reason: str | None) -> None:
        """BYE after the answer, CANCEL before it."""
        if self._chosen is not None:
            self.acknowledge()  # a BYE before the ACK would be for a dialog the far end cannot be sure of
            self._chosen.bye(now, reason)
        else:
            self.cancel(now, reason)

    @property
    def session(self) -> Session | None:
        """The session of the answer; before it, the early one with an open offer, None without."""
        if self._chosen is not None:
            return self._chosen
        return next((session for session in self._sessions.values() if session.has_peer_offer), None)

    # --- what arrives ------------------------------------------------------------------------------------------------

    def receive_request(self, transaction: ServerTransaction, now: float) -> None:
        """Take a request within one of the call's dialogs."""
        session = self._session_of(transaction.request.head.from_.tag)
        if session is None:
            self._endpoint.reply(transaction, 481, now)
        else:
            session.receive_request(transaction, now)

    def receive_ack(self, request: Request, now: float) -> None:
        """Take the ACK of our 2xx to a re-INVITE."""
        session = self._sessions.get(request.head.from_.tag)
        if session is not None:
            session.receive_ack(request, now)
