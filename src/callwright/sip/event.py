"""What the SIP core tells the floor above. Every event has its call's handle and ``at``, the time given to the core.

Headers are all fields of the message, names as written, texts made clean (see headers.clean). A handle gets exactly one
of the last words: Failed, Ended or ByeDone on the calling side; CancelledByPeer, Ended or ByeDone on the called side
(none when the called side refused the INVITE itself); PingDone for a ping, AskDone for any other request.
"""

from __future__ import annotations

from dataclasses import dataclass

from callwright.sip.way import BY_UDP, Way

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A message to put on the wire. ``to`` is host (perhaps a name, the shell resolves it) and port (0: by SRV).

    ``transaction`` names the client transaction it belongs to, "" for none; it is what SipCore.send_failed wants back.
    """

    data: bytes
    to: tuple[str, int]
    transaction: str = ""
    way: Way = BY_UDP


@dataclass(frozen=True, slots=True, kw_only=True)
class Trying:
    """100: the next hop has the INVITE."""

    handle: str
    at: float
    code: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """101 to 199, perhaps with early media in the body. ``tag`` tells forks apart (the To tag)."""

    handle: str
    at: float
    code: int
    reason: str
    body: bytes
    headers: Pairs
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """2xx: the call is up and its ACK is among the sends. ``source`` is where the answer came from."""

    handle: str
    at: float
    code: int
    reason: str
    body: bytes
    headers: Pairs
    source: tuple[str, int]
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraAnswer:
    """A 2xx nobody wants (another fork, or after the call was given up): ACKed and hung up. For the log only."""

    handle: str
    at: float
    code: int
    source: tuple[str, int]
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The call was never answered, or its answer crossed our CANCEL (code 487).

    ``local`` is True when no final response came: 408 (timers B), 487 (a CANCEL without echo), 503 (could not send).
    """

    handle: str
    at: float
    code: int
    reason: str
    headers: Pairs = ()
    local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The far end hung up. ``reason_header`` is the value of its Reason header (RFC 3326), "" without."""

    handle: str
    at: float
    headers: Pairs
    reason_header: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByeDone:
    """Our BYE was answered with ``code``; 408 without an answer and 503 when it could not be sent (``local``).

    It may come unasked: the core hangs up by itself when a 2xx of ours is never ACKed; ``cause`` then says so.
    """

    handle: str
    at: float
    code: int
    local: bool = False
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reoffered:
    """A re-INVITE, or an UPDATE or PRACK with a body, to be answered or refused. ``body`` b"" asks us for an offer.

    UPDATE and PRACK may come before the answer, when offer and answer were exchanged reliably.
    """

    handle: str
    at: float
    method: str
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferAnswered:
    """Our re-INVITE or UPDATE was answered with 2xx (and ACKed)."""

    handle: str
    at: float
    code: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferRefused:
    """Our re-INVITE or UPDATE was refused; the call goes on as it was. 491: it crossed the peer's, several times."""

    handle: str
    at: float
    code: int
    reason: str
    local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledByPeer:
    """The caller gave up before we answered; the INVITE got its 487."""

    handle: str
    at: float
    headers: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked:
    """The ACK of our 2xx. ``body`` holds the answer when the INVITE carried no offer."""

    handle: str
    at: float
    body: bytes
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pracked:
    """A reliable provisional answer of ours was acknowledged. ``body`` holds the answer when it carried an offer."""

    handle: str
    at: float
    body: bytes
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkEnded:
    """One of several answers we gave to one INVITE was hung up by the caller, others live on (called side only)."""

    handle: str
    at: float
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoReceived:
    """INFO within the call (keys, for instance); it was answered 200."""

    handle: str
    at: float
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PingDone:
    """The answer to OPTIONS; 408 without one, 503 when it could not be sent (``local``)."""

    handle: str
    at: float
    code: int
    local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AskDone:
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
