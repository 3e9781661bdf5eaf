"""One HTTP/1.1 request and its answer on a connection of its own (RFC 9112).

There is no pool and no repetition: whoever asks knows that the request left at most once, and, by ``unsent``, when it
certainly did not leave at all. It costs a fraction of a general client's processor time, which every page of every
call pays.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from typing import cast

import httptools
import msgspec

from callwright.apps.rest.until import Within

MAX_HEAD_LINE_BYTES = 32 * 1024  # web frameworks send cookies and policies of many kilobytes
_MAX_HEAD_BYTES = 512 * 1024
_NEXT_ADDRESS_S = 0.25  # RFC 8305 section 5: how long one address may try alone
_BROKE = "the connection broke before the answer was complete"
_NOT_HTTP = f"the answer is not HTTP, or a line of its head is longer than {MAX_HEAD_LINE_BYTES} bytes"


class ExchangeFailed(Exception):
    """An exchange failed; ``unsent`` is true when no byte of the request can have been sent."""

    def __init__(self, detail: str, *, unsent: bool = False) -> None:
        super().__init__(detail)
        self.unsent = unsent


class HeadersFound(dict[str, str]):
    """The headers of an answer, the first of each name; ``get`` takes a name in any case."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return super().get(name.lower(), default)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, read in full. ``cookies`` are the values of its Set-Cookie headers."""

    status: int
    headers: HeadersFound
    cookies: tuple[str, ...]
    body: bytes


def request_bytes(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes | None) -> bytes:
    """Return a request as it is sent. ``target`` is path and query, percent-encoded."""
    head = [f"{method} {target} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    head.append("Connection: close\r\n\r\n")
    return "\r\n".join(head).encode("utf-8", "surrogateescape") + (body or b"")


async def exchange(
    request: bytes,
    addresses: Sequence[str],
    port: int,
    *,
    tls: ssl.SSLContext | None,
    host: str,
    connect_timeout_s: float,
    max_bytes: int,
) -> Answered:
    """Send a request to the first of some IP addresses that can be connected to and return its answer.

    ``host`` is the name the server is asked for and, with ``tls``, must have a certificate of. Raise
    ``ExchangeFailed`` for whatever goes wrong.
    """
    where = f"{host}:{port}"
    server_name = host if tls is not None else None
    try:
        with Within(connect_timeout_s):
            if len(addresses) == 1:
                talk = await _connect(addresses[0], port, tls, server_name, max_bytes)
            else:
                talk = await _first_connected(addresses, port, tls, server_name, max_bytes)
    except TimeoutError as error:
        raise ExchangeFailed(f"no connection to {where} within {connect_timeout_s:g} s") from error
    except ssl.SSLCertVerificationError as error:
        raise ExchangeFailed(f"the TLS certificate of {where} is not valid: {error}") from error
    except ssl.SSLError as error:
        raise ExchangeFailed(f"no TLS connection to {where}: {error.strerror or error}") from error
    except OSError as error:
        if tls is not None and isinstance(error, ConnectionResetError | ConnectionAbortedError):
            raise ExchangeFailed(f"no TLS connection to {where}: {error.strerror or error}") from error
        raise ExchangeFailed(f"no connection to {where}: {error.strerror or error}", unsent=True) from error
    return await talk.ask(request)


async def _first_connected(
    addresses: Sequence[str], port: int, tls: ssl.SSLContext | None, server_name: str | None, max_bytes: int
) -> _Talk:
    racing: set[asyncio.Task[_Talk]] = set()
    waiting, failure = list(addresses), OSError(0, "no address could be connected to")
    try:
        while waiting or racing:
            if waiting:
                address = waiting.pop(0)
                racing.add(asyncio.create_task(_connect(address, port, tls, server_name, max_bytes)))
            done, racing = await asyncio.wait(
                racing, timeout=_NEXT_ADDRESS_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            won: _Talk | None = None
            for task in done:
                error = task.exception()
                if isinstance(error, OSError):
                    failure = error
                elif won is None:
                    won = task.result()
                else:
                    task.result().drop()
            if won is not None:
                return won
        raise failure
    finally:
        for task in racing:
            task.cancel()
            task.add_done_callback(_drop_late)


def _drop_late(task: asyncio.Task[_Talk]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().drop()


async def _connect(
    address: str, port: int, tls: ssl.SSLContext | None, server_name: str | None, max_bytes: int
) -> _Talk:
    loop = asyncio.get_running_loop()
    _, talk = await loop.create_connection(
        lambda: _Talk(loop, max_bytes), address, port, ssl=tls, server_hostname=server_name
    )
    return talk


class _Talk(asyncio.Protocol):
    """One connection: what was asked on it and what came back. The parser calls ``on_…``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_bytes: int) -> None:
        self._answered: asyncio.Future[Answered] = loop.create_future()
        self._max_bytes = max_bytes
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._status = 0
        self._transport: asyncio.Transport | None = None
        self._headers = HeadersFound()
        self._cookies: list[str] = []
        self._body: list[bytes] = []
        self._body_bytes = self._head_bytes = self._line_bytes = 0
        self._has_head = False

    async def ask(self, request: bytes) -> Answered:
        """Send the request and return the answer."""
        if self._transport is not None and not self._answered.done():
            self._transport.write(request)
        try:
            return await self._answered
        finally:
            self.drop()

    def drop(self) -> None:
        """Close the connection without another word."""
        if self._transport is not None:
            self._transport.abort()
        self._parser = None  # it holds us, and we it: nobody else has to find that out later
        if self._answered.done() and not self._answered.cancelled():
            self._answered.exception()  # read once here: nobody may be waiting

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self._answered.done() or self._parser is None:
            return
        if not self._has_head:
            self._head_bytes += len(data)
            self._line_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except ExchangeFailed as failed:
            self._fail(failed)
        except httptools.HttpParserError as error:
            # What a callback raises comes wrapped.
            cause = error.__context__
            self._fail(cause if isinstance(cause, ExchangeFailed) else ExchangeFailed(_NOT_HTTP))
        if not self._has_head and (self._line_bytes > 2 * MAX_HEAD_LINE_BYTES or self._head_bytes > _MAX_HEAD_BYTES):
            self._fail(ExchangeFailed(_NOT_HTTP))

    def eof_received(self) -> None:
        return

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered.done():
            return
        ends_so = "content-length" not in self._headers and "chunked" not in self._headers.get("transfer-encoding")
        if exc is None and self._has_head and ends_so:
            self._complete()  # the end of the connection is the end of the body (RFC 9112 section 6.3)
        else:
            self._fail(ExchangeFailed(_BROKE))

    # --- httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._line_bytes = 0
        if len(name) + len(value) > MAX_HEAD_LINE_BYTES:
            raise ExchangeFailed(_NOT_HTTP)
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")
        if key == "set-cookie":
            self._cookies.append(text)
        self._headers.setdefault(key, text)

    def on_headers_complete(self) -> None:
        self._status = 0 if self._parser is None else self._parser.get_status_code()
        if self._status >= 200:
            self._has_head = True

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._max_bytes:
            raise ExchangeFailed(f"the answer has more than {self._max_bytes} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._has_head:  # 1xx: the answer itself follows
            self._headers.clear()
            self._cookies.clear()
        elif not self._answered.done():
            self._complete()

    def _complete(self) -> None:
        self._answered.set_result(
            Answered(
                status=self._status,
                headers=self._headers,
                cookies=tuple(self._cookies),
                body=b"".join(self._body),
            )
        )

    def _fail(self, failed: ExchangeFailed) -> None:
        if not self._answered.done():
            self._answered.set_exception(failed)
