"""Provisional responses that are acknowledged (RFC 3262): RSeq, RAck, and the repeating of ours until their PRACK."""

from __future__ import annotations

from dataclasses import dataclass

from callwright.sip.agenda import Timers
from callwright.sip.event import Send
from callwright.sip.headers import Headers
from callwright.sip.message import Request, Response

OPTION = "100rel"


def has_option(headers: Headers, name: str, option: str) -> bool:
    """Tell whether Supported or Require (``name``) lists an option tag; raises SipParseError."""
    return any(listed.lower() == option for listed in headers.listed(name))


def reliable_number(response: Response) -> int | None:
    """Return the RSeq of a provisional response that asks for PRACK, None for any other; raises SipParseError."""
    number = response.headers.get("rseq") or ""
    if response.code == 100 or not has_option(response.headers, "require", OPTION):
        return None
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 10 else None


def acknowledged(request: Request) -> tuple[int, int, str] | None:
    """Return RSeq, CSeq number and method that a PRACK acknowledges, None when its RAck cannot be read."""
    words = (request.headers.get("rack") or "").split()
    if len(words) != 3 or not all(word.isascii() and word.isdigit() and len(word) <= 10 for word in words[:2]):
        return None
    return int(words[0]), int(words[1]), words[2]


@dataclass(slots=True)
class Unpracked:
    """A reliable provisional response of ours that waits for its PRACK: T1, doubling, 64*T1 in all (section 3)."""

    send: Send
    number: int
    cseq: int
    interval: float
    resend_at: float
    end_at: float

    def is_acknowledged_by(self, request: Request) -> bool:
        return acknowledged(request) == (self.number, self.cseq, "INVITE")

    def repeat(self, now: float) -> Send:
        """Return what to send again; the next time comes later."""
        self.interval *= 2
        self.resend_at = now + self.interval
        return self.send


def unpracked(send: Send, *, number: int, cseq: int, timers: Timers, now: float) -> Unpracked:
    """Begin to wait for a PRACK."""
    return Unpracked(send, number, cseq, timers.t1, now + timers.t1, now + timers.patience)
