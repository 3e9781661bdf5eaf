"""The ACKs of one dialog (RFC 3261 sections 13.2.2.4 and 13.3.1.4): those we owe, and those owed to us.

An ACK of ours is kept and sent again for every repetition of its 2xx; a 2xx of ours is repeated until its ACK comes.
"""

from __future__ import annotations

from dataclasses import dataclass

from callwright.sip.event import Acked, Send
from callwright.sip.message import Request
from callwright.sip.talk import SessionState, Talk
from callwright.sip.transaction import InviteServer

_KEPT = 4


@dataclass(slots=True)
class _Unacked:
    """A 2xx of ours that waits for its ACK."""

    send: Send
    cseq: int
    interval: float
    resend_at: float
    end_at: float


class Acks:
    """``confirmed`` says that both sides know of the 2xx (its ACK was seen or sent)."""

    __slots__ = ("_kept", "_talk", "_unacked", "confirmed")

    def __init__(self, talk: Talk) -> None:
        self.confirmed = False
        self._talk = talk
        self._kept: dict[int, Send] = {}
        self._unacked: _Unacked | None = None

    def send(self, cseq: int, extra: list[tuple[str, str]]) -> None:
        """Send the ACK of a 2xx to our INVITE: a branch of its own, the INVITE's credentials (RFC 3261 13.2.2.4)."""
        endpoint, dialog = self._talk.endpoint, self._talk.dialog
        hop = dialog.next_hop()
        request = dialog.request(endpoint, "ACK", hop.way, branch=endpoint.new_branch(), cseq=cseq, extra=extra)
        send = Send(data=request.render(), to=hop.to, way=hop.way)
        self.confirmed = True
        self._kept[cseq] = send
        if len(self._kept) > _KEPT:
            self._kept.pop(min(self._kept))
        endpoint.outbox.append(send)

    def repeat(self, cseq: int) -> bool:
        """Send the ACK again for a repeated 2xx; False when this dialog never ACKed that CSeq."""
        send = self._kept.get(cseq)
        if send is None:
            return False
        self._talk.endpoint.outbox.append(send)
        return True

    @property
    def is_awaiting(self) -> bool:
        """Whether a 2xx of ours waits for its ACK."""
        return self._unacked is not None

    def expect(self, data: bytes, transaction: InviteServer, now: float) -> None:
        """Repeat a 2xx of ours until its ACK comes: T1 doubling to T2, 64*T1 in all, whatever the transport."""
        timers = self._talk.endpoint.timers
        self._unacked = _Unacked(
            send=Send(data=data, to=transaction.to, way=transaction.way),
            cseq=transaction.request.head.cseq,
            interval=timers.t1,
            resend_at=now + timers.t1,
            end_at=now + timers.patience,
        )
        self._talk.endpoint.agenda.note(self._talk)

    def receive(self, request: Request, now: float) -> bool:
        """Take an ACK; False when it is not that of the 2xx that waits."""
        talk, waiting = self._talk, self._unacked
        if waiting is None or request.head.cseq != waiting.cseq:
            return False
        self._unacked = None
        self.confirmed = True
        if not talk.quiet:
            event = Acked(handle=talk.handle, at=now, body=request.body, tag=talk.dialog.local_tag)
            talk.endpoint.events.append(event)
        return True

    def stop(self) -> None:
        """Repeat nothing any more."""
        self._unacked = None

    def wake_at(self) -> float | None:
        return None if self._unacked is None else min(self._unacked.resend_at, self._unacked.end_at)

    def wake(self, now: float) -> None:
        """Send the 2xx again, or hang up a call whose answer was never acknowledged."""
        waiting = self._unacked
        if waiting is None:
            return
        if waiting.end_at <= now:
            self._unacked = None
            if self._talk.state in (SessionState.UP, SessionState.HELD):
                self._talk.give_up("our answer was never acknowledged", now)
        elif waiting.resend_at <= now:
            endpoint = self._talk.endpoint
            endpoint.outbox.append(waiting.send)
            waiting.interval = min(waiting.interval * 2, endpoint.timers.t2)
            waiting.resend_at = now + waiting.interval
