"""CANCEL (RFC 3261 section 9.1): sent for an INVITE, which goes on until its own end."""

from __future__ import annotations

from callwright.sip.endpoint import Endpoint
from callwright.sip.headers import Headers
from callwright.sip.message import Request, Response
from callwright.sip.way import Target

_AS_IN_THE_INVITE = ("Via", "Max-Forwards", "Route", "From", "To", "Call-ID")


def send_cancel(
    endpoint: Endpoint, invite: Request, target: Target, now: float, *, branch: str, reason: str = ""
) -> None:
    """Cancel an INVITE of this branch where it went; ``reason`` is a Reason header value, "" for none."""
    cseq = (invite.headers.get("cseq") or "").partition(" ")[0]
    pairs = [(name, value) for name, value in invite.headers.pairs if name in _AS_IN_THE_INVITE]
    pairs += [("CSeq", f"{cseq} CANCEL"), ("User-Agent", endpoint.user_agent)]
    if reason:
        pairs.append(("Reason", reason))
    request = Request(method="CANCEL", uri=invite.uri, headers=Headers(pairs))
    endpoint.ask(request, target, now, branch=branch, on_response=_ignore_response, on_failure=_ignore_failure)


def _ignore_response(response: Response, source: tuple[str, int], now: float) -> None:
    """Leave a CANCEL's own answer alone: what counts is the end of the INVITE."""


def _ignore_failure(code: int, now: float) -> None:
    """Leave an unanswered CANCEL alone: the INVITE's limit is running."""
