"""The local end: our address, our outbox, our timers, and the tables in which messages find their owner.

Everything in ``sip`` that belongs to one core shares one Endpoint. It decides nothing about calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from callwright.sip.agenda import Agenda, Timers
from callwright.sip.event import Event, Send
from callwright.sip.headers import Headers
from callwright.sip.message import REASONS, Request, Response, render
from callwright.sip.transaction import (
    ClientTransaction,
    InviteClient,
    OnFailure,
    OnResponse,
    PlainClient,
    ServerKey,
    ServerTransaction,
)
from callwright.sip.way import BY_UDP, Target, Transport, Way

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK"
SUPPORTED = "100rel, timer"
COOKIE = "z9hG4bK"
SDP = "application/sdp"

MOST_BY_UDP = 1300  # bytes of a request, where the path's MTU is not known (RFC 3261 section 18.1.1)


MergeKey = tuple[str, str, int]


class Call(Protocol):
    """What the core needs of a calling side, a called side or a saved dialog to hand it what arrives."""

    @property
    def is_live(self) -> bool: ...
    def receive_request(self, transaction: ServerTransaction, now: float) -> None: ...
    def receive_ack(self, request: Request, now: float) -> None: ...
    def receive_answer(self, response: Response, source: tuple[str, int], now: float) -> None: ...


class Endpoint:
    """Shared by all machines of one core. ``new_id`` gives unique hex strings; it is the only chance there is."""

    def __init__(
        self, *, contact_host: str, contact_port: int, new_id: Callable[[], str], user_agent: str, timers: Timers
    ) -> None:
        self.host = f"[{contact_host}]" if ":" in contact_host else contact_host
        self.port = contact_port
        self.ports = {Transport.UDP: contact_port}
        self._vias: dict[Transport, str] = {}  # as far as the branch
        self.new_id = new_id
        self.user_agent = user_agent
        self.timers = timers
        self.agenda = Agenda()
        self.outbox: list[Send] = []
        self.events: list[Event] = []
        self.clients: dict[str, ClientTransaction] = {}
        self.servers: dict[ServerKey, ServerTransaction] = {}
        self.calls: dict[str, Call] = {}
        self.by_tag: dict[tuple[str, str], Call] = {}
        self.strays: dict[tuple[str, str, str], Call] = {}
        self.invited: set[MergeKey] = set()
        self.is_stranger: Callable[[str], bool] = lambda host: False

    def listens(self, transport: Transport, port: int) -> None:
        """Tell that the peer can reach us by this transport, too."""
        self.ports[transport] = port
        self._vias.clear()

    def contact(self, way: Way = BY_UDP, *, secure: bool = False) -> str:
        """Return our Contact value for a message that goes this way; ``secure`` is for ``sips:`` calls (RFC 5630)."""
        if secure:
            return f"<sips:{self.host}:{self.port_of(Transport.TLS)}>"
        if way.transport is Transport.UDP:
            return f"<sip:{self.host}:{self.port}>"
        return f"<sip:{self.host}:{self.port_of(way.transport)};transport={way.transport}>"

    def port_of(self, transport: Transport) -> int:
        """Return the port we are reached at; without a listener the peer has the connection, so any will do."""
        return self.ports.get(transport, self.port)

    def send(self, data: bytes, to: tuple[str, int], way: Way = BY_UDP) -> None:
        self.outbox.append(Send(data=data, to=to, way=way))

    def new_branch(self) -> str:
        return COOKIE + self.new_id()

    def via(self, branch: str, way: Way = BY_UDP) -> str:
        """Return our Via value; ``rport`` asks for the answer to come back the way we came (RFC 3581)."""
        transport = way.transport
        begin = self._vias.get(transport)
        if begin is None:
            begin = f"SIP/2.0/{transport.upper()} {self.host}:{self.port_of(transport)};branch="
            self._vias[transport] = begin
        return f"{begin}{branch};rport"

    def ask(
        self,
        request: Request,
        target: Target,
        now: float,
        *,
        branch: str,
        on_response: OnResponse,
        on_failure: OnFailure,
    ) -> ClientTransaction:
        """Send a request in a transaction of its own. Its Via, the first header, is for the way of the target.

        Too long for a datagram it goes by TCP where we speak it, and by UDP after all when nobody takes the connection
        (RFC 3261 section 18.1.1).
        """
        maker = InviteClient if request.method == "INVITE" else PlainClient
        way, otherwise = target.way, None
        data = request.render()
        if len(data) > MOST_BY_UDP and not way.is_reliable and not way.is_fixed and Transport.TCP in self.ports:
            by_tcp = Way(transport=Transport.TCP)
            pairs = [("Via", self.via(branch, by_tcp)), *request.headers.pairs[1:]]
            otherwise, way = (request, way), by_tcp
            request = Request(method=request.method, uri=request.uri, headers=Headers(pairs), body=request.body)
            data = request.render()
        transaction = maker(
            key=client_key(branch, request.method),
            request=request,
            data=data,
            to=target.to,
            way=way,
            otherwise=otherwise,
            timers=self.timers,
            outbox=self.outbox,
            table=self.clients,
            on_response=on_response,
            on_failure=on_failure,
            now=now,
        )
        self.agenda.note(transaction)
        return transaction

    def reply(
        self,
        transaction: ServerTransaction,
        code: int,
        now: float,
        *,
        reason: str = "",
        to_tag: str = "",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> bytes:
        """Answer a request in its transaction; returns the bytes."""
        data = self.response(
            transaction.request, transaction.source, code, reason=reason, to_tag=to_tag, headers=headers, body=body
        )
        transaction.respond(code, data, now)
        self.agenda.note(transaction)
        return data

    def response(
        self,
        request: Request,
        source: tuple[str, int],
        code: int,
        *,
        reason: str = "",
        to_tag: str = "",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> bytes:
        """Build the response to a request (RFC 3261 section 8.2.6)."""
        pairs = response_pairs(request.headers, source)
        if to_tag and not request.head.to.tag:
            pairs = [(name, f"{value};tag={to_tag}" if name == "To" else value) for name, value in pairs]
        if (request.head.call_id, request.head.to.tag) in self.by_tag or not self.is_stranger(source[0]):
            pairs.append(("Server", self.user_agent))  # who is in no call with us is not told what we are
        pairs += headers
        return render(f"SIP/2.0 {code} {reason or REASONS.get(code, 'Unknown')}", pairs, body)


def client_key(branch: str, method: str) -> str:
    """Return how a response finds its client transaction (RFC 3261 section 17.1.3)."""
    return f"{branch}|{method}"


def server_key(request: Request) -> ServerKey:
    """Return how a request finds its server transaction (RFC 3261 section 17.2.3); an ACK finds its INVITE's.

    Without a unique branch (RFC 2543, or the bare cookie) the other facts of the message identify it.
    """
    head = request.head
    via = head.via
    method = "INVITE" if request.method == "ACK" else request.method
    branch = via.branch
    if branch.startswith(COOKIE) and len(branch) > len(COOKIE):
        return branch, f"{via.host.lower()}:{via.port or 5060}", method
    return f"{request.uri} {head.from_.tag} {head.call_id} {head.cseq}", request.headers.get("via") or "", method


def merge_key(request: Request) -> MergeKey:
    """Return what two copies of one request share that came here by different ways (RFC 3261 section 8.2.2.2)."""
    head = request.head
    return head.from_.tag, head.call_id, head.cseq


def response_pairs(headers: Headers, source: tuple[str, int]) -> list[tuple[str, str]]:
    """Copy what a response repeats of its request, with received and rport filled in (RFC 3261 18.2.1, RFC 3581 4)."""
    vias = headers.all("via")
    pairs = [("Via", _marked_via(via, source) if index == 0 else via) for index, via in enumerate(vias)]
    for name in ("From", "To", "Call-ID", "CSeq"):
        value = headers.get(name.lower())
        if value is not None:
            pairs.append((name, value))
    return pairs


def _marked_via(value: str, source: tuple[str, int]) -> str:
    top, comma, others = value.partition(",")
    if '"' in top:
        return value  # a comma in a quoted parameter; such a Via is copied as it is
    first, *params = top.split(";")
    host = first.split()[-1] if first.split() else ""
    wants_port = any(param.strip().lower() == "rport" for param in params)
    kept = [param for param in params if param.strip().lower() not in ("rport",) and not _is_received(param)]
    if wants_port:
        kept += [f"received={source[0]}", f"rport={source[1]}"]
    elif host.rpartition(":")[0].strip("[] ") != source[0] and host.strip("[]") != source[0]:
        kept.append(f"received={source[0]}")
    return ";".join([first, *kept]) + comma + others


def _is_received(param: str) -> bool:
    return param.partition("=")[0].strip().lower() == "received"


def response_address(request: Request, source: tuple[str, int], way: Way = BY_UDP) -> tuple[str, int]:
    """Return where responses go: where the request came from, with the port its Via asks for (RFC 3581 section 4).

    For a stream it is where to connect to when the request's connection is gone (RFC 3261 section 18.2.2).
    """
    via = request.head.via
    if way.is_reliable:
        return source[0], via.port or way.transport.default_port
    if "rport" in via.params:
        return source
    return source[0], via.port or 5060
