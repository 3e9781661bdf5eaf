"""An INVITE that a former life sent and nobody ended: its telephone may ring, so it is cancelled (RFC 3261 9.1).

A CANCEL must carry the branch and the CSeq number of the INVITE that rings. Both are known before the first INVITE
leaves: the INVITEs of one call are counted from 1, and the branch of each is made from that of the first. Which of them
was the last (challenges are answered with another one) is not known, so the first few are all cancelled; a far end
answers those it does not know with 481.
"""

from __future__ import annotations

import msgspec

from callwright.sip.cancel import send_cancel
from callwright.sip.endpoint import Endpoint, client_key
from callwright.sip.headers import Headers
from callwright.sip.message import Request, Response
from callwright.sip.transaction import InviteClient, OnResponse, State
from callwright.sip.way import Target, Transport, Way

MOST_INVITES = 3  # one, one with credentials, and one more for a stale nonce or a 422
REASON = 'SIP;cause=487;text="the caller was restarted"'


class SavedInvite(msgspec.Struct, frozen=True, kw_only=True):
    """Enough of a call's INVITEs to CANCEL them from another process that has the same address. No secrets.

    ``branch`` is that of the first INVITE, ``via`` its Via value, ``from_`` and ``to`` are header values.
    """

    call_id: str
    branch: str
    via: str
    request_uri: str
    from_: str
    to: str
    host: str
    port: int
    transport: str = "udp"
    name: str = ""


def numbered(branch: str, cseq: int) -> str:
    """Return the branch of a call's INVITE with this CSeq number, given that of the first."""
    return branch if cseq == 1 else f"{branch}-{cseq}"


class _Former(InviteClient):
    """The client transaction of an INVITE that was sent already: it only waits for the end, to acknowledge it."""

    __slots__ = ()

    def _start(self, now: float) -> None:
        self._data = b""
        self._interval = 0.0
        self._resend_at = None
        self._end_at = now + self._timers.patience
        self.state = State.PROCEEDING

    def receive(self, response: Response, source: tuple[str, int], now: float) -> None:
        """Take a final response; how the telephone goes on ringing matters to nobody."""
        if response.code >= 200:
            super().receive(response, source, now)


def cancel_saved(saved: SavedInvite, *, endpoint: Endpoint, on_answer: OnResponse, now: float) -> None:
    """CANCEL what may ring. ``on_answer`` gets a 2xx that crosses it, to be acknowledged and hung up."""
    target = Target(
        host=saved.host, port=saved.port, way=Way(transport=Transport(saved.transport), name=saved.name, is_fixed=True)
    )

    def ended(response: Response, source: tuple[str, int], at: float) -> None:
        if response.code < 300:
            on_answer(response, source, at)

    for cseq in range(1, MOST_INVITES + 1):
        branch = numbered(saved.branch, cseq)
        headers = [
            ("Via", saved.via.replace(saved.branch, branch)),
            ("Max-Forwards", "70"),
            ("From", saved.from_),
            ("To", saved.to),
            ("Call-ID", saved.call_id),
            ("CSeq", f"{cseq} INVITE"),
        ]
        invite = Request(method="INVITE", uri=saved.request_uri, headers=Headers(headers))
        former = _Former(
            key=client_key(branch, "INVITE"),
            request=invite,
            to=target.to,
            way=target.way,
            timers=endpoint.timers,
            outbox=endpoint.outbox,
            table=endpoint.clients,
            on_response=ended,
            on_failure=_ignore_failure,
            now=now,
        )
        endpoint.agenda.note(former)
        send_cancel(endpoint, invite, target, now, branch=branch, reason=REASON)


def _ignore_failure(code: int, now: float) -> None:
    """Leave silence alone: nobody waits for these calls any more."""
