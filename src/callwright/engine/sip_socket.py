"""Drive one SIP core from one UDP socket: bytes in and out, one timer, no decisions.

After anything was asked of ``core`` from outside, call ``pump``: it sends what the core has to send, hands its events
to ``on_event`` and sets the timer. The clock of the core is the loop's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable

import structlog

from callwright.sip.core import SipCore
from callwright.sip.event import Event, Send

_log = structlog.get_logger()

Trace = Callable[[str, bytes, tuple[str, int], float], None]

_NAME_LIFETIME_S = 60.0
_MOST_NAMES = 10_000
_RECEIVE_BUFFER = 4 * 1024 * 1024


def _drop_event(event: Event) -> None:
    """Stand in until somebody listens."""


class SipSocket(asyncio.DatagramProtocol):
    """A SIP core on the air. Use ``open``; ``trace`` sees every datagram ("<" received, ">" sent)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.on_event: Callable[[Event], None] = _drop_event
        self.trace: Trace | None = None
        self.core: SipCore
        self.address: tuple[str, int]
        self._loop = loop
        self._transport: asyncio.DatagramTransport
        self._family = socket.AF_INET
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._pumping = False
        self._closed = False
        self._gone: asyncio.Future[None] = loop.create_future()
        self._names: dict[str, tuple[str, float]] = {}
        self._asking: dict[str, tuple[list[Send], asyncio.Task[None]]] = {}

    @classmethod
    async def open(
        cls, *, host: str, port: int, core_factory: Callable[[str, int], SipCore], trace: Trace | None = None
    ) -> SipSocket:
        """Bind ``host`` and ``port`` (0: any free one) and make the core with the address that was bound.

        Raises OSError when the port is taken or the address is not ours.
        """
        loop = asyncio.get_running_loop()
        _, made = await loop.create_datagram_endpoint(lambda: cls(loop), local_addr=(host, port))
        made.trace = trace
        made.core = core_factory(*made.address)
        return made

    # --- asyncio.DatagramProtocol ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is no asyncio.DatagramTransport by class, only by what it can do.
        self._transport = transport  # type: ignore[assignment]
        self.address = transport.get_extra_info("sockname")[:2]
        bound = transport.get_extra_info("socket")
        self._family = bound.family
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        source = (addr[0], addr[1])
        now = self._loop.time()
        if self.trace is not None:
            self.trace("<", data, source, now)
        self._guard("receive a datagram", lambda: self.core.receive(data, source, now))
        self.pump()

    def error_received(self, exc: Exception) -> None:
        _log.warning("The SIP socket reported an error", action="sip_socket_error", error=str(exc))

    def connection_lost(self, exc: Exception | None) -> None:
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
                    self._guard(f"hand on {type(event).__name__}", lambda event=event: self.on_event(event))  # type: ignore[misc]
        finally:
            self._pumping = False
        self._set_timer()

    async def close(self) -> None:
        """Close the socket. Calls that are up stay up at the far end: hang them up first."""
        if not self._closed:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            tasks = [task for _, task in self._asking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._transport.close()
        await asyncio.shield(self._gone)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _guard(self, what: str, step: Callable[[], None]) -> None:
        """The bulkhead around one datagram and what follows from it: one bad call must not end all others."""
        try:
            step()
        except Exception:
            _log.exception("A SIP step failed and was left out", action="sip_step_failed", step=what)

    def _set_timer(self) -> None:
        at = self.core.wake_at()
        if at == self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = at
        if at is not None:
            self._timer = self._loop.call_at(at, self._wake)

    def _wake(self) -> None:
        # uvloop counts in whole milliseconds and may call a little early: the moment asked for has come all the same.
        now = max(self._loop.time(), self._timer_at or 0.0)
        self._timer = None
        self._timer_at = None
        self._guard("wake", lambda: self.core.wake(now))
        self.pump()

    def _send(self, send: Send) -> None:
        host, port = send.to
        address = self._address_of(host)
        if address is None:
            self._ask_name(host, send)
            return
        if self.trace is not None:
            self.trace(">", send.data, (address, port), self._loop.time())
        self._transport.sendto(send.data, (address, port))

    def _address_of(self, host: str) -> str | None:
        """Return the address to send to: the host itself, or what its name was found to be lately."""
        known = self._names.get(host)
        if known is not None:
            if self._loop.time() < known[1]:
                return known[0]
            del self._names[host]
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            return None
        if (literal.version == 6) != (self._family == socket.AF_INET6):
            return None  # the resolver says whether it can be reached from this socket at all
        if len(self._names) > _MOST_NAMES:
            self._names.clear()
        self._names[host] = (host, float("inf"))
        return host

    def _ask_name(self, host: str, send: Send) -> None:
        waiting = self._asking.get(host)
        if waiting is not None:
            waiting[0].append(send)
            return
        task = self._loop.create_task(self._resolve(host), name=f"resolve {host}")
        self._asking[host] = ([send], task)

    async def _resolve(self, host: str) -> None:
        """Find the address of a name in a thread, then send what waited for it, or fail it with 503."""
        error = ""
        address = ""
        try:
            found = await self._loop.getaddrinfo(host, None, family=self._family, type=socket.SOCK_DGRAM)
            address = str(found[0][4][0])
        except (OSError, ValueError) as problem:
            error = str(problem)
        sends, _ = self._asking.pop(host)
        if address:
            self._names[host] = (address, self._loop.time() + _NAME_LIFETIME_S)
            for send in sends:
                self._send(send)
            return
        _log.warning("A SIP peer's name could not be resolved", action="sip_name_unresolved", host=host, error=error)
        now = self._loop.time()
        for send in sends:
            self._guard("fail a send", lambda send=send: self.core.send_failed(send, now))  # type: ignore[misc]
        self.pump()
