"""Drive one SIP core from one UDP socket and its connections: bytes in and out, one timer, no decisions.

After anything was asked of ``core`` from outside, call ``pump``: it sends what the core has to send, hands its events
to ``on_event`` and sets the timer. The clock of the core is the loop's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable

from callwright.engine.icmp import ErrorQueue, Undelivered
from callwright.engine.outside_log import outside_log
from callwright.engine.sip_names import Names
from callwright.engine.sip_streams import StreamLimits, Streams
from callwright.engine.sip_tls import TlsSettings
from callwright.sip.core import SipCore
from callwright.sip.endpoint import client_key
from callwright.sip.event import Event, Send
from callwright.sip.uri import is_literal
from callwright.sip.way import Target, Transport, Way

Trace = Callable[[str, bytes, tuple[str, int], float], None]

_MOST_LITERALS = 10_000
_PORT_TRIES = 10  # a port chosen for UDP may be taken for TCP
_RECEIVE_BUFFER = 4 * 1024 * 1024
_SEND_TRIES = 3
_LEAST_SLEEP_S = 0.02  # between two wakings of the core: with a thousand calls one is always due, and soon the next
_REQUEST = re.compile(rb"([A-Z]+) [^\r\n]*\r\nVia: [^\r\n]*?;branch=([^;\r\n]+)")  # as our core begins its requests


def _drop_event(event: Event) -> None:
    """Stand in until somebody listens."""


def _nobody_minds() -> None:
    """Stand in for whoever must know that no event comes any more."""


class SipSocket(asyncio.DatagramProtocol):
    """A SIP core on the air. Use ``open``; ``trace`` sees every datagram ("<" received, ">" sent)."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, names: Names, tls: TlsSettings, limits: StreamLimits
    ) -> None:
        self.on_event: Callable[[Event], None] = _drop_event
        self.on_closed: Callable[[], None] = _nobody_minds
        self.trace: Trace | None = None
        self.core: SipCore
        self.address: tuple[str, int]
        self.tls_port = 0  # 0 where TLS is not listened for
        self._loop = loop
        self._transport: asyncio.DatagramTransport
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._woken_at = float("-inf")
        self._pumping = False
        self._closed = False
        self._gone: asyncio.Future[None] = loop.create_future()
        self._literals: dict[str, int] = {}
        self._places: dict[tuple[str, int, Transport | None, bool], list[Target]] = {}  # of addresses: nobody is asked
        self._asking: dict[tuple[str, int, Transport], tuple[list[Send], asyncio.Task[None]]] = {}
        self.tls = tls
        self._names = names
        self._streams = Streams(
            loop,
            receive=self._receive_from_stream,
            failed=self._fail,
            left=self._left_by_stream,
            lost=self._lost_stream,
            busy=lambda: self.core.calls() > 0,
            tls=tls,
            limits=limits,
        )
        self._errors: ErrorQueue
        self._send_error: Exception | None = None

    @classmethod
    async def open(
        cls,
        *,
        host: str,
        port: int,
        core_factory: Callable[[str, int], SipCore],
        trace: Trace | None = None,
        tcp: bool = True,
        tls: TlsSettings | None = None,
        limits: StreamLimits | None = None,
        names: Names | None = None,
    ) -> SipSocket:
        """Bind ``host`` and ``port`` (0: any free one) for UDP and, unless ``tcp`` is False, TCP; make the core with
        the address that was bound. TLS is taken on a port of its own when its settings have a certificate.

        Raises OSError when a port is taken or the address is not ours, ssl.SSLError for unusable certificates.
        """
        loop = asyncio.get_running_loop()
        tls = tls or TlsSettings()
        names = names or Names(loop)
        for tries_left in reversed(range(_PORT_TRIES)):
            _, made = await loop.create_datagram_endpoint(
                lambda: cls(loop, names=names, tls=tls, limits=limits or StreamLimits()), local_addr=(host, port)
            )
            made.trace = trace
            made.core = core_factory(*made.address)
            try:
                await made._listen(host, tcp, tls)
                break
            except BaseException as problem:
                await made.close()
                if port or not tries_left or not isinstance(problem, OSError):
                    raise
        return made

    async def _listen(self, host: str, tcp: bool, tls: TlsSettings) -> None:
        if tcp:
            port = await self._streams.listen(host, self.address[1], Transport.TCP)
            self.core.listens(Transport.TCP, port)
        if tls.certificate is not None:
            self.tls_port = await self._streams.listen(host, tls.port, Transport.TLS)
            self.core.listens(Transport.TLS, self.tls_port)
        else:
            self.core.listens(Transport.TLS, self._streams.call_from_one_port(host))

    # --- asyncio.DatagramProtocol ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is no asyncio.DatagramTransport by class, only by what it can do.
        self._transport = transport  # type: ignore[assignment]
        self.address = transport.get_extra_info("sockname")[:2]
        bound = transport.get_extra_info("socket")
        self._names.family = bound.family
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._errors = ErrorQueue(bound)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        source = (addr[0], addr[1])
        now = self._loop.time()
        if self.trace is not None:
            self.trace("<", data, source, now)
        try:
            self.core.receive(data, source, now)
        except Exception:
            self._left_out("receive a datagram")
        self.pump()

    def error_received(self, exc: Exception) -> None:
        self._send_error = exc
        undelivered = self._errors.take()
        for datagram in undelivered:
            self._guard("take back a datagram", lambda datagram=datagram: self._take_back(datagram))  # type: ignore[misc]
        if not undelivered:
            outside_log.warning("The SIP socket reported an error", action="sip_socket_error", error=str(exc))
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._errors.close()
        if not self._gone.done():
            self._gone.set_result(None)

    # --- for the floor above -----------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Send, hand on events and set the timer. May be called from within ``on_event``: the running pump goes on."""
        if self._pumping or self._closed:
            return
        self._pumping = True
        try:
            while True:
                for send in self.core.take_sends():
                    self._send(send)
                events = self.core.take_events()
                if not events:
                    break
                for event in events:
                    try:
                        self.on_event(event)
                    except Exception:
                        self._left_out(f"hand on {type(event).__name__}")
        finally:
            self._pumping = False
        self._set_timer()

    async def resolve(self, host: str) -> str:
        """Return the address that datagrams for a host or address go to; raise OSError when there is none."""
        if self._is_literal(host, Transport.UDP):
            return host
        return (await self._names.locate(host, port=Transport.UDP.default_port, transport=Transport.UDP))[0].host

    async def locate(
        self, host: str, *, port: int = 0, transport: Transport | None = None, secure: bool = False
    ) -> list[Target]:
        """Return where a host leads, in the order to try (RFC 3263); raise OSError when it leads nowhere.

        ``port`` 0 and ``transport`` None mean that nobody named one. The first target is for ``InvitePlan.next_hop``
        and ``way``, the others for its ``alternatives``.
        """
        if not is_literal(host):
            return await self._names.locate(host, port=port, transport=transport, secure=secure)
        place = host, port, transport, secure
        targets = self._places.get(place)
        if targets is None:
            targets = await self._names.locate(host, port=port, transport=transport, secure=secure)
            if len(self._places) >= _MOST_LITERALS:
                self._places.clear()
            self._places[place] = targets
        return list(targets)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is sent and no event comes any more."""
        return self._closed

    def known(self, host: str, *, port: int = 0, transport: Transport = Transport.UDP) -> list[Target]:
        """Return what ``locate`` would, as far as nobody need be asked."""
        return self._names.known(host, port, transport) or []

    async def close(self) -> None:
        """Close the socket. Calls that are up stay up at the far end: hang them up first."""
        if not self._closed:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            self.on_closed()
            tasks = [task for _, task in self._asking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._names.close()
            await self._streams.close()
            self._transport.close()
        await asyncio.shield(self._gone)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _guard(self, what: str, step: Callable[[], None]) -> None:
        """The bulkhead around one datagram and what follows from it: one bad call must not end all others."""
        try:
            step()
        except Exception:
            self._left_out(what)

    def _left_out(self, what: str) -> None:
        outside_log.exception("A SIP step failed and was left out", action="sip_step_failed", step=what)

    def _set_timer(self) -> None:
        """See to it that the core is woken when it asked for it. A timer that goes off early harms nobody."""
        at = self.core.soonest()
        if at is None:
            return
        at = max(at, self._woken_at + _LEAST_SLEEP_S)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._wake)

    def _wake(self) -> None:
        # uvloop counts in whole milliseconds and may call a little early: the moment asked for has come all the same.
        now = self._woken_at = max(self._loop.time(), self._timer_at)
        self._timer = None
        self._guard("wake", lambda: self.core.wake(now))
        self.pump()

    def _send(self, send: Send) -> None:
        host, port = send.to
        if port and send.way.transport is Transport.UDP and self._is_literal(host, Transport.UDP):
            self._send_datagram(send, send.to)
            return
        targets = self._targets_of(send)
        if targets is None:
            self._ask_name(send)
        else:
            self._send_to(send, targets)

    def _send_to(self, send: Send, targets: list[Target]) -> None:
        if send.way.is_reliable:
            self._streams.send(send, targets)
        else:
            self._send_datagram(send, targets[0].to)

    def _send_datagram(self, send: Send, address: tuple[str, int]) -> None:
        if self.trace is not None:
            self.trace(">", send.data, address, self._loop.time())
        # What ICMP says about an earlier datagram is reported in place of the next one being sent, so try again.
        for _ in range(_SEND_TRIES):
            self._send_error = None
            self._transport.sendto(send.data, address)
            if self._send_error is None:
                return
        self._fail([send])

    def _fail(self, sends: list[Send]) -> None:
        now = self._loop.time()
        for send in sends:
            self._guard("fail a send", lambda send=send: self.core.send_failed(send, now))  # type: ignore[misc]
        self.pump()

    def _targets_of(self, send: Send) -> list[Target] | None:
        """Return where a message goes, None when that must be asked first."""
        host, port = send.to
        if self._is_literal(host, send.way.transport):
            return [Target(host=host, port=port or send.way.transport.default_port, way=send.way)]
        return self._names.known(host, port, send.way.transport)

    def _is_literal(self, host: str, transport: Transport) -> bool:
        """Tell whether a host is an address that this socket reaches; the resolver says what it makes of others."""
        known = self._literals.get(host)
        if known is None:
            try:
                version = int(ipaddress.ip_address(host).version)
            except ValueError:
                version = 0
            if len(self._literals) > _MOST_LITERALS:
                self._literals.clear()
            known = self._literals[host] = version
        mine = 6 if self._names.family == socket.AF_INET6 else 4
        return known == mine or (known != 0 and transport.is_reliable)

    def _take_back(self, datagram: Undelivered) -> None:
        """Fail the transaction of a request that reached nobody at once (RFC 3261 section 18.4)."""
        request = _REQUEST.match(datagram.data)
        if request is None:
            return  # a response, or too little of it came back: the timers know what to do
        host, port = datagram.to
        outside_log.info("Nobody listens there", action="sip_unreachable", host=host, port=port, error=datagram.error)
        transaction = client_key(request[2].decode(errors="replace"), request[1].decode())
        self.core.send_failed(Send(data=datagram.data, to=datagram.to, transaction=transaction), self._loop.time())

    def _ask_name(self, send: Send) -> None:
        host, port = send.to
        place = host, port, send.way.transport
        waiting = self._asking.get(place)
        if waiting is not None:
            waiting[0].append(send)
            return
        task = self._loop.create_task(self._resolve(*place), name=f"resolve {host}")
        self._asking[place] = ([send], task)

    async def _resolve(self, host: str, port: int, transport: Transport) -> None:
        """Find where a name leads, then send what waited for it, or fail it with 503."""
        targets: list[Target] = []
        error = ""
        try:
            targets = await self._names.locate(host, port=port, transport=transport)
        except OSError as problem:
            error = str(problem)
        sends, _ = self._asking.pop((host, port, transport))
        if not targets:
            outside_log.warning(
                "A SIP peer's name could not be resolved", action="sip_name_unresolved", host=host, error=error
            )
            self._fail(sends)
            return
        for send in sends:
            self._send_to(send, targets)
        self.pump()

    # --- streams -----------------------------------------------------------------------------------------------------

    def _receive_from_stream(self, data: bytes, source: tuple[str, int], way: Way) -> None:
        now = self._loop.time()
        if self.trace is not None:
            self.trace("<", data, source, now)
        self._guard("receive a message", lambda: self.core.receive(data, source, now, way))
        self.pump()

    def _left_by_stream(self, send: Send, flow: int, peer: tuple[str, int]) -> None:
        if self.trace is not None:
            self.trace(">", send.data, peer, self._loop.time())
        self.core.sent(send, flow)

    def _lost_stream(self, flow: int) -> None:
        self._guard("take the end of a connection", lambda: self.core.lost(flow, self._loop.time()))
        self.pump()
