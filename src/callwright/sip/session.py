"""What happens within one dialog, whichever side began it: hanging up, INFO, and the parts for everything longer.

early -> up -> over            the far end hangs up
         up -> leaving -> over we hang up: BYE sent, waiting for its answer (timer F at most)
         up -> held -> leaving our 2xx is not ACKed yet, so BYE must wait (RFC 3261 section 15)

ACKs, PRACKs, the session timer, the peer's offers and ours each have a part of their own, which the owner may use.
Those that most calls never need are made when first asked for.

A session hands its last word (Ended or ByeDone) to its owner, the calling or called side, who decides whether it is the
last word of the call. Other events go straight up; a quiet session (an answer nobody wanted) has none.
"""

from __future__ import annotations

from collections.abc import Callable

from callwright.sip.acks import Acks
from callwright.sip.auth import Answerer
from callwright.sip.dialog import Dialog
from callwright.sip.endpoint import ALLOW, SDP, Endpoint
from callwright.sip.event import ByeDone, Ended, InfoReceived
from callwright.sip.headers import clean, clean_pairs, safe
from callwright.sip.message import Request, Response
from callwright.sip.own_offers import OwnOffers
from callwright.sip.peer_offers import PeerOffers
from callwright.sip.pracks import Pracks
from callwright.sip.refreshes import Refreshes
from callwright.sip.talk import SessionState
from callwright.sip.transaction import ClientTransaction, OnFailure, OnResponse, ServerTransaction


class Session:
    """One dialog and its life.

    ``on_over`` is called once, when it has ended. ``last_word`` is how it ended, None while it lives. ``agreed`` says
    that offer and answer were exchanged before the 2xx, ``local_body`` is the last session description of ours.
    ``owns_call_id``: we began the call.
    """

    __slots__ = (
        "_bye_cause", "_bye_reason", "_on_over", "_own_offers", "_owns_call_id", "_peer_offers", "_pracks", "_tried",
        "acks", "agreed", "answerer", "dialog", "endpoint", "handle", "last_word", "local_body", "noted_at", "quiet",
        "refreshes", "state",
    )  # fmt: skip

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        handle: str,
        dialog: Dialog,
        answerer: Answerer,
        on_over: Callable[[Session, float], None],
        owns_call_id: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.answerer = answerer
        self.dialog = dialog
        self.handle = handle
        self.state = SessionState.EARLY
        self.quiet = False
        self.agreed = False
        self.local_body = b""
        self.last_word: Ended | ByeDone | None = None
        self.noted_at: float | None = None
        self.acks = Acks(self)
        self.refreshes = Refreshes(self)
        self._peer_offers: PeerOffers | None = None
        self._own_offers: OwnOffers | None = None
        self._pracks: Pracks | None = None
        self._owns_call_id = owns_call_id
        self._on_over = on_over
        self._tried: dict[str, int] = {}
        self._bye_reason = ""
        self._bye_cause = ""

    def follow(self, early: Session) -> None:
        """Take over what happened before the answer: this session is its successor."""
        self.dialog.remote_cseq = early.dialog.remote_cseq
        self.dialog.local_cseq = max(self.dialog.local_cseq, early.dialog.local_cseq)
        self.agreed = early.agreed
        self.pracks.follow(early.pracks)
        self.peer_offers.follow(early.peer_offers)

    # --- its parts ---------------------------------------------------------------------------------------------------

    @property
    def peer_offers(self) -> PeerOffers:
        if self._peer_offers is None:
            self._peer_offers = PeerOffers(self, self.acks, self.refreshes)
        return self._peer_offers

    @property
    def own_offers(self) -> OwnOffers:
        if self._own_offers is None:
            self._own_offers = OwnOffers(self, self.acks, self.refreshes, self.peer_offers)
            self._own_offers.owns_call_id = self._owns_call_id
        return self._own_offers

    @property
    def pracks(self) -> Pracks:
        if self._pracks is None:
            self._pracks = Pracks(self, self.peer_offers)
        return self._pracks

    @property
    def has_peer_offer(self) -> bool:
        """Whether an offer of the peer waits for our answer."""
        return self._peer_offers is not None and self._peer_offers.is_open

    def drop_peer_offer(self, now: float) -> None:
        """Refuse the offer of the peer that waits for our answer, if any: the call is over."""
        if self._peer_offers is not None:
            self._peer_offers.drop(now)

    # --- the timed machine -------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return False  # it has no table of its own to leave; its owner drops it

    def leave(self) -> None:
        """Nothing to leave: the owner's table holds the session."""

    def dissolve(self) -> None:
        """Be of no more use: session and parts hold each other, and nobody else has to find that out later."""
        self.noted_at = None
        self._peer_offers = self._own_offers = self._pracks = None
        del self.acks, self.refreshes

    def wake_at(self) -> float | None:
        parts = (self.acks, self._pracks, self._own_offers, self.refreshes)
        return min((at for part in parts if part is not None and (at := part.wake_at()) is not None), default=None)

    def wake(self, now: float) -> None:
        """Repeat what waits for ACK or PRACK, offer again after a glare, refresh, or hang up a call that is dead."""
        self.acks.wake(now)
        if self._pracks is not None:
            self._pracks.wake(now)
        if self._own_offers is not None:
            self._own_offers.wake(now)
        if self.refreshes.wake(now):
            self.own_offers.refresh(now)

    # --- hanging up --------------------------------------------------------------------------------------------------

    def bye(self, now: float, reason: str | None = None) -> None:
        """Hang up. Harmless when it is done already; ByeDone follows."""
        if self.state is not SessionState.UP:
            return
        self._bye_reason = safe(reason or "", "reason")
        if self.acks.is_awaiting and not self.acks.confirmed:
            self.state = SessionState.HELD
        else:
            self._send_bye(now)

    def give_up(self, cause: str, now: float, *, reason: str = "") -> None:
        """Hang up a call that is dead; ``reason`` is the Reason header of the BYE, "" leaves what was asked for."""
        self._bye_cause = cause
        self._bye_reason = reason or self._bye_reason
        self._send_bye(now)

    def _send_bye(self, now: float) -> None:
        self.state = SessionState.LEAVING
        self.drop_peer_offer(now)
        self._tried = {}
        self._ask_bye(now)

    def _ask_bye(self, now: float) -> None:
        extra = self.credentials_for("BYE")
        if self._bye_reason:
            extra.append(("Reason", self._bye_reason))
        self.ask("BYE", extra, b"", self._bye_answered, self._bye_failed, now)

    def _bye_answered(self, response: Response, source: tuple[str, int], now: float) -> None:
        if response.code < 200 or self.state is not SessionState.LEAVING:
            return
        if response.code in (401, 407) and self.answerer.learn(response.headers, self._tried):
            self._ask_bye(now)
        else:
            self._bye_done(response.code, now, local=False)

    def _bye_failed(self, code: int, now: float) -> None:
        if self.state is SessionState.LEAVING:
            self._bye_done(code, now, local=True)

    def _bye_done(self, code: int, now: float, *, local: bool) -> None:
        self._over(ByeDone(handle=self.handle, at=now, code=code, local=local, cause=self._bye_cause), now)

    def _over(self, last_word: Ended | ByeDone, now: float) -> None:
        self.drop_peer_offer(now)
        if self._own_offers is not None:
            self._own_offers.abandon()
        self.acks.stop()
        if self._pracks is not None:
            self._pracks.stop()
        self.refreshes.stop()
        self.state = SessionState.OVER
        self.last_word = last_word
        self._on_over(self, now)

    # --- requests from the peer --------------------------------------------------------------------------------------

    def receive_request(self, transaction: ServerTransaction, now: float) -> None:
        """Take a request within the dialog. Its CSeq must be above the last one's (RFC 3261 section 12.2.2)."""
        request = transaction.request
        if self.state is SessionState.OVER:
            self.endpoint.reply(transaction, 481, now)
            return
        cseq = request.head.cseq
        known = self.dialog.remote_cseq
        if known is not None and cseq <= known and request.method != "BYE":
            # BYE ends the dialog in whatever order the network delivers it: refusing it would leave a call up.
            self.endpoint.reply(transaction, 500, now, reason="CSeq Out Of Order")
            return
        self.dialog.remote_cseq = cseq if known is None else max(cseq, known)
        match request.method:
            case "BYE":
                self._receive_bye(transaction, now)
            case "INVITE" | "UPDATE":
                crosses = self._own_offers is not None and self._own_offers.is_under_way
                self.peer_offers.receive(transaction, now, crosses=crosses)
            case "PRACK":
                self.pracks.receive(transaction, now)
            case "INFO":
                self._receive_info(transaction, now)
            case "OPTIONS":
                self.endpoint.reply(transaction, 200, now, headers=(("Allow", ALLOW), ("Accept", SDP)))
            case "REFER":
                self.endpoint.reply(transaction, 603, now)
            case _:
                self.endpoint.reply(transaction, 405, now, headers=(("Allow", ALLOW),))

    def _receive_bye(self, transaction: ServerTransaction, now: float) -> None:
        self.endpoint.reply(transaction, 200, now)
        if self.state is SessionState.LEAVING:
            # The BYEs crossed: both sides agree that it is over, so nothing is worth waiting for.
            self._bye_done(200, now, local=False)
            return
        headers = transaction.request.headers
        reason = clean(headers.get("reason") or "")
        self._over(Ended(handle=self.handle, at=now, headers=clean_pairs(headers), reason_header=reason), now)

    def _receive_info(self, transaction: ServerTransaction, now: float) -> None:
        self.endpoint.reply(transaction, 200, now)
        if not self.quiet:
            request = transaction.request
            content_type = clean(request.headers.get("content-type") or "")
            self.endpoint.events.append(
                InfoReceived(handle=self.handle, at=now, content_type=content_type, body=request.body)
            )

    def receive_ack(self, request: Request, now: float) -> None:
        """Take the ACK of our 2xx; a BYE that had to wait for it goes out."""
        if self.acks.receive(request, now) and self.state is SessionState.HELD:
            self._send_bye(now)

    # --- sending -----------------------------------------------------------------------------------------------------

    def credentials_for(self, method: str) -> list[tuple[str, str]]:
        """Return the headers that answer the challenges known so far."""
        return self.answerer.pairs(method, self.dialog.uri_and_routes()[0])

    def ask(
        self,
        method: str,
        extra: list[tuple[str, str]],
        body: bytes,
        on_response: OnResponse,
        on_failure: OnFailure,
        now: float,
    ) -> ClientTransaction:
        """Send a request with the dialog's next CSeq."""
        self.dialog.local_cseq += 1
        branch, hop = self.endpoint.new_branch(), self.dialog.next_hop()
        request = self.dialog.request(
            self.endpoint, method, hop.way, branch=branch, cseq=self.dialog.local_cseq, extra=extra, body=body
        )
        return self.endpoint.ask(request, hop, now, branch=branch, on_response=on_response, on_failure=on_failure)
