"""What the SIP core tells the floor above. Every event has its call's handle and ``at``, the time given to the core.

Headers are all fields of the message, names as written, texts made clean (see headers.clean). A handle gets exactly one
of the last words: Failed, Ended or ByeDone on the calling side; CancelledByPeer, Ended or ByeDone on the called side
(none when the called side refused the INVITE itself); PingDone for a ping, AskDone for any other request.
"""

from __future__ import annotations

import msgspec

from callwright.sip.way import BY_UDP, Way

Pairs = tuple[tuple[str, str], ...]

UNSENT = "could not be sent"  # the reason beside a 503 of our own
NO_ADDRESS = "has no address that can be reached from here"  # the same, behind the name of a host


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """A message to put on the wire. ``to`` is host (perhaps a name, the shell resolves it) and port (0: by SRV).

    ``transaction`` names the client transaction it belongs to, "" for none; it is what SipCore.send_failed wants back.
    """

    data: bytes
    to: tuple[str, int]
    transaction: str = ""
    way: Way = BY_UDP


class Trying(msgspec.Struct, frozen=True, kw_only=True):
    """100: the next hop has the INVITE."""

    handle: str
    at: float
    code: int = 100


class Provisional(msgspec.Struct, frozen=True, kw_only=True):
    """101 to 199, perhaps with early media in the body. ``tag`` tells forks apart (the To tag); ``source`` is where it
    came from.
    """

    handle: str
    at: float
    code: int
    reason: str
    body: bytes
    headers: Pairs
    source: tuple[str, int]
    tag: str


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """2xx: the call is up and its ACK is among the sends. ``source`` is where the answer came from."""

    handle: str
    at: float
    code: int
    reason: str
    body: bytes
    headers: Pairs
    source: tuple[str, int]
    tag: str


class ExtraAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A 2xx nobody wants (another fork, or after the call was given up): ACKed and hung up. For the log only."""

    handle: str
    at: float
    code: int
    source: tuple[str, int]
    tag: str


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The call was never answered, or its answer crossed our CANCEL (code 487).

    ``local`` is True when no final response came: 408 (timers B), 487 (a CANCEL without echo), 503 (could not send).
    """

    handle: str
    at: float
    code: int
    reason: str
    headers: Pairs = ()
    local: bool = False


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The far end hung up. ``reason_header`` is the value of its Reason header (RFC 3326), "" without."""

    handle: str
    at: float
    headers: Pairs
    reason_header: str


class ByeDone(msgspec.Struct, frozen=True, kw_only=True):
    """Our BYE was answered with ``code``; 408 without an answer and 503 when it could not be sent (``local``).

    It may come unasked: the core hangs up by itself when a 2xx of ours is never ACKed; ``cause`` then says so.
    """

    handle: str
    at: float
    code: int
    local: bool = False
    cause: str = ""


class Reoffered(msgspec.Struct, frozen=True, kw_only=True):
    """A re-INVITE, or an UPDATE or PRACK with a body, to be answered or refused. ``body`` b"" asks us for an offer.

    UPDATE and PRACK may come before the answer, when offer and answer were exchanged reliably. ``tag`` is the peer's:
    before the answer it says which telephone.
    """

    handle: str
    at: float
    method: str
    body: bytes
    content_type: str
    tag: str = ""


class ReofferAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """Our re-INVITE or UPDATE was answered with 2xx (and ACKed)."""

    handle: str
    at: float
    code: int
    body: bytes


class ReofferRefused(msgspec.Struct, frozen=True, kw_only=True):
    """Our re-INVITE or UPDATE was refused; the call goes on as it was. 491: it crossed the peer's, several times."""

    handle: str
    at: float
    code: int
    reason: str
    local: bool = False


class Invited(msgspec.Struct, frozen=True, kw_only=True):
    """A new call for us: respond to it. ``from_uri`` and ``to_uri`` are the bare URIs, ``way`` is how it came."""

    handle: str
    at: float
    request_uri: str
    from_uri: str
    from_display: str
    to_uri: str
    call_id: str
    headers: Pairs
    body: bytes
    content_type: str
    source: tuple[str, int]
    way: Way = BY_UDP


class CancelledByPeer(msgspec.Struct, frozen=True, kw_only=True):
    """The caller gave up before we answered; the INVITE got its 487."""

    handle: str
    at: float
    headers: Pairs


class Acked(msgspec.Struct, frozen=True, kw_only=True):
    """The ACK of our 2xx. ``body`` holds the answer when the INVITE carried no offer."""

    handle: str
    at: float
    body: bytes
    tag: str


class Pracked(msgspec.Struct, frozen=True, kw_only=True):
    """A reliable provisional answer of ours was acknowledged. ``body`` holds the answer when it carried an offer."""

    handle: str
    at: float
    body: bytes
    tag: str


class ForkEnded(msgspec.Struct, frozen=True, kw_only=True):
    """One of several answers we gave to one INVITE was hung up by the caller, others live on (called side only)."""

    handle: str
    at: float
    tag: str


class InfoReceived(msgspec.Struct, frozen=True, kw_only=True):
    """INFO within the call (keys, for instance); it was answered 200."""

    handle: str
    at: float
    content_type: str
    body: bytes


class PingDone(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to OPTIONS; 408 without one, 503 when it could not be sent (``local``)."""

    handle: str
    at: float
    code: int
    local: bool = False


class AskDone(msgspec.Struct, frozen=True, kw_only=True):
    """The final answer to a request outside of any call; 408 without one, 503 when it could not be sent (``local``).

    ``call_id`` and ``cseq`` are those of the last request sent; ``challenged`` tells that credentials were asked for
    and given.
    """

    handle: str
    at: float
    code: int
    reason: str
    headers: Pairs = ()
    call_id: str
    cseq: int
    challenged: bool = False
    local: bool = False


Event = (
    Trying
    | Provisional
    | Answered
    | ExtraAnswer
    | Failed
    | Ended
    | ByeDone
    | Reoffered
    | ReofferAnswered
    | ReofferRefused
    | Invited
    | CancelledByPeer
    | Acked
    | Pracked
    | ForkEnded
    | InfoReceived
    | PingDone
    | AskDone
)
