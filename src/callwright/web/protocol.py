"""What uvicorn's HTTP protocol lacks: bounds on the head of a request, in bytes and in time, and errors in our form.

A connection that sends its headers byte by byte, or without end, would otherwise hold its socket and its memory for as
long as it likes. Bodies are bounded where they are read (``edge.read_body``).
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
HEAD_S = 30.0


class HeadRefused(Exception):
    """The head of a request breaks a bound; raised inside the parser to stop it."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection whose heads are bounded. ``head_bytes`` and ``head_s`` are set by ``bounded``."""

    head_bytes = HEAD_BYTES
    head_s = HEAD_S
    link_base = ""
    clock: Callable[[], float]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._number, self._what = "400", "this is not HTTP/1.1"
        self._refused = False
        self._head_received = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._head_timer is None and (self.cycle is None or not self.cycle.more_body):
            self._await_head()  # the next request of a connection kept alive
        super().data_received(data)
        if self._head_timer is not None and not self._refused:
            self._head_received += len(data)
            if self._head_received > self.head_bytes:
                self._refuse("431", f"the request line and the headers may have at most {self.head_bytes} bytes")

    def on_headers_complete(self) -> None:
        self._head_is_done()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.head_bytes:
            self._number = "431"
            self._what = f"the request line and the headers may have at most {self.head_bytes} bytes"
            raise HeadRefused
        super().on_headers_complete()

    def send_400_response(self, _msg: str) -> None:
        self._refuse(self._number, self._what)

    def _await_head(self) -> None:
        self._head_received = 0
        self._head_timer = self.loop.call_later(self.head_s, self._head_is_late)

    def _head_is_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._head_received:
            self._refuse("408", f"the headers were not there after {self.head_s:g} s")
        else:
            self.transport.close()

    def _refuse(self, number: str, what: str) -> None:
        """Answer an error and close: what follows on this connection cannot be told apart any more."""
        self._refused = True
        self._head_is_done()
        found = problem(number, what)
        now = self.clock()
        path = self.url.partition(b"?")[0][:1000].decode("latin-1") if hasattr(self, "url") else ""
        body = msgspec.json.encode(error_body(found, path, self.link_base, now, now))
        self.transport.write(
            STATUS_LINE[found.status]
            + f"content-type: {JSON}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            + body
        )
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)


def bounded(*, head_bytes: int, head_s: float, link_base: str, clock: Callable[[], float]) -> type[asyncio.Protocol]:
    """Return the protocol with these bounds, in the form uvicorn takes one."""

    def make(**given: Any) -> BoundedProtocol:
        protocol = BoundedProtocol(**given)
        protocol.head_bytes, protocol.head_s = head_bytes, head_s
        protocol.link_base, protocol.clock = link_base, clock
        return protocol

    return cast("type[asyncio.Protocol]", make)
