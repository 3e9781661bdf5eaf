"""An answer to an INVITE that this core knows nothing of: one of a former life, or forgotten since.

The telephone that sent it is off the hook and repeats its 2xx until somebody ACKs it. Nobody here can talk to it, so
it is ACKed and hung up, as RFC 3261 section 13.2.2.4 has it for an answer nobody wants. Everything goes to where the
answer came from, whatever its Contact and Record-Route say: a forged answer can make us send to its sender only.
"""

from __future__ import annotations

from callwright.sip.auth import Answerer
from callwright.sip.dialog import calling_dialog
from callwright.sip.endpoint import COOKIE, Endpoint
from callwright.sip.event import ExtraAnswer
from callwright.sip.headers import clean
from callwright.sip.message import Request, Response
from callwright.sip.session import Session
from callwright.sip.talk import SessionState
from callwright.sip.transaction import ServerTransaction
from callwright.sip.way import Way

MOST_STRAYS = 1000
REASON = 'Q.850;cause=41;text="the caller was restarted"'  # temporary failure (RFC 3326, ITU-T Q.850)

StrayKey = tuple[str, str, str]


def stray_key(response: Response) -> StrayKey:
    """Return what repetitions of one answer share: Call-ID and both tags."""
    head = response.head
    return head.call_id, head.from_.tag, head.to.tag


def may_be_ours(response: Response, endpoint: Endpoint) -> bool:
    """Tell whether the INVITE may have come from this address: a former life had the same one."""
    via = response.head.via
    return (
        via.branch.startswith(COOKIE)
        and via.host.lower() == endpoint.host.lower().strip("[]")
        and (via.port or 5060) in endpoint.ports.values()
        and bool(response.head.to.tag)
    )


class Stray:
    """One such answer, from its ACK and BYE until its repetitions can be over."""

    __slots__ = ("_endpoint", "_key", "_tag_key", "_until", "handle", "noted_at", "session")

    def __init__(
        self, *, endpoint: Endpoint, response: Response, source: tuple[str, int], now: float, way: Way
    ) -> None:
        head = response.head
        self.handle = endpoint.new_id()
        self.noted_at: float | None = None
        self._endpoint = endpoint
        self._key = stray_key(response)
        self._tag_key = (head.call_id, head.from_.tag)
        self._until: float | None = None
        dialog = calling_dialog(
            response,
            source,
            local=response.headers.get("from") or "",
            local_tag=head.from_.tag,
            request_uri=head.to.uri,
            way=way,
        )
        dialog.only_hop = source
        self.session = Session(
            endpoint=endpoint,
            handle=self.handle,
            dialog=dialog,
            answerer=Answerer(None, endpoint.new_id),
            on_over=self._session_over,
        )
        self.session.state = SessionState.UP
        self.session.quiet = True
        endpoint.strays[self._key] = self
        endpoint.calls[self.handle] = self
        endpoint.by_tag.setdefault(self._tag_key, self)
        self.session.acks.send(head.cseq, [])
        self.session.bye(now, REASON)
        endpoint.events.append(
            ExtraAnswer(handle=self.handle, at=now, code=response.code, source=source, tag=clean(head.to.tag))
        )

    @property
    def is_live(self) -> bool:
        return self.session.state is not SessionState.OVER

    @property
    def is_over(self) -> bool:
        return not self.is_live and self._until is None

    def leave(self) -> None:
        self._endpoint.calls.pop(self.handle, None)
        self._endpoint.strays.pop(self._key, None)
        if self._endpoint.by_tag.get(self._tag_key) is self:
            self._endpoint.by_tag.pop(self._tag_key)

    def wake_at(self) -> float | None:
        return self._until

    def wake(self, now: float) -> None:
        """Be forgotten."""
        self._until = None

    def _session_over(self, session: Session, now: float) -> None:
        self._until = now + self._endpoint.timers.patience
        self._endpoint.agenda.note(self)

    def receive_answer(self, response: Response, source: tuple[str, int], now: float) -> None:
        """ACK a repetition again: the first ACK may have been lost."""
        self.session.acks.repeat(response.head.cseq)

    def receive_request(self, transaction: ServerTransaction, now: float) -> None:
        """Take a request of the telephone, most likely its own BYE."""
        if transaction.request.head.from_.tag == self.session.dialog.remote_tag:
            self.session.receive_request(transaction, now)
        else:
            self._endpoint.reply(transaction, 481, now)

    def receive_ack(self, request: Request, now: float) -> None:
        """Nothing of ours waits for an ACK."""
