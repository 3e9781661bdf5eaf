"""A dialog that is left of a call nobody here talks in: it is hung up, and knows its peer while that lasts."""

from __future__ import annotations

from callwright.sip.auth import Answerer
from callwright.sip.dialog import Dialog
from callwright.sip.endpoint import Endpoint
from callwright.sip.message import Request, Response
from callwright.sip.session import Session
from callwright.sip.talk import SessionState
from callwright.sip.transaction import ServerTransaction


class Leftover:
    """The owner of such a dialog's session. The peer's own BYE is answered 200 and counts as the end, too.

    It is forgotten when repetitions of what ended it can be over. A quiet session's end is told to nobody.
    """

    __slots__ = ("_endpoint", "_tag_key", "_until", "handle", "noted_at", "session")

    def __init__(self, *, endpoint: Endpoint, handle: str, dialog: Dialog, answerer: Answerer) -> None:
        self.handle = handle
        self.noted_at: float | None = None
        self.session = Session(
            endpoint=endpoint, handle=handle, dialog=dialog, answerer=answerer, on_over=self._session_over
        )
        self.session.state = SessionState.UP
        self._endpoint = endpoint
        self._tag_key = (dialog.call_id, dialog.local_tag)
        self._until: float | None = None
        endpoint.calls[handle] = self

    @property
    def is_live(self) -> bool:
        return self.session.state is not SessionState.OVER

    @property
    def is_over(self) -> bool:
        return not self.is_live and self._until is None

    def leave(self) -> None:
        self._endpoint.calls.pop(self.handle, None)
        if self._endpoint.by_tag.get(self._tag_key) is self:
            self._endpoint.by_tag.pop(self._tag_key)

    def wake_at(self) -> float | None:
        return self._until

    def wake(self, now: float) -> None:
        """Be forgotten."""
        self._until = None

    def _session_over(self, session: Session, now: float) -> None:
        if session.last_word is not None and not session.quiet:
            self._endpoint.events.append(session.last_word)
        self._until = now + self._endpoint.timers.patience
        self._endpoint.agenda.note(self)

    def receive_request(self, transaction: ServerTransaction, now: float) -> None:
        """Take a request of the peer, most likely its own BYE."""
        if transaction.request.head.from_.tag == self.session.dialog.remote_tag:
            self.session.receive_request(transaction, now)
        else:
            self._endpoint.reply(transaction, 481, now)

    def receive_ack(self, request: Request, now: float) -> None:
        """Nothing of ours waits for an ACK."""

    def receive_answer(self, response: Response, source: tuple[str, int], now: float) -> None:
        """ACK a repetition again: the first ACK may have been lost."""
        self.session.acks.repeat(response.head.cseq)
