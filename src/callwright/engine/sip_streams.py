"""Connections that carry SIP: opened when something is to be sent, taken from peers, kept alive, closed when idle.

A connection is a flow with a number. Answers go back by the flow their request came by; other messages by the flow they
name, by one of our own to that place, or by a new one. No decisions about calls are made here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from callwright.engine.outside_log import outside_log
from callwright.engine.sip_client_port import ClientPort
from callwright.engine.sip_tls import TlsSettings
from callwright.sip.errors import SipParseError
from callwright.sip.event import Send
from callwright.sip.stream import PONG, Framer
from callwright.sip.way import Target, Transport, Way

Address = tuple[str, int]
Place = tuple[Transport, str, int, str]

PING = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """How many connections peers may have, and how long anything may take. Times in seconds.

    ``message_s`` is how long a peer may take for its first message or the rest of one; ``idle_s`` how long it may be
    silent, keep-alives apart for connections of ours; ``ping_s`` how often ours are kept alive. ``pong_s`` is how long
    a peer that answers keep-alives may owe one (RFC 5626 section 4.4.1), ``unheard_s`` how long what was sent may stay
    without TCP's acknowledgement.
    """

    most: int = 2000
    most_per_host: int = 200
    connect_s: float = 4.0
    message_s: float = 30.0
    idle_s: float = 600.0
    ping_s: float = 60.0
    pong_s: float = 10.0
    unheard_s: float = 20.0
    most_unsent: int = 1024 * 1024


@dataclass(slots=True)
class _Opening:
    sends: list[Send]
    task: asyncio.Task[None]


class _Connection(asyncio.Protocol):
    """One connection; its Streams own the decisions."""

    def __init__(self, streams: Streams, way: Transport, place: Place | None) -> None:
        self.streams = streams
        self.kind = way
        self.place = place
        self.flow = 0
        self.peer: Address = ("", 0)
        self.transport: asyncio.Transport
        self.framer = Framer(asks=place is not None)
        self.heard_at = 0.0
        self.begun_at = 0.0
        self.pinged_at = 0.0
        self.has_spoken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # uvloop's is an asyncio.Transport by what it can do
        self.peer = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.streams.made(self)

    def data_received(self, data: bytes) -> None:
        self.streams.read(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.streams.gone(self)


class Streams:
    """All connections of one socket.

    ``receive`` gets every message, ``failed`` every Send that found no connection, ``left`` every Send with the flow it
    left by, ``lost`` the number of every flow that is no more. While ``busy`` no connection of ours is closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        receive: Callable[[bytes, Address, Way], None],
        failed: Callable[[list[Send]], None],
        left: Callable[[Send, int, Address], None],
        lost: Callable[[int], None],
        busy: Callable[[], bool],
        tls: TlsSettings,
        limits: StreamLimits,
    ) -> None:
        self._loop = loop
        self._receive = receive
        self._failed = failed
        self._left = left
        self._lost = lost
        self._busy = busy
        self._tls = tls
        self._limits = limits
        self._client_context: ssl.SSLContext | None = None
        self._client_port: ClientPort | None = None
        self._servers: list[asyncio.Server] = []
        self._flows: dict[int, _Connection] = {}
        self._per_host: dict[str, int] = {}
        self._ours: dict[Place, _Connection] = {}
        self._opening: dict[Place, _Opening] = {}
        self._last_flow = 0
        self._closed = False
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    # --- opening and closing -----------------------------------------------------------------------------------------

    async def listen(self, host: str, port: int, transport: Transport) -> int:
        """Take connections; returns the port (0: any free one). Raises OSError when it is taken."""
        context = self._tls.server() if transport is Transport.TLS else None
        server = await self._loop.create_server(
            lambda: _Connection(self, transport, None),
            host,
            port,
            ssl=context,
            # Until it is over a connection is nobody's and counts against no limit.
            ssl_handshake_timeout=self._limits.connect_s if context else None,
        )
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    def call_from_one_port(self, host: str) -> int:
        """Let all TLS connections of ours come from one port where that is possible; return it."""
        self._client_port = ClientPort(host)
        return self._client_port.number

    async def close(self) -> None:
        """Close all connections and take no more."""
        self._closed = True
        if self._client_port is not None:
            self._client_port.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._servers:
            server.close()
        tasks = [opening.task for opening in self._opening.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._flows.values()):
            if connection.kind is Transport.TLS:
                connection.transport.abort()  # a polite end waits for the peer's
            else:
                connection.transport.close()
        try:
            async with asyncio.timeout(1.0):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._flows.values()):
                connection.transport.abort()

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self._flows)

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, send: Send, targets: list[Target]) -> None:
        """Send by the flow the message names, else by a connection to one of the targets, tried in order."""
        connection = self._flows.get(send.way.flow)
        if connection is None or connection.transport.is_closing():
            connection = next((found for target in targets if (found := self._usable(send, target))), None)
        if connection is not None:
            self._write(connection, send)
            return
        place = _place(send, targets[0])
        opening = self._opening.get(place)
        if opening is not None:
            opening.sends.append(send)
            return
        task = self._loop.create_task(self._open(place, send.way, targets), name=f"connect to {place[1]}:{place[2]}")
        self._opening[place] = _Opening([send], task)

    def _usable(self, send: Send, target: Target) -> _Connection | None:
        found = self._ours.get(_place(send, target))
        return None if found is None or found.transport.is_closing() else found

    def _write(self, connection: _Connection, send: Send) -> None:
        transport = connection.transport
        if transport.get_write_buffer_size() > self._limits.most_unsent:
            outside_log.warning(
                "A SIP peer does not read what it is sent", action="sip_stream_stuck", peer=connection.peer
            )
            transport.abort()
            self._failed([send])
            return
        transport.write(send.data)
        self._left(send, connection.flow, connection.peer)

    async def _open(self, place: Place, way: Way, targets: list[Target]) -> None:
        problem = ""
        connection: _Connection | None = None
        for target in targets:
            try:
                async with asyncio.timeout(self._limits.connect_s):
                    connection = await self._connect(way, target)
                break
            except TimeoutError:
                problem = f"no connection within {self._limits.connect_s:g} s"
            except (OSError, ssl.CertificateError) as error:
                problem = str(error)
        sends = self._opening.pop(place).sends
        if connection is None:
            outside_log.warning(
                "A SIP peer could not be connected to", action="sip_unconnected", peer=place[1:3], error=problem
            )
            self._failed(sends)
            return
        for send in sends:
            self._write(connection, send)

    async def _connect(self, way: Way, target: Target) -> _Connection:
        place: Place = (way.transport, target.host, target.port, way.name or target.way.name)
        context: ssl.SSLContext | None = None
        name: str | None = None
        connected: socket.socket | None = None
        if way.transport is Transport.TLS:
            if self._client_context is None:
                self._client_context = self._tls.client()
            context, name = self._client_context, place[3] or target.host
            if self._client_port is not None:
                connected = await self._client_port.connect(self._loop, target.host, target.port)

        def make() -> _Connection:
            return _Connection(self, way.transport, place)

        if connected is None:
            _, connection = await self._loop.create_connection(
                make, target.host, target.port, ssl=context, server_hostname=name
            )
        else:
            _, connection = await self._loop.create_connection(make, sock=connected, ssl=context, server_hostname=name)
        if connection.transport.get_extra_info("sockname")[:2] == connection.peer:
            # The kernel may give a connection on this machine the very port it is to lead to: then it leads to itself.
            connection.transport.abort()
            raise ConnectionRefusedError("nobody listens there")
        return connection

    # --- what connections report -------------------------------------------------------------------------------------

    def made(self, connection: _Connection) -> None:
        """Number a new connection, or turn it away when its host has too many."""
        host = connection.peer[0]
        crowded = len(self._flows) >= self._limits.most or self._per_host.get(host, 0) >= self._limits.most_per_host
        if self._closed or (connection.place is None and crowded):
            connection.transport.abort()
            return
        self._last_flow += 1
        connection.flow = self._last_flow
        connection.heard_at = connection.begun_at = self._loop.time()
        self._give_up_when_unheard(connection)
        self._flows[connection.flow] = connection
        self._empty.clear()
        if connection.place is None:
            self._per_host[host] = self._per_host.get(host, 0) + 1
        else:
            self._ours[connection.place] = connection
        if self._sweeper is None:
            self._sweep_later()

    def _give_up_when_unheard(self, connection: _Connection) -> None:
        """A path that forgot the connection says nothing: without this the kernel would go on for a quarter of an hour,
        and every request of ours with it.
        """
        sock = connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._limits.unheard_s * 1000))

    def read(self, connection: _Connection, data: bytes) -> None:
        """Take what was read."""
        if not connection.flow:
            return
        was_empty = connection.framer.is_empty
        connection.heard_at = self._loop.time()
        try:
            messages = connection.framer.feed(data)
        except SipParseError as problem:
            outside_log.info(
                "A stream was no SIP", action="sip_stream_broken", peer=connection.peer, error=str(problem)
            )
            connection.transport.abort()
            return
        for _ in range(connection.framer.pings):
            connection.transport.write(PONG)
        connection.framer.pings = 0
        if was_empty or messages:
            connection.begun_at = connection.heard_at
        way = Way(transport=connection.kind, flow=connection.flow, name=connection.place[3] if connection.place else "")
        for message in messages:
            connection.has_spoken = True
            self._receive(message, connection.peer, way)

    def gone(self, connection: _Connection) -> None:
        """Forget a connection."""
        if self._flows.pop(connection.flow, None) is None:
            return
        if connection.place is None:
            host = connection.peer[0]
            self._per_host[host] -= 1
            if not self._per_host[host]:
                del self._per_host[host]
        elif self._ours.get(connection.place) is connection:
            del self._ours[connection.place]
        if not self._flows:
            self._empty.set()
        if not self._closed:
            self._lost(connection.flow)

    # --- keeping and closing -----------------------------------------------------------------------------------------

    def _sweep_later(self) -> None:
        limits = self._limits
        pause = min(limits.ping_s, limits.idle_s, limits.message_s) / 2
        self._sweeper = self._loop.call_later(pause, self._sweep)

    def _sweep(self) -> None:
        """Close what is idle or too slow, keep the rest of ours alive."""
        now, limits = self._loop.time(), self._limits
        for connection in list(self._flows.values()):
            silent = now - connection.heard_at
            waits = not connection.framer.is_empty or (connection.place is None and not connection.has_spoken)
            kept = connection.place is not None and self._busy()
            owes = connection.pinged_at > connection.heard_at
            if (silent > limits.idle_s and not kept) or (waits and now - connection.begun_at > limits.message_s):
                connection.transport.close()
            elif connection.framer.pongs and owes and now - connection.pinged_at > limits.pong_s:
                outside_log.warning(
                    "A SIP peer no longer answers on its connection", action="sip_stream_dead", peer=connection.peer
                )
                connection.transport.abort()
            elif connection.place is not None and silent > limits.ping_s / 2:
                if not owes:
                    connection.pinged_at = now
                connection.transport.write(PING)
        self._sweeper = None
        if self._flows:
            self._sweep_later()


def _place(send: Send, target: Target) -> Place:
    return send.way.transport, target.host, target.port, send.way.name or target.way.name
