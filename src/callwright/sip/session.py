"""What happens within one dialog, whichever side began it: hanging up, new offers, INFO, refreshes and repetitions.

early -> up -> over            the far end hangs up
         up -> leaving -> over we hang up: BYE sent, waiting for its answer (timer F at most)
         up -> held -> leaving our 2xx is not ACKed yet, so BYE must wait (RFC 3261 section 15)

A session hands its last word (Ended or ByeDone) to its owner, the calling or called side, who decides whether it is the
last word of the call. Other events go straight up; a quiet session (an answer nobody wanted) has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from callwright.sip.auth import Answerer
from callwright.sip.dialog import Dialog
from callwright.sip.endpoint import ALLOW, SDP, SUPPORTED, Endpoint
from callwright.sip.errors import SipParseError, UnsafeText, WrongMoment
from callwright.sip.event import (
    Acked,
    ByeDone,
    Ended,
    InfoReceived,
    Pracked,
    ReofferAnswered,
    Reoffered,
    ReofferRefused,
    Send,
)
from callwright.sip.headers import Headers, clean, clean_pairs, safe
from callwright.sip.message import Request, Response
from callwright.sip.reliable import Unpracked, unpracked
from callwright.sip.session_timer import (
    SessionExpires,
    SessionTimer,
    answer_headers,
    answer_to,
    min_se,
    running,
    session_expires,
)
from callwright.sip.transaction import ClientTransaction, InviteClient, InviteServer, ServerTransaction

_KEPT_ACKS = 4
_MOST_GLARES = 5
_EXPIRED = 'SIP;cause=408;text="session expired"'


class SessionState(StrEnum):
    EARLY = "early"
    UP = "up"
    HELD = "held"
    LEAVING = "leaving"
    OVER = "over"


@dataclass(slots=True)
class _Unacked:
    """A 2xx of ours that waits for its ACK (RFC 3261 section 13.3.1.4)."""

    send: Send
    cseq: int
    interval: float
    resend_at: float
    end_at: float


@dataclass(slots=True)
class _Offer:
    """A re-INVITE or UPDATE of ours. ``retry_at`` is set while it waits after a glare (RFC 3261 section 14.1)."""

    method: str
    body: bytes
    is_refresh: bool
    glares: int = 0
    retry_at: float | None = None


class Session:
    """One dialog and its life.

    ``on_over`` is called once, when it has ended. ``confirmed`` says that both sides know of the 2xx (its ACK was seen
    or sent). ``last_word`` is how it ended, None while it lives. ``agreed`` says that offer and answer were exchanged
    before the 2xx, ``local_body`` is the last session description of ours. ``on_pracked`` hears whether a reliable
    provisional answer of ours was acknowledged. ``owns_call_id``: the calling side waits longer after a glare.
    """

    __slots__ = (
        "_acks", "_answerer", "_bye_cause", "_bye_reason", "_endpoint", "_offer", "_on_over", "_peer_updates",
        "_pending", "_reoffer", "_rseq", "_timer", "_tried", "_unacked", "_unpracked", "agreed", "confirmed", "dialog",
        "handle", "last_word", "local_body", "noted_at", "on_pracked", "owns_call_id", "quiet", "state",
    )  # fmt: skip

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        handle: str,
        dialog: Dialog,
        answerer: Answerer,
        on_over: Callable[[Session, float], None],
    ) -> None:
        self.dialog = dialog
        self.handle = handle
        self.state = SessionState.EARLY
        self.quiet = False
        self.confirmed = False
        self.last_word: Ended | ByeDone | None = None
        self.noted_at: float | None = None
        self._endpoint = endpoint
        self._answerer = answerer
        self._on_over = on_over
        self._acks: dict[int, Send] = {}
        self._unacked: _Unacked | None = None
        self._pending: ServerTransaction | None = None
        self._reoffer: ClientTransaction | None = None
        self._offer: _Offer | None = None
        self._tried: dict[str, int] = {}
        self._rseq: int | None = None
        self._unpracked: Unpracked | None = None
        self._timer: SessionTimer | None = None
        self._peer_updates = False
        self.agreed = False
        self.local_body = b""
        self.owns_call_id = False
        self.on_pracked: Callable[[bool, float], None] | None = None
        self._bye_reason = ""
        self._bye_cause = ""

    # --- the timed machine -------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return False  # it has no table of its own to leave; its owner drops it

    def leave(self) -> None:
        """Nothing to leave: the owner's table holds the session."""

    def wake_at(self) -> float | None:
        at: float | None = None
        for waiting in (self._unacked, self._unpracked):
            if waiting is not None:
                at = min(waiting.resend_at, waiting.end_at)
        if self._offer is not None and self._offer.retry_at is not None:
            at = self._offer.retry_at if at is None else min(at, self._offer.retry_at)
        if self._timer is not None:
            at = self._timer.wake_at() if at is None else min(at, self._timer.wake_at())
        return at

    def wake(self, now: float) -> None:
        """Repeat what waits for ACK or PRACK, offer again after a glare, refresh, or hang up a call that is dead."""
        if self._unacked is not None:
            self._wake_unacked(self._unacked, now)
        if self._unpracked is not None:
            self._wake_unpracked(self._unpracked, now)
        offer = self._offer
        if offer is not None and offer.retry_at is not None and offer.retry_at <= now:
            self._offer_again(offer, now)
        if self._timer is not None:
            self._wake_timer(self._timer, now)

    def _wake_unacked(self, waiting: _Unacked, now: float) -> None:
        if waiting.end_at <= now:
            self._unacked = None
            if self.state in (SessionState.UP, SessionState.HELD):
                self._bye_cause = "our answer was never acknowledged"
                self._send_bye(now)
        elif waiting.resend_at <= now:
            self._endpoint.outbox.append(waiting.send)
            waiting.interval = min(waiting.interval * 2, self._endpoint.timers.t2)
            waiting.resend_at = now + waiting.interval

    def follow(self, early: Session) -> None:
        """Take over what happened before the answer: this session is its successor."""
        self.dialog.remote_cseq = early.dialog.remote_cseq
        self.dialog.local_cseq = max(self.dialog.local_cseq, early.dialog.local_cseq)
        self._rseq = early._rseq
        self.agreed = early.agreed
        self._pending, early._pending = early._pending, None

    # --- reliable provisional answers --------------------------------------------------------------------------------

    def receive_reliable(self, number: int, response: Response, now: float) -> bool:
        """Acknowledge a provisional answer with PRACK; False when it is a repetition or out of order."""
        if self._rseq is not None and number != self._rseq + 1:
            return False
        self._rseq = number
        self.agreed = self.agreed or bool(response.body)
        self._ask_prack(f"{number} {response.head.cseq} INVITE", {}, now)
        return True

    def _ask_prack(self, rack: str, tried: dict[str, int], now: float) -> None:
        def answered(response: Response, source: tuple[str, int], now: float) -> None:
            challenged = response.code in (401, 407) and self.state is not SessionState.OVER
            if challenged and self._answerer.learn(response.headers, tried):
                self._ask_prack(rack, tried, now)

        self._ask("PRACK", [("RAck", rack), *self._credentials_for("PRACK")], b"", answered, _ignore, now)

    def await_prack(self, send: Send, number: int, cseq: int, now: float) -> None:
        """Repeat a reliable provisional answer of ours until its PRACK comes; ``on_pracked`` hears how it went."""
        self._unpracked = unpracked(send, number=number, cseq=cseq, timers=self._endpoint.timers, now=now)
        self._endpoint.agenda.note(self)

    @property
    def awaits_prack(self) -> bool:
        return self._unpracked is not None

    def stop_waiting(self) -> None:
        """Repeat nothing any more: the INVITE was refused."""
        self._unpracked = None

    def _wake_unpracked(self, waiting: Unpracked, now: float) -> None:
        if waiting.end_at <= now:
            self._unpracked = None
            if self.on_pracked is not None:
                self.on_pracked(False, now)
        elif waiting.resend_at <= now:
            self._endpoint.outbox.append(waiting.repeat(now))

    def _receive_prack(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        if self._unpracked is None or not self._unpracked.is_acknowledged_by(request):
            self._endpoint.reply(transaction, 481, now)
            return
        self._unpracked = None
        if request.body and self.agreed:
            self._take_offer(transaction, now)
        else:
            self._endpoint.reply(transaction, 200, now)
            self.agreed = self.agreed or bool(self.local_body)
            event = Pracked(handle=self.handle, at=now, body=request.body, tag=self.dialog.local_tag)
            self._endpoint.events.append(event)
        if self.on_pracked is not None:
            self.on_pracked(True, now)

    # --- session timer -----------------------------------------------------------------------------------------------

    def learn_peer(self, headers: Headers) -> None:
        """Learn from an INVITE or its answer whether the peer takes UPDATE."""
        try:
            self._peer_updates = "UPDATE" in headers.listed("allow")
        except SipParseError:
            self._peer_updates = False

    def start_timer(self, agreed: SessionExpires | None, *, we_refresh: bool, now: float) -> None:
        """Count anew from a request or answer that agreed on a session timer; None agreed on none."""
        if self.quiet or self.state not in (SessionState.UP, SessionState.HELD):
            return
        self._timer = None if agreed is None else running(agreed, we_refresh=we_refresh, now=now)
        self._endpoint.agenda.note(self)

    def _wake_timer(self, timer: SessionTimer, now: float) -> None:
        if timer.end_at <= now:
            self._timer = None
            if self.state is SessionState.UP:
                self._bye_cause = "nobody refreshed the session"
                self._bye_reason = _EXPIRED
                self._send_bye(now)
        elif timer.refresh_at is not None and timer.refresh_at <= now:
            timer.refresh_at = now + max((timer.end_at - now) / 2, 1.0)  # should this one come to nothing
            if self.state is SessionState.UP and not self._is_offering:
                update = self._peer_updates or not self.local_body
                self._offer = _Offer("UPDATE" if update else "INVITE", b"" if update else self.local_body, True)
                self._tried = {}
                self._ask_reoffer(self._offer, now)

    # --- ACKs we owe -------------------------------------------------------------------------------------------------

    def acknowledge(self, cseq: int, extra: list[tuple[str, str]]) -> None:
        """Send the ACK of a 2xx to our INVITE: a branch of its own, the INVITE's credentials (RFC 3261 13.2.2.4)."""
        request = self.dialog.request(self._endpoint, "ACK", branch=self._endpoint.new_branch(), cseq=cseq, extra=extra)
        hop = self.dialog.next_hop()
        send = Send(data=request.render(), to=hop.to, way=hop.way)
        self.confirmed = True
        self._acks[cseq] = send
        if len(self._acks) > _KEPT_ACKS:
            self._acks.pop(min(self._acks))
        self._endpoint.outbox.append(send)

    def repeat_ack(self, cseq: int) -> bool:
        """Send the ACK again for a repeated 2xx; False when this dialog never ACKed that CSeq."""
        send = self._acks.get(cseq)
        if send is None:
            return False
        self._endpoint.outbox.append(send)
        return True

    # --- ACKs owed to us ---------------------------------------------------------------------------------------------

    def await_ack(self, data: bytes, transaction: InviteServer, now: float) -> None:
        """Repeat a 2xx of ours until its ACK comes: T1 doubling to T2, 64*T1 in all, whatever the transport."""
        timers = self._endpoint.timers
        self._unacked = _Unacked(
            send=Send(data=data, to=transaction.to, way=transaction.way),
            cseq=transaction.request.head.cseq,
            interval=timers.t1,
            resend_at=now + timers.t1,
            end_at=now + timers.patience,
        )
        self._endpoint.agenda.note(self)

    def receive_ack(self, request: Request, now: float) -> None:
        """Take the ACK of our 2xx."""
        waiting = self._unacked
        if waiting is None or request.head.cseq != waiting.cseq:
            return
        self._unacked = None
        self.confirmed = True
        if not self.quiet:
            self._endpoint.events.append(
                Acked(handle=self.handle, at=now, body=request.body, tag=self.dialog.local_tag)
            )
        if self.state is SessionState.HELD:
            self._send_bye(now)

    # --- hanging up --------------------------------------------------------------------------------------------------

    def bye(self, now: float, reason: str | None = None) -> None:
        """Hang up. Harmless when it is done already; ByeDone follows."""
        if self.state is not SessionState.UP:
            return
        self._bye_reason = safe(reason or "", "reason")
        if self._unacked is not None and not self.confirmed:
            self.state = SessionState.HELD
        else:
            self._send_bye(now)

    def _send_bye(self, now: float) -> None:
        self.state = SessionState.LEAVING
        self._drop_pending(now)
        self._tried = {}
        self._ask_bye(now)

    def _ask_bye(self, now: float) -> None:
        extra = self._credentials_for("BYE")
        if self._bye_reason:
            extra.append(("Reason", self._bye_reason))
        self._ask("BYE", extra, b"", self._bye_answered, self._bye_failed, now)

    def _bye_answered(self, response: Response, source: tuple[str, int], now: float) -> None:
        if response.code < 200 or self.state is not SessionState.LEAVING:
            return
        if response.code in (401, 407) and self._answerer.learn(response.headers, self._tried):
            self._ask_bye(now)
        else:
            self._bye_done(response.code, now, local=False)

    def _bye_failed(self, code: int, now: float) -> None:
        if self.state is SessionState.LEAVING:
            self._bye_done(code, now, local=True)

    def _bye_done(self, code: int, now: float, *, local: bool) -> None:
        self._over(ByeDone(handle=self.handle, at=now, code=code, local=local, cause=self._bye_cause), now)

    def _over(self, last_word: Ended | ByeDone, now: float) -> None:
        self._drop_pending(now)
        if isinstance(self._reoffer, InviteClient):
            self._reoffer.abandon()
            self._endpoint.agenda.note(self._reoffer)
        self._reoffer = self._offer = None
        self._unacked = self._unpracked = self._timer = None
        self.state = SessionState.OVER
        self.last_word = last_word
        self._on_over(self, now)

    # --- requests from the peer --------------------------------------------------------------------------------------

    def receive_request(self, transaction: ServerTransaction, now: float) -> None:
        """Take a request within the dialog. Its CSeq must be above the last one's (RFC 3261 section 12.2.2)."""
        request = transaction.request
        if self.state is SessionState.OVER:
            self._endpoint.reply(transaction, 481, now)
            return
        cseq = request.head.cseq
        known = self.dialog.remote_cseq
        if known is not None and cseq <= known and request.method != "BYE":
            # BYE ends the dialog in whatever order the network delivers it: refusing it would leave a call up.
            self._endpoint.reply(transaction, 500, now, reason="CSeq Out Of Order")
            return
        self.dialog.remote_cseq = cseq if known is None else max(cseq, known)
        match request.method:
            case "BYE":
                self._receive_bye(transaction, now)
            case "INVITE" | "UPDATE":
                self._receive_offer(transaction, now)
            case "PRACK":
                self._receive_prack(transaction, now)
            case "INFO":
                self._receive_info(transaction, now)
            case "OPTIONS":
                self._endpoint.reply(transaction, 200, now, headers=(("Allow", ALLOW), ("Accept", SDP)))
            case "REFER":
                self._endpoint.reply(transaction, 603, now)
            case _:
                self._endpoint.reply(transaction, 405, now, headers=(("Allow", ALLOW),))

    def _receive_bye(self, transaction: ServerTransaction, now: float) -> None:
        self._endpoint.reply(transaction, 200, now)
        if self.state is SessionState.LEAVING:
            # The BYEs crossed: both sides agree that it is over, so nothing is worth waiting for.
            self._bye_done(200, now, local=False)
            return
        headers = transaction.request.headers
        reason = clean(headers.get("reason") or "")
        self._over(Ended(handle=self.handle, at=now, headers=clean_pairs(headers), reason_header=reason), now)

    def _receive_info(self, transaction: ServerTransaction, now: float) -> None:
        self._endpoint.reply(transaction, 200, now)
        if not self.quiet:
            request = transaction.request
            content_type = clean(request.headers.get("content-type") or "")
            self._endpoint.events.append(
                InfoReceived(handle=self.handle, at=now, content_type=content_type, body=request.body)
            )

    def _receive_offer(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        reply = self._endpoint.reply
        if self.state in (SessionState.LEAVING, SessionState.HELD) or self.quiet:
            reply(transaction, 481 if request.method == "UPDATE" else 488, now)
        elif self.state is SessionState.EARLY and not (self.agreed and request.method == "UPDATE" and request.body):
            # We cannot have agreed on media yet, so there is nothing to change.
            code = 488 if request.body or request.method == "INVITE" else 200
            reply(transaction, code, now, headers=(("Contact", self._endpoint.contact(transaction.way)),))
        elif self._reoffer is not None:
            reply(transaction, 491, now)  # glare (RFC 3261 section 14.2)
        elif self.has_offer:
            wait = int(self._endpoint.new_id()[:4], 16) % 11  # chosen at random from 0 to 10 (RFC 3261 section 14.2)
            reply(transaction, 500, now, headers=(("Retry-After", str(wait)),))
        elif request.method == "UPDATE" and not request.body:
            self.dialog.take_target(request)
            reply(transaction, 200, now, headers=self._agreeing_headers(transaction, now))
        elif request.body and not _is_sdp(request):
            reply(transaction, 415, now, headers=(("Accept", SDP),))
        else:
            self._take_offer(transaction, now)

    def _take_offer(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        self._pending = transaction
        if isinstance(transaction, InviteServer):
            transaction.on_cancel = self._receive_cancel
        content_type = clean(request.headers.get("content-type") or "")
        self._endpoint.events.append(
            Reoffered(handle=self.handle, at=now, method=request.method, body=request.body, content_type=content_type)
        )

    def _agreeing_headers(self, transaction: ServerTransaction, now: float) -> list[tuple[str, str]]:
        """Return the headers of a 2xx to a re-INVITE or UPDATE, whose session timer starts anew."""
        agreed = answer_to(transaction.request.headers)
        self.start_timer(agreed, we_refresh=agreed is not None and agreed.refresher == "uas", now=now)
        contact = self._endpoint.contact(transaction.way)
        return [("Contact", contact), ("Allow", ALLOW), ("Supported", SUPPORTED), *answer_headers(agreed)]

    def answer_reinvite(self, body: bytes, now: float) -> None:
        """Accept the offer of Reoffered with our answer; raises WrongMoment when none waits."""
        transaction = self._waiting_offer()
        request = transaction.request
        headers: list[tuple[str, str]] = []
        if request.method != "PRACK":
            self.dialog.take_target(request)
            headers = self._agreeing_headers(transaction, now)
        if body:
            headers.append(("Content-Type", SDP))
            self.local_body = body
        data = self._endpoint.reply(transaction, 200, now, headers=headers, body=body)
        self._pending = None
        if isinstance(transaction, InviteServer):
            self.await_ack(data, transaction, now)

    def refuse_reinvite(self, code: int, reason: str, now: float) -> None:
        """Refuse the offer of Reoffered (488 is usual); raises WrongMoment when none waits."""
        transaction = self._waiting_offer()
        self._pending = None
        self._endpoint.reply(transaction, code, now, reason=safe(reason, "reason"))

    def _receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        """Take the CANCEL of a re-INVITE (RFC 3261 section 9.2)."""
        self._endpoint.reply(transaction, 200, now)
        self._drop_pending(now)

    @property
    def has_offer(self) -> bool:
        """Whether an offer of the peer waits for our answer."""
        return self._pending is not None and self._pending.is_pending

    def _waiting_offer(self) -> ServerTransaction:
        if self._pending is None or not self.has_offer:
            raise WrongMoment("no re-INVITE or UPDATE waits for an answer in this call (it may have been withdrawn)")
        return self._pending

    def _drop_pending(self, now: float) -> None:
        if self._pending is not None and self._pending.is_pending:
            self._endpoint.reply(self._pending, 487, now)
        self._pending = None

    # --- our own re-INVITE and UPDATE --------------------------------------------------------------------------------

    @property
    def _is_offering(self) -> bool:
        return self._offer is not None or self._unacked is not None or self.has_offer

    def reoffer(self, body: bytes, now: float, method: str = "INVITE") -> None:
        """Send a re-INVITE or UPDATE; raises WrongMoment while another offer is open (RFC 3261 section 14.1)."""
        if method not in ("INVITE", "UPDATE"):
            raise UnsafeText(f"an offer is made with INVITE or UPDATE, not {method[:20]!r}", field="method")
        if self.state is not SessionState.UP or self._is_offering:
            raise WrongMoment("a new offer needs a call that is up with no other offer open: wait for its end")
        self._tried = {}
        self._offer = _Offer(method, body, False)
        self._ask_reoffer(self._offer, now)

    def _ask_reoffer(self, offer: _Offer, now: float) -> None:
        credentials = self._credentials_for(offer.method)

        def answered(response: Response, source: tuple[str, int], now: float) -> None:
            self._reoffer_answered(offer, response, credentials, now)

        extra = [("Supported", SUPPORTED), *credentials]
        if self._timer is not None:
            refresher = "uac" if self._timer.we_refresh else "uas"
            extra.append(("Session-Expires", str(SessionExpires(seconds=self._timer.seconds, refresher=refresher))))
        if offer.body:
            extra.append(("Content-Type", SDP))
        self._reoffer = self._ask(offer.method, extra, offer.body, answered, self._reoffer_failed, now)

    def _reoffer_answered(
        self, offer: _Offer, response: Response, credentials: list[tuple[str, str]], now: float
    ) -> None:
        code = response.code
        if code < 200 or (code < 300 and self.repeat_ack(response.head.cseq)):
            return
        self._reoffer = None
        if code < 300:
            self._offer = None
            self.dialog.take_target(response)
            self.local_body = offer.body or self.local_body
            if offer.method == "INVITE":
                self.acknowledge(response.head.cseq, credentials)
            self._restart_timer(response, now)
            if self._may_speak() and not (offer.is_refresh and not response.body):
                self._endpoint.events.append(ReofferAnswered(handle=self.handle, at=now, code=code, body=response.body))
        elif self.state is SessionState.UP:
            if code in (401, 407) and self._answerer.learn(response.headers, self._tried):
                self._ask_reoffer(offer, now)
            elif code == 422 and self._raise_timer(response):
                self._ask_reoffer(offer, now)
            elif code == 491 and offer.glares < _MOST_GLARES:
                self._wait_after_glare(offer, now)
            else:
                self._offer_refused(offer, code, clean(response.reason), now)
        else:
            self._offer = None

    def _reoffer_failed(self, code: int, now: float) -> None:
        self._reoffer = None
        offer, self._offer = self._offer, None
        if offer is not None and self._may_speak():
            self._offer_refused(offer, code, "no answer", now, local=True)

    def _offer_refused(self, offer: _Offer, code: int, reason: str, now: float, *, local: bool = False) -> None:
        self._offer = None
        if not offer.is_refresh:
            self._endpoint.events.append(
                ReofferRefused(handle=self.handle, at=now, code=code, reason=reason, local=local)
            )
        elif code in (408, 481):
            # The far end knows nothing of this call any more (RFC 4028 section 10).
            self._bye_cause = f"the refresh of the session ended with {code}"
            self._bye_reason = f"SIP;cause={code}"
            self._send_bye(now)

    def _wait_after_glare(self, offer: _Offer, now: float) -> None:
        """Offer again after 2.1 to 4 s, or up to 2 s where the Call-ID is the peer's (RFC 3261 section 14.1)."""
        offer.glares += 1
        chance = int(self._endpoint.new_id()[:4], 16) % 191
        offer.retry_at = now + (2.1 + chance / 100 if self.owns_call_id else chance / 100)
        self._endpoint.agenda.note(self)

    def _offer_again(self, offer: _Offer, now: float) -> None:
        if self._unacked is not None or self.has_offer:
            offer.retry_at = now + 1.0  # the peer's offer first
            return
        offer.retry_at = None
        if self.state is SessionState.UP:
            self._ask_reoffer(offer, now)

    def _restart_timer(self, response: Response, now: float) -> None:
        try:
            agreed = session_expires(response.headers)
        except SipParseError:
            return  # what it says is unknown: the old agreement goes on
        if self._timer is not None or agreed is not None:
            self.start_timer(agreed, we_refresh=agreed is not None and agreed.refresher != "uas", now=now)

    def _raise_timer(self, response: Response) -> bool:
        try:
            least = min_se(response.headers)
        except SipParseError:
            return False
        if self._timer is None or least <= self._timer.seconds:
            return False
        self._timer.seconds = least
        return True

    def _may_speak(self) -> bool:
        return self.state is SessionState.UP and not self.quiet

    # --- sending -----------------------------------------------------------------------------------------------------

    def _credentials_for(self, method: str) -> list[tuple[str, str]]:
        return self._answerer.pairs(method, self.dialog.uri_and_routes()[0])

    def _ask(
        self,
        method: str,
        extra: list[tuple[str, str]],
        body: bytes,
        on_response: Callable[[Response, tuple[str, int], float], None],
        on_failure: Callable[[int, float], None],
        now: float,
    ) -> ClientTransaction:
        self.dialog.local_cseq += 1
        branch = self._endpoint.new_branch()
        request = self.dialog.request(
            self._endpoint, method, branch=branch, cseq=self.dialog.local_cseq, extra=extra, body=body
        )
        return self._endpoint.ask(
            request, self.dialog.next_hop(), now, branch=branch, on_response=on_response, on_failure=on_failure
        )


def _is_sdp(request: Request) -> bool:
    content_type = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    return content_type in ("", SDP)


def _ignore(code: int, now: float) -> None:
    """Leave an unanswered PRACK alone: the far end repeats its provisional answer or gives up."""
