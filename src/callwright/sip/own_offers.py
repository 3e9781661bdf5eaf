"""Our own re-INVITE and UPDATE within a dialog: new offers and refreshes, challenged, crossed by the peer's, refused.

An offer that meets one of the peer's (491) is made again after a while (RFC 3261 section 14.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from callwright.sip.acks import Acks
from callwright.sip.endpoint import SDP, SUPPORTED
from callwright.sip.errors import UnsafeText, WrongMoment
from callwright.sip.event import ReofferAnswered, ReofferRefused
from callwright.sip.headers import clean
from callwright.sip.message import Response
from callwright.sip.peer_offers import PeerOffers
from callwright.sip.refreshes import Refreshes
from callwright.sip.talk import SessionState, Talk
from callwright.sip.transaction import ClientTransaction, InviteClient

_MOST_GLARES = 5


@dataclass(slots=True)
class _Offer:
    """A re-INVITE or UPDATE of ours. ``retry_at`` is set while it waits after a glare (RFC 3261 section 14.1)."""

    method: str
    body: bytes
    is_refresh: bool
    glares: int = 0
    retry_at: float | None = None


class OwnOffers:
    """Our offers in one dialog, one at a time. ``owns_call_id``: the calling side waits longer after a glare."""

    __slots__ = ("_acks", "_offer", "_peer_offers", "_refreshes", "_talk", "_transaction", "_tried", "owns_call_id")

    def __init__(self, talk: Talk, acks: Acks, refreshes: Refreshes, peer_offers: PeerOffers) -> None:
        self.owns_call_id = False
        self._talk = talk
        self._acks = acks
        self._refreshes = refreshes
        self._peer_offers = peer_offers
        self._transaction: ClientTransaction | None = None
        self._offer: _Offer | None = None
        self._tried: dict[str, int] = {}

    @property
    def is_under_way(self) -> bool:
        """Whether an offer of ours waits for its answer just now (not for the time after a glare)."""
        return self._transaction is not None

    @property
    def _is_blocked(self) -> bool:
        """Whether an offer of the peer is open: it waits for our answer, or our answer for its ACK."""
        return self._acks.is_awaiting or self._peer_offers.is_open

    # --- offering ----------------------------------------------------------------------------------------------------

    def make(self, body: bytes, now: float, method: str = "INVITE") -> None:
        """Send a re-INVITE or UPDATE; raises WrongMoment while another offer is open (RFC 3261 section 14.1)."""
        if method not in ("INVITE", "UPDATE"):
            raise UnsafeText(f"an offer is made with INVITE or UPDATE, not {method[:20]!r}", field="method")
        if self._talk.state is not SessionState.UP or self._offer is not None or self._is_blocked:
            raise WrongMoment("a new offer needs a call that is up with no other offer open: wait for its end")
        self._begin(_Offer(method, body, False), now)

    def refresh(self, now: float) -> None:
        """Refresh the session unless an open offer does so: with UPDATE, else with our last session description."""
        if self._talk.state is SessionState.UP and self._offer is None and not self._is_blocked:
            body = self._talk.local_body
            update = self._refreshes.peer_updates or not body
            self._begin(_Offer("UPDATE" if update else "INVITE", b"" if update else body, True), now)

    def _begin(self, offer: _Offer, now: float) -> None:
        self._tried = {}
        self._offer = offer
        self._ask(offer, now)

    def _ask(self, offer: _Offer, now: float) -> None:
        credentials = self._talk.credentials_for(offer.method)

        def answered(response: Response, source: tuple[str, int], now: float) -> None:
            self._answered(offer, response, credentials, now)

        extra = [("Supported", SUPPORTED), *credentials, *self._refreshes.headers()]
        if offer.body:
            extra.append(("Content-Type", SDP))
        self._transaction = self._talk.ask(offer.method, extra, offer.body, answered, self._failed, now)

    def abandon(self) -> None:
        """Forget the offer: the call is over."""
        if isinstance(self._transaction, InviteClient):
            self._transaction.abandon()
            self._talk.endpoint.agenda.note(self._transaction)
        self._transaction = self._offer = None

    # --- what comes of it --------------------------------------------------------------------------------------------

    def _answered(self, offer: _Offer, response: Response, credentials: list[tuple[str, str]], now: float) -> None:
        talk, code = self._talk, response.code
        if code < 200 or (code < 300 and self._acks.repeat(response.head.cseq)):
            return
        self._transaction = None
        if code < 300:
            self._accepted(offer, response, credentials, now)
        elif talk.state is SessionState.UP:
            if code in (401, 407) and talk.answerer.learn(response.headers, self._tried):
                self._ask(offer, now)
            elif code == 422 and self._refreshes.lengthen(response):
                self._ask(offer, now)
            elif code == 491 and offer.glares < _MOST_GLARES:
                self._wait_after_glare(offer, now)
            else:
                self._refused(offer, code, clean(response.reason), now)
        else:
            self._offer = None

    def _accepted(self, offer: _Offer, response: Response, credentials: list[tuple[str, str]], now: float) -> None:
        talk = self._talk
        self._offer = None
        talk.dialog.take_target(response)
        talk.local_body = offer.body or talk.local_body
        if offer.method == "INVITE":
            self._acks.send(response.head.cseq, credentials)
        self._refreshes.restart(response, now)
        if self._may_speak() and not (offer.is_refresh and not response.body):
            event = ReofferAnswered(handle=talk.handle, at=now, code=response.code, body=response.body)
            talk.endpoint.events.append(event)

    def _failed(self, code: int, now: float) -> None:
        self._transaction = None
        offer, self._offer = self._offer, None
        if offer is not None and self._may_speak():
            self._refused(offer, code, "no answer", now, local=True)

    def _refused(self, offer: _Offer, code: int, reason: str, now: float, *, local: bool = False) -> None:
        self._offer = None
        talk = self._talk
        if not offer.is_refresh:
            event = ReofferRefused(handle=talk.handle, at=now, code=code, reason=reason, local=local)
            talk.endpoint.events.append(event)
        elif code in (408, 481):
            # The far end knows nothing of this call any more (RFC 4028 section 10).
            talk.give_up(f"the refresh of the session ended with {code}", now, reason=f"SIP;cause={code}")

    def _may_speak(self) -> bool:
        return self._talk.state is SessionState.UP and not self._talk.quiet

    # --- glare -------------------------------------------------------------------------------------------------------

    def _wait_after_glare(self, offer: _Offer, now: float) -> None:
        """Offer again after 2.1 to 4 s, or up to 2 s where the Call-ID is the peer's (RFC 3261 section 14.1)."""
        offer.glares += 1
        chance = int(self._talk.endpoint.new_id()[:4], 16) % 191
        offer.retry_at = now + (2.1 + chance / 100 if self.owns_call_id else chance / 100)
        self._talk.endpoint.agenda.note(self._talk)

    def wake_at(self) -> float | None:
        return None if self._offer is None else self._offer.retry_at

    def wake(self, now: float) -> None:
        """Offer again after a glare; an open offer of the peer goes first."""
        offer = self._offer
        if offer is None or offer.retry_at is None or offer.retry_at > now:
            return
        if self._is_blocked:
            offer.retry_at = now + 1.0
            return
        offer.retry_at = None
        if self._talk.state is SessionState.UP:
            self._ask(offer, now)
