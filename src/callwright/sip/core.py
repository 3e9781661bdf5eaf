"""The SIP core: a user agent for calls without sockets, clocks or chance.

A shell (``engine/sip_socket.py``) feeds it datagrams and the time, and after every call of any method puts
``take_sends`` on the wire, hands on ``take_events`` and sets one timer to ``wake_at``. docs/reference/sip.md says what
is implemented. Times are seconds of any one clock that only moves forward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from callwright.sip.agenda import Timers
from callwright.sip.ask import Asker, AskPlan
from callwright.sip.auth import Answerer, Credentials
from callwright.sip.called import Called
from callwright.sip.caller import Caller
from callwright.sip.dialog import SavedDialog, saved_dialog
from callwright.sip.endpoint import (
    ALLOW,
    SDP,
    SUPPORTED,
    Call,
    Endpoint,
    client_key,
    merge_key,
    response_address,
    response_pairs,
    server_key,
)
from callwright.sip.errors import SipParseError, UnknownCall, WrongMoment
from callwright.sip.event import AskDone, Event, PingDone, Send
from callwright.sip.guard import Guard, GuardSettings
from callwright.sip.headers import Headers, parse_via, safe, split_commas
from callwright.sip.invite_plan import InvitePlan, named_plan, save_invite
from callwright.sip.message import REASONS, Request, Response, render
from callwright.sip.parser import BadRequest, parse_message
from callwright.sip.revival import Revival
from callwright.sip.saved_invite import SavedInvite, cancel_saved
from callwright.sip.session import Session
from callwright.sip.session_timer import MIN_SE_S, is_too_short
from callwright.sip.stray import MOST_STRAYS, Stray, may_be_ours, stray_key
from callwright.sip.transaction import InviteClient, InviteServer, PlainServer, ServerTransaction, State
from callwright.sip.uri import OtherUri, is_sips, parse_uri
from callwright.sip.way import BY_UDP, Transport, Way

__all__ = ["Credentials", "InvitePlan", "SavedDialog", "SavedInvite", "Send", "SipCore", "Timers"]

_SCHEMES = ("sip", "sips", "tel")
_HANDLED = frozenset(ALLOW.split(", "))
_SUPPORTED = frozenset(SUPPORTED.split(", "))
_UNUSED_TIMERS = Timers()
_OPEN_DOOR = GuardSettings()


class SipCore:
    """All calls of one local address. ``new_id`` returns a fresh hex string of 32 digits at every call.

    ``auto_trying`` False leaves INVITEs without the 100 of RFC 3261 section 17.2.1, for far ends that play dead.
    """

    def __init__(
        self,
        *,
        contact_host: str,
        contact_port: int,
        new_id: Callable[[], str],
        user_agent: str = "callwright",
        timers: Timers = _UNUSED_TIMERS,
        auto_trying: bool = True,
        guard: GuardSettings = _OPEN_DOOR,
    ) -> None:
        self._endpoint = Endpoint(
            contact_host=contact_host,
            contact_port=contact_port,
            new_id=new_id,
            user_agent=safe(user_agent, "user_agent"),
            timers=timers,
        )
        self._auto_trying = auto_trying
        self.guard = Guard(guard)
        self._endpoint.is_stranger = self.guard.is_stranger
        self.dropped = 0  # datagrams that were neither a message nor answerable, for the shell's log

    # --- the timed machine -------------------------------------------------------------------------------------------

    def receive(self, data: bytes, source: tuple[str, int], now: float, way: Way = BY_UDP) -> None:
        """Take one message from ``source``: a datagram, or what ``stream.Framer`` cut from a stream.

        Never raises: what breaks a rule is answered if possible, else dropped.
        """
        if not data.strip(b"\r\n\0 "):
            return  # a keep-alive (RFC 5626 section 3.5.1)
        try:
            message = parse_message(data)
        except BadRequest as problem:
            if self.guard.hides_from(source[0]):
                return
            self._refuse_statelessly(problem.method, problem.headers, source, problem.code, way)
            return
        except SipParseError:
            self.dropped += 1
            return
        if isinstance(message, Response):
            self._receive_response(message, source, now, way)
        else:
            self._receive_request(message, source, now, way)

    def wake(self, now: float) -> None:
        """Do what the time has come for."""
        self._endpoint.agenda.wake(now)

    def wake_at(self) -> float | None:
        """Return when to call ``wake`` next, None when nothing waits for a time."""
        return self._endpoint.agenda.wake_at()

    def soonest(self) -> float | None:
        """Return a moment not after ``wake_at`` at less cost; nothing may be due then after all."""
        return self._endpoint.agenda.soonest

    def take_sends(self) -> list[Send]:
        """Return the datagrams to send, in order, and forget them."""
        outbox = self._endpoint.outbox
        if not outbox:
            return []
        sends = outbox.copy()
        outbox.clear()
        return sends

    def take_events(self) -> list[Event]:
        """Return what happened, in order, and forget it."""
        waiting = self._endpoint.events
        if not waiting:
            return []
        events = waiting.copy()
        waiting.clear()
        return events

    def listens(self, transport: Transport, port: int) -> None:
        """Tell that the peer can reach us by this transport, too; with TCP, long requests leave by it."""
        self._endpoint.listens(transport, port)

    def lost(self, flow: int, now: float) -> None:
        """Tell that a connection broke: requests sent on it that nothing was heard of yet end with 503.

        An INVITE ends with 408, as if it had met silence: it may have arrived, and a telephone may ring.
        """
        waiting = [client for client in self._endpoint.clients.values() if client.way.flow == flow]
        for transaction in waiting:
            transaction.fail(408 if isinstance(transaction, InviteClient) else 503, now)
            self._endpoint.agenda.note(transaction)

    def sent(self, send: Send, flow: int) -> None:
        """Tell by which connection a request left."""
        transaction = self._endpoint.clients.get(send.transaction)
        if transaction is not None and transaction.way.transport is send.way.transport:
            transaction.way = replace(transaction.way, flow=flow)

    def send_failed(self, send: Send, now: float) -> None:
        """Tell that a message could not be sent (no such host, no route): its transaction ends with 503 at once."""
        transaction = self._endpoint.clients.get(send.transaction)
        if transaction is not None:
            transaction.fail(503, now)
            self._endpoint.agenda.note(transaction)

    # --- the calling side --------------------------------------------------------------------------------------------

    def invite(self, plan: InvitePlan, now: float) -> str:
        """Call somebody; returns the handle of the call. Raises UnsafeText for texts SIP cannot carry."""
        handle = self._endpoint.new_id()
        Caller(endpoint=self._endpoint, handle=handle, plan=plan, now=now)
        return handle

    def named(self, plan: InvitePlan, body: bytes | None = None) -> tuple[InvitePlan, SavedInvite]:
        """Choose the names of an INVITE before it is sent, with another body if one is given; with the second another
        life can ``cancel_saved`` it.
        """
        plan = named_plan(plan, self._endpoint, body)
        return plan, save_invite(plan, self._endpoint)

    def acknowledge(self, handle: str) -> None:
        """Send the ACK of an answer that ``InvitePlan.hold_ack`` kept back. Sent already, it does nothing."""
        call = self._endpoint.calls.get(handle)
        if isinstance(call, Caller):
            call.acknowledge()

    def cancel(self, handle: str, now: float, reason: str | None = None) -> None:
        """Give up a call before its answer, with a Reason value if given. Too late or asked twice, it does nothing.

        Failed follows.
        """
        call = self._endpoint.calls.get(handle)
        if isinstance(call, Caller):
            call.cancel(now, reason)

    def bye(self, handle: str, now: float, reason: str | None = None) -> None:
        """Hang up, with a Reason header value if given (RFC 3326). Before the answer: CANCEL, or 603 when called.

        When the call is over already it does nothing. ByeDone (or Failed) follows.
        """
        safe(reason or "", "reason")
        call = self._endpoint.calls.get(handle)
        if isinstance(call, Caller | Called):
            call.hang_up(now, reason)

    def export(self, handle: str) -> SavedDialog:
        """Return what another process needs to hang this call up; raises UnknownCall or WrongMoment."""
        return self._session(handle).dialog.save()

    def bye_saved(
        self, saved: SavedDialog, now: float, *, reason: str | None = None, credentials: Credentials | None = None
    ) -> str:
        """Hang up a call of a former life; returns a handle, ByeDone follows."""
        safe(reason or "", "reason")
        handle = self._endpoint.new_id()
        answerer = Answerer(credentials, self._endpoint.new_id)
        revival = Revival(endpoint=self._endpoint, handle=handle, dialog=saved_dialog(saved), answerer=answerer)
        revival.session.bye(now, reason)
        return handle

    def cancel_saved(self, saved: SavedInvite, now: float) -> None:
        """CANCEL a call of a former life that was not answered; an answer that crosses it is ACKed and hung up."""

        def answered(response: Response, source: tuple[str, int], at: float) -> None:
            self._receive_stray_answer(None, response, source, at, Way(transport=Transport(saved.transport)))

        cancel_saved(saved, endpoint=self._endpoint, on_answer=answered, now=now)

    # --- both sides --------------------------------------------------------------------------------------------------

    def answer_reinvite(self, handle: str, body: bytes, now: float) -> None:
        """Accept what Reoffered asked; raises WrongMoment when it was withdrawn, UnknownCall for a strange handle."""
        self._session(handle).peer_offers.answer(body, now)

    def refuse_reinvite(self, handle: str, code: int, reason: str, now: float) -> None:
        """Refuse what Reoffered asked (488 is usual); raises as answer_reinvite."""
        self._session(handle).peer_offers.refuse(code, reason, now)

    def reoffer(self, handle: str, body: bytes, now: float, method: str = "INVITE") -> None:
        """Send a re-INVITE, or an UPDATE (RFC 3311); ReofferAnswered or ReofferRefused follows.

        One that crosses the peer's (491) is sent again after a while. Raises WrongMoment while another is open.
        """
        self._session(handle).own_offers.make(body, now, method)

    @property
    def host(self) -> str:
        """The address far ends are told, IPv6 in brackets."""
        return self._endpoint.host

    def ping(self, next_hop: tuple[str, int], now: float, way: Way = BY_UDP) -> str:
        """Send OPTIONS to a peer; returns a handle, PingDone follows."""
        host = f"[{next_hop[0]}]" if ":" in next_hop[0] else safe(next_hop[0], "next_hop")
        uri = f"sip:{host}:{next_hop[1]}" if next_hop[1] else f"sip:{host}"
        us = f"sip:{self._endpoint.host}:{self._endpoint.port}"
        headers = (("Accept", SDP),)
        plan = AskPlan(
            method="OPTIONS", request_uri=uri, next_hop=next_hop, from_uri=us, to_uri=uri, headers=headers, way=way
        )

        def tell(done: AskDone) -> None:
            event = PingDone(handle=done.handle, at=done.at, code=done.code, local=done.local)
            self._endpoint.events.append(event)

        return self._ask(plan, tell, now)

    def ask(self, plan: AskPlan, now: float) -> str:
        """Send a request that belongs to no call; returns a handle, AskDone follows. Raises UnsafeText."""
        return self._ask(plan, self._endpoint.events.append, now)

    def _ask(self, plan: AskPlan, tell: Callable[[AskDone], None], now: float) -> str:
        handle = self._endpoint.new_id()
        Asker(endpoint=self._endpoint, handle=handle, plan=plan, tell=tell, now=now)
        return handle

    def calls(self) -> int:
        """Return how many calls have not ended yet."""
        return sum(1 for call in self._endpoint.calls.values() if call.is_live)

    def dialogs(self) -> int:
        """Return how many calls and transactions are remembered, also those that only wait for late messages."""
        return len(self._endpoint.calls) + len(self._endpoint.clients) + len(self._endpoint.servers)

    # --- the called side ---------------------------------------------------------------------------------------------

    def respond(
        self,
        handle: str,
        code: int,
        reason: str = "",
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        *,
        now: float,
        content_type: str = SDP,
        to_tag: str = "",
        reliable: bool = False,
    ) -> bool:
        """Answer an INVITE: 100 to 199 as often as wanted, then one final response.

        ``headers`` of a redirection (3xx) may hold Contacts.

        ``reliable`` asks for a PRACK where the caller knows how (RFC 3262); a caller that insists gets nothing else.
        What comes after a reliable one waits for its PRACK (event Pracked), a refusal apart.

        2xx is repeated until its ACK (event Acked). ``to_tag`` answers as another telephone of the same INVITE; each
        tag may send one 2xx. Returns False, sending nothing, when it is too late: answered, the caller gave up, or the
        call is forgotten since. Raises UnknownCall for the handle of a call we made.
        """
        call = self._endpoint.calls.get(handle)
        if call is None:
            return False
        if not isinstance(call, Called):
            raise UnknownCall(f"call {handle[:40]!r} is one we made: it has no INVITE to respond to")
        return call.respond(
            code,
            now,
            reason=reason,
            body=body,
            content_type=content_type,
            headers=headers,
            to_tag=to_tag,
            reliable=reliable,
        )

    def set_credentials(self, handle: str, credentials: Credentials) -> None:
        """Give an incoming call what answers a challenge to requests we send in it; raises UnknownCall."""
        call = self._endpoint.calls.get(handle)
        if not isinstance(call, Called):
            raise UnknownCall(f"there is no incoming call {handle[:40]!r}")
        call.set_credentials(credentials)

    # --- what arrives ------------------------------------------------------------------------------------------------

    def _receive_response(self, response: Response, source: tuple[str, int], now: float, way: Way) -> None:
        head = response.head
        vias = response.headers.all("via")
        if len(vias) > 1 or "," in vias[0]:
            self.dropped += 1  # it is for another element (RFC 3261 section 8.1.3.3)
            return
        transaction = self._endpoint.clients.get(client_key(head.via.branch, head.method))
        if transaction is not None:
            if transaction.cseq != head.cseq:
                self.dropped += 1  # garbled: to take it would end the transaction, and nobody would have been answered
                return
            if way.flow and way.transport is transaction.way.transport:
                transaction.way = replace(transaction.way, flow=way.flow)
            transaction.receive(response, source, now)
            self._endpoint.agenda.note(transaction)
        elif head.method == "INVITE" and 200 <= response.code < 300:
            call = self._endpoint.by_tag.get((head.call_id, head.from_.tag))
            if call is None or isinstance(call, Revival | Stray):
                self._receive_stray_answer(call, response, source, now, way)
            else:
                call.receive_answer(response, source, now)

    def _receive_stray_answer(
        self, call: Call | None, response: Response, source: tuple[str, int], now: float, way: Way
    ) -> None:
        """Take a 2xx to an INVITE of a former life: the telephone that sent it must not stay off the hook."""
        endpoint = self._endpoint
        known = endpoint.strays.get(stray_key(response))
        if known is not None:
            known.receive_answer(response, source, now)
        elif isinstance(call, Revival) and call.session.dialog.remote_tag == response.head.to.tag:
            call.receive_answer(response, source, now)
        elif may_be_ours(response, endpoint) and len(endpoint.strays) < MOST_STRAYS:
            Stray(endpoint=endpoint, response=response, source=source, now=now, way=way)
        else:
            self.dropped += 1

    def _receive_request(self, request: Request, source: tuple[str, int], now: float, way: Way) -> None:
        endpoint = self._endpoint
        key = server_key(request)
        known = endpoint.servers.get(key)
        if request.method == "ACK":
            if known is not None and known.state in (State.COMPLETED, State.CONFIRMED):
                known.receive(request, now)
                endpoint.agenda.note(known)
                return
            call = endpoint.by_tag.get(_our_tag(request))
            if call is not None:
                call.receive_ack(request, now)
            return
        if known is not None:
            known.receive(request, now)
            return
        if not self._is_of_a_call(request) and not self.guard.admits(request, source[0], len(endpoint.servers), now):
            return
        transaction = self._open_transaction(request, source, now, way)
        try:
            self._dispatch(transaction, now)
        except SipParseError as problem:
            # A header nobody had looked at yet is malformed. Only the peer can be at fault here.
            endpoint.reply(transaction, problem.code, now, reason="Bad Request", to_tag=endpoint.new_id()[-16:])

    def _is_of_a_call(self, request: Request) -> bool:
        """Tell whether a request belongs to a call we know, or cancels one."""
        if request.method == "CANCEL":
            branch, sent_by, _ = server_key(request)
            return (branch, sent_by, "INVITE") in self._endpoint.servers
        return bool(request.head.to.tag) and _our_tag(request) in self._endpoint.by_tag

    def _open_transaction(self, request: Request, source: tuple[str, int], now: float, way: Way) -> ServerTransaction:
        endpoint = self._endpoint
        key = server_key(request)
        to = response_address(request, source, way)
        if request.method == "INVITE":
            trying = endpoint.response(request, source, 100) if self._auto_trying else None
            transaction: ServerTransaction = InviteServer(
                key=key,
                request=request,
                source=source,
                to=to,
                timers=endpoint.timers,
                outbox=endpoint.outbox,
                table=endpoint.servers,
                trying=trying,
                now=now,
                way=way,
            )
        else:
            transaction = PlainServer(
                key=key,
                request=request,
                source=source,
                to=to,
                timers=endpoint.timers,
                outbox=endpoint.outbox,
                table=endpoint.servers,
                way=way,
            )
        endpoint.agenda.note(transaction)
        return transaction

    def _dispatch(self, transaction: ServerTransaction, now: float) -> None:
        """Find who a new request is for."""
        request = transaction.request
        if request.method == "CANCEL":
            self._receive_cancel(transaction, now)
            return
        refusal = _refusal_of(request)
        if refusal is not None:
            self._reply(transaction, refusal[0], now, refusal[1])
        elif request.head.to.tag:
            call = self._endpoint.by_tag.get(_our_tag(request))
            if call is None:
                self._reply(transaction, 481, now)
            else:
                call.receive_request(transaction, now)
        elif isinstance(transaction, InviteServer):
            if merge_key(request) in self._endpoint.invited:
                self._reply(transaction, 482, now)  # the same INVITE by another way (RFC 3261 section 8.2.2.2)
            else:
                Called(endpoint=self._endpoint, handle=self._endpoint.new_id(), transaction=transaction, now=now)
        elif request.method == "OPTIONS":
            contact = self._endpoint.contact(transaction.way, secure=is_sips(request.uri))
            headers = (("Contact", contact), ("Allow", ALLOW), ("Accept", SDP), ("Supported", SUPPORTED))
            self._reply(transaction, 200, now, headers)
        else:
            self._reply(transaction, 481, now)  # BYE, INFO and UPDATE exist within a dialog only

    def _receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        branch, sent_by, _ = transaction.key
        invite = self._endpoint.servers.get((branch, sent_by, "INVITE"))
        if not isinstance(invite, InviteServer):
            self._reply(transaction, 481, now)
        elif invite.on_cancel is None:
            self._reply(transaction, 200, now)  # refused already: nobody is left to care
        else:
            invite.on_cancel(transaction, now)

    def _reply(
        self, transaction: ServerTransaction, code: int, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._endpoint.reply(transaction, code, now, to_tag=self._endpoint.new_id()[-16:], headers=headers)

    def _refuse_statelessly(self, method: str, headers: Headers, source: tuple[str, int], code: int, way: Way) -> None:
        """Answer a request that cannot be read. Nothing is remembered: its repetition gets the same answer."""
        vias = headers.all("via")
        if method == "ACK" or not vias:
            self.dropped += 1
            return
        to = source
        try:
            via = parse_via(split_commas(vias[0])[0])
            to = source if "rport" in via.params else (source[0], via.port or 5060)
        except (SipParseError, IndexError):
            pass  # the Via is what cannot be read: the datagram's source is the best guess left
        pairs = response_pairs(headers, source)
        if not self.guard.is_stranger(source[0]):
            pairs.append(("Server", self._endpoint.user_agent))
        self._endpoint.send(render(f"SIP/2.0 {code} {REASONS.get(code, 'Bad Request')}", pairs, b""), to, way)

    def _session(self, handle: str) -> Session:
        call = self._endpoint.calls.get(handle)
        if not isinstance(call, Caller | Called):
            raise UnknownCall(f"there is no call {handle[:40]!r}: it never was, or it ended some time ago")
        if call.session is None:
            raise WrongMoment("the call was not answered yet")
        return call.session


def _our_tag(request: Request) -> tuple[str, str]:
    return request.head.call_id, request.head.to.tag


def _refusal_of(request: Request) -> tuple[int, tuple[tuple[str, str], ...]] | None:
    """Return code and headers for a request no state of ours matters to, None for a good one; raises SipParseError.

    The order is that of RFC 3261 section 8.2: method, Request-URI, extensions, content.
    """
    method = request.method
    if method not in _HANDLED and not (method == "REFER" and request.head.to.tag):
        return 405, (("Allow", ALLOW),)
    uri = parse_uri(request.uri) if not request.head.to.tag else None
    if isinstance(uri, OtherUri) and uri.scheme not in _SCHEMES:
        return 416, ()
    required = [option for option in request.headers.listed("require") if option.lower() not in _SUPPORTED]
    if required:
        return 420, (("Unsupported", ", ".join(required)),)
    if method in ("INVITE", "UPDATE") and is_too_short(request.headers):
        return 422, (("Min-SE", str(MIN_SE_S)),)
    if method == "INVITE":
        accepted = request.headers.listed("accept")
        if accepted and not any(_media_type(value) in (SDP, "application/*", "*/*") for value in accepted):
            return 406, (("Accept", SDP),)
        if request.body and _media_type(request.headers.get("content-type") or SDP) != SDP:
            return 415, (("Accept", SDP),)
        if (request.headers.get("content-encoding") or "identity").strip().lower() != "identity":
            return 415, (("Accept-Encoding", "identity"),)
    return None


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()
