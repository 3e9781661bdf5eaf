"""The PRACKs of one dialog (RFC 3262): ours for the peer's reliable provisional answers, and the peer's for ours."""

from __future__ import annotations

from collections.abc import Callable

from callwright.sip.event import Pracked, Send
from callwright.sip.message import Response
from callwright.sip.peer_offers import PeerOffers
from callwright.sip.reliable import Unpracked, unpracked
from callwright.sip.talk import SessionState, Talk
from callwright.sip.transaction import ServerTransaction


class Pracks:
    """``on_pracked`` hears whether a reliable provisional answer of ours was acknowledged."""

    __slots__ = ("_offers", "_rseq", "_talk", "_unpracked", "on_pracked")

    def __init__(self, talk: Talk, offers: PeerOffers) -> None:
        self.on_pracked: Callable[[bool, float], None] | None = None
        self._talk = talk
        self._offers = offers
        self._rseq: int | None = None
        self._unpracked: Unpracked | None = None

    def follow(self, early: Pracks) -> None:
        """Count on from the session before the answer."""
        self._rseq = early._rseq

    # --- ours --------------------------------------------------------------------------------------------------------

    def receive_reliable(self, number: int, response: Response, now: float) -> bool:
        """Acknowledge a provisional answer with PRACK; False when it is a repetition or out of order."""
        if self._rseq is not None and number != self._rseq + 1:
            return False
        self._rseq = number
        self._talk.agreed = self._talk.agreed or bool(response.body)
        self._ask(f"{number} {response.head.cseq} INVITE", {}, now)
        return True

    def _ask(self, rack: str, tried: dict[str, int], now: float) -> None:
        talk = self._talk

        def answered(response: Response, source: tuple[str, int], now: float) -> None:
            challenged = response.code in (401, 407) and talk.state is not SessionState.OVER
            if challenged and talk.answerer.learn(response.headers, tried):
                self._ask(rack, tried, now)

        talk.ask("PRACK", [("RAck", rack), *talk.credentials_for("PRACK")], b"", answered, _ignore, now)

    # --- the peer's --------------------------------------------------------------------------------------------------

    @property
    def is_awaiting(self) -> bool:
        """Whether a provisional answer of ours waits for its PRACK."""
        return self._unpracked is not None

    def expect(self, send: Send, number: int, cseq: int, now: float) -> None:
        """Repeat a reliable provisional answer of ours until its PRACK comes; ``on_pracked`` hears how it went."""
        endpoint = self._talk.endpoint
        self._unpracked = unpracked(send, number=number, cseq=cseq, timers=endpoint.timers, now=now)
        endpoint.agenda.note(self._talk)

    def receive(self, transaction: ServerTransaction, now: float) -> None:
        """Take a PRACK, which may carry an answer or, after one, a new offer."""
        talk, request = self._talk, transaction.request
        if self._unpracked is None or not self._unpracked.is_acknowledged_by(request):
            talk.endpoint.reply(transaction, 481, now)
            return
        self._unpracked = None
        if request.body and talk.agreed:
            self._offers.take(transaction, now)
        else:
            talk.endpoint.reply(transaction, 200, now)
            talk.agreed = talk.agreed or bool(talk.local_body)
            event = Pracked(handle=talk.handle, at=now, body=request.body, tag=talk.dialog.local_tag)
            talk.endpoint.events.append(event)
        if self.on_pracked is not None:
            self.on_pracked(True, now)

    def stop(self) -> None:
        """Repeat nothing any more: the INVITE was refused, or the call is over."""
        self._unpracked = None

    def wake_at(self) -> float | None:
        return None if self._unpracked is None else min(self._unpracked.resend_at, self._unpracked.end_at)

    def wake(self, now: float) -> None:
        """Send the provisional answer again, or tell that its PRACK never came."""
        waiting = self._unpracked
        if waiting is None:
            return
        if waiting.end_at <= now:
            self._unpracked = None
            if self.on_pracked is not None:
                self.on_pracked(False, now)
        elif waiting.resend_at <= now:
            self._talk.endpoint.outbox.append(waiting.repeat(now))


def _ignore(code: int, now: float) -> None:
    """Leave an unanswered PRACK alone: the far end repeats its provisional answer or gives up."""
