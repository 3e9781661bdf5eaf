"""What uvicorn's HTTP protocol lacks: bounds on how large a head may be and how slowly a request may come, and errors
in our form.

A connection that sends its request byte by byte, or headers without end, would otherwise hold its socket and its memory
for as long as it likes. The size of bodies is bounded where they are read (``edge.read_body``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from callwright.web.errors import JSON, error_body, problem

LINGER_S = 1.0  # how long a refused client may go on sending, so that its answer is not lost to a reset

HEAD_BYTES = 64 * 1024
SLOW_S = 30.0
BODY_BYTES_PER_S = 16 * 1024


class HeadRefused(Exception):
    """The head of a request breaks a bound; raised inside the parser to stop it."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection whose requests are bounded: their heads in bytes, and all of them in time. A request has
    ``slow_s`` seconds to arrive and one more for every ``BODY_BYTES_PER_S`` of its body. Set up by ``bounded``.
    """

    head_bytes = HEAD_BYTES
    slow_s = SLOW_S
    link_base = ""
    clock: Callable[[], float]

    _at_once: Callable[[], None] | None = None

    def refuse_at_once(self, gone: Callable[[], None]) -> None:
        """Answer 503 as soon as the connection is made, and close it; ``gone`` is called when it is closed."""
        self._at_once = gone

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._number, self._what = "400", "this is not HTTP/1.1"
        self._refused = False
        self._in_head = True
        self._arriving = True
        self._head_received = self._body_received = 0
        self._began = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        if self._at_once is None:
            self._watch(self.slow_s)
        else:
            self._refuse("503", "the node has no file descriptors left for one more connection", Retry_After="2")

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)
        if self._at_once is not None:
            self._at_once()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self._refused:
            return
        if self._in_head and self._arriving:
            self._head_received += len(data)
            if self._head_received > self.head_bytes:
                self._refuse("431", self._too_long)
                return
        # A request that came whole, as nearly all do, costs no timer.
        if self._arriving and self._timer is None:
            self._watch(self.slow_s)
        elif not self._arriving:
            self._unwatch()

    def on_message_begin(self) -> None:
        self._in_head = self._arriving = True
        self._head_received = self._body_received = 0
        self._began = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self.head_bytes:
            self._number, self._what = "431", self._too_long
            raise HeadRefused
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._arriving = False
        super().on_message_complete()

    def send_400_response(self, _msg: str) -> None:
        self._refuse(self._number, self._what)

    @property
    def _too_long(self) -> str:
        return f"the request line and the headers may have at most {self.head_bytes} bytes"

    def _watch(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._look)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Refuse a request that is late; look again later when it may still take its time."""
        self._timer = None
        if self.transport.is_closing():
            return
        left = self._began + self.slow_s + self._body_received / BODY_BYTES_PER_S - self.loop.time()
        if self.flow.read_paused:  # it is we who do not read
            self._watch(self.slow_s)
        elif left > 0:
            self._watch(left)
        elif self._in_head and not self._head_received:
            self.transport.close()
        elif self._in_head:
            self._refuse("408", f"the headers were not there after {self.slow_s:g} s")
        elif self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse("408", f"its body came too slowly: {self._body_received} bytes so far")

    def _refuse(self, number: str, what: str, **headers: str) -> None:
        """Answer an error and close: what follows on this connection cannot be told apart any more."""
        self._refused = True
        self._unwatch()
        found = problem(number, what, **headers)
        now = self.clock()
        path = self.url.partition(b"?")[0][:1000].decode("latin-1") if hasattr(self, "url") else ""
        body = msgspec.json.encode(error_body(found, path, self.link_base, now, now))
        said = {**found.headers, "Content-Type": JSON, "Content-Length": str(len(body)), "Connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        self.transport.write(STATUS_LINE[found.status] + head.encode() + b"\r\n" + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)


def bounded(*, head_bytes: int, slow_s: float, link_base: str, clock: Callable[[], float]) -> type[asyncio.Protocol]:
    """Return the protocol with these bounds, in the form uvicorn takes one."""

    def make(**given: Any) -> BoundedProtocol:
        protocol = BoundedProtocol(**given)
        protocol.head_bytes, protocol.slow_s = head_bytes, slow_s
        protocol.link_base, protocol.clock = link_base, clock
        return protocol

    return cast("type[asyncio.Protocol]", make)
