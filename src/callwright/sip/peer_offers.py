"""The peer's re-INVITE or UPDATE within a dialog (RFC 3261 section 14.2, RFC 3311): when it is heard, what we answer.

One offer waits for our answer at a time; Reoffered tells of it. It is gone when the peer withdraws it or the call ends.
"""

from __future__ import annotations

from callwright.sip.acks import Acks
from callwright.sip.endpoint import ALLOW, SDP, SUPPORTED
from callwright.sip.errors import WrongMoment
from callwright.sip.event import Reoffered
from callwright.sip.headers import clean, safe
from callwright.sip.message import Request
from callwright.sip.refreshes import Refreshes
from callwright.sip.session_timer import answer_headers, answer_to
from callwright.sip.talk import SessionState, Talk
from callwright.sip.transaction import InviteServer, ServerTransaction


class PeerOffers:
    """The offers of one dialog's peer."""

    __slots__ = ("_acks", "_pending", "_refreshes", "_talk")

    def __init__(self, talk: Talk, acks: Acks, refreshes: Refreshes) -> None:
        self._talk = talk
        self._acks = acks
        self._refreshes = refreshes
        self._pending: ServerTransaction | None = None

    def follow(self, early: PeerOffers) -> None:
        """Take over the offer that waits since before the answer."""
        self._pending, early._pending = early._pending, None

    @property
    def is_open(self) -> bool:
        """Whether an offer of the peer waits for our answer."""
        return self._pending is not None and self._pending.is_pending

    def receive(self, transaction: ServerTransaction, now: float, *, crosses: bool) -> None:
        """Take a re-INVITE or UPDATE; ``crosses``: one of ours is on its way."""
        talk, request = self._talk, transaction.request
        reply = talk.endpoint.reply
        if talk.state in (SessionState.LEAVING, SessionState.HELD) or talk.quiet:
            reply(transaction, 481 if request.method == "UPDATE" else 488, now)
        elif talk.state is SessionState.EARLY and not (talk.agreed and request.method == "UPDATE" and request.body):
            # We cannot have agreed on media yet, so there is nothing to change.
            code = 488 if request.body or request.method == "INVITE" else 200
            reply(transaction, code, now, headers=(("Contact", self._contact(transaction)),))
        elif crosses:
            reply(transaction, 491, now)  # glare (RFC 3261 section 14.2)
        elif self.is_open:
            wait = int(talk.endpoint.new_id()[:4], 16) % 11  # chosen at random from 0 to 10 (RFC 3261 section 14.2)
            reply(transaction, 500, now, headers=(("Retry-After", str(wait)),))
        elif request.method == "UPDATE" and not request.body:
            talk.dialog.take_target(request)
            reply(transaction, 200, now, headers=self._agreeing_headers(transaction, now))
        elif request.body and not _is_sdp(request):
            reply(transaction, 415, now, headers=(("Accept", SDP),))
        else:
            self.take(transaction, now)

    def take(self, transaction: ServerTransaction, now: float) -> None:
        """Let an offer wait for our answer, and tell of it."""
        talk, request = self._talk, transaction.request
        self._pending = transaction
        if isinstance(transaction, InviteServer):
            transaction.on_cancel = self._receive_cancel
        content_type = clean(request.headers.get("content-type") or "")
        talk.endpoint.events.append(
            Reoffered(
                handle=talk.handle,
                at=now,
                method=request.method,
                body=request.body,
                content_type=content_type,
                tag=clean(talk.dialog.remote_tag),
            )
        )

    def _receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        """Take the CANCEL of a re-INVITE (RFC 3261 section 9.2)."""
        self._talk.endpoint.reply(transaction, 200, now)
        self.drop(now)

    def drop(self, now: float) -> None:
        """Refuse the offer that waits, if any, with 487."""
        if self._pending is not None and self._pending.is_pending:
            self._talk.endpoint.reply(self._pending, 487, now)
        self._pending = None

    # --- our answer --------------------------------------------------------------------------------------------------

    def answer(self, body: bytes, now: float) -> None:
        """Accept the offer of Reoffered with our answer; raises WrongMoment when none waits."""
        talk, transaction = self._talk, self._waiting()
        request = transaction.request
        headers: list[tuple[str, str]] = []
        if request.method != "PRACK":
            talk.dialog.take_target(request)
            headers = self._agreeing_headers(transaction, now)
        if body:
            headers.append(("Content-Type", SDP))
            talk.local_body = body
        data = talk.endpoint.reply(transaction, 200, now, headers=headers, body=body)
        self._pending = None
        if isinstance(transaction, InviteServer):
            self._acks.expect(data, transaction, now)

    def refuse(self, code: int, reason: str, now: float) -> None:
        """Refuse the offer of Reoffered (488 is usual); raises WrongMoment when none waits."""
        transaction = self._waiting()
        self._pending = None
        self._talk.endpoint.reply(transaction, code, now, reason=safe(reason, "reason"))

    def _waiting(self) -> ServerTransaction:
        if self._pending is None or not self.is_open:
            raise WrongMoment("no re-INVITE or UPDATE waits for an answer in this call (it may have been withdrawn)")
        return self._pending

    def _contact(self, transaction: ServerTransaction) -> str:
        return self._talk.endpoint.contact(transaction.way, secure=self._talk.dialog.is_secure)

    def _agreeing_headers(self, transaction: ServerTransaction, now: float) -> list[tuple[str, str]]:
        """Return the headers of a 2xx to a re-INVITE or UPDATE, whose session timer starts anew."""
        agreed = answer_to(transaction.request.headers)
        self._refreshes.start(agreed, we_refresh=agreed is not None and agreed.refresher == "uas", now=now)
        return [
            ("Contact", self._contact(transaction)),
            ("Allow", ALLOW),
            ("Supported", SUPPORTED),
            *answer_headers(agreed),
        ]


def _is_sdp(request: Request) -> bool:
    content_type = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    return content_type in ("", SDP)
