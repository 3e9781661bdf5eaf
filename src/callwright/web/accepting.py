"""Taking connections, also when there is no file descriptor left for one more.

The event loop's own way of listening closes such connections without a word. Here some descriptors are kept in reserve:
one of them is given up for each connection that cannot be served, which is then told so (503) and closed; the
operator's, on the Unix socket, is served with it. And clients may not take the last descriptors, which calls need.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import ssl
from collections.abc import Callable
from typing import cast

import structlog

from callwright.web.protocol import BoundedProtocol

log = structlog.get_logger()

RESERVE = 16  # connections that can be told so at the same time
FOR_CALLS = 64  # descriptors clients leave to calls, or an eighth of all if that is less
AT_ONCE = 64  # connections taken in one turn of the event loop
TELL_EVERY_S = 10.0
AGAIN_S = 0.1
REFILL_S = 1.0
_NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_GONE = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH})


class Acceptor:
    """Takes the connections of one listening socket, from construction to ``close``; ``make`` gives each a protocol."""

    def __init__(
        self, sock: socket.socket, make: Callable[[], BoundedProtocol], *, tls: Callable[[], ssl.SSLContext | None]
    ) -> None:
        self._sock = sock
        self._make = make
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reserve: list[int] = []
        self._refused = 0
        self._told_at = -TELL_EVERY_S
        self._closed = False
        self._fill_reserve()
        self._loop.add_reader(sock.fileno(), self._take)

    def close(self) -> None:
        """Take no more connections; those that are being set up are let go. The socket is the caller's."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        for task in self._tasks:
            task.cancel()
        while self._reserve:
            os.close(self._reserve.pop())

    async def wait_closed(self) -> None:
        """Return when the connections that were being set up are gone."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _GONE:
                    continue
                if error.errno in _NONE_LEFT:
                    if self._take_with_reserve():
                        continue
                    return
                log.error("A connection could not be taken", action="web.no_connection", reason=str(error))
                self._pause()
                return
            self._begin(connection, refused=self._is_for_calls(connection))

    def _take_with_reserve(self) -> bool:
        """Take a connection with a descriptor of the reserve; wait a moment when that is used up too."""
        if self._reserve:
            os.close(self._reserve.pop())
            try:
                connection, _ = self._sock.accept()
            except OSError:  # another thread was faster, or nobody is waiting any more
                self._fill_reserve()
            else:
                operator = connection.family == socket.AF_UNIX
                if operator:
                    self._loop.call_later(REFILL_S, self._fill_reserve)
                self._begin(connection, refused=not operator)
                return True
        self._pause()
        return False

    def _pause(self) -> None:
        """Take nothing for a moment: the event loop would otherwise call for the same connection without end."""
        self._loop.remove_reader(self._sock.fileno())
        self._loop.call_later(AGAIN_S, self._again)

    def _again(self) -> None:
        if not self._closed:
            self._fill_reserve()
            self._loop.add_reader(self._sock.fileno(), self._take)

    def _is_for_calls(self, connection: socket.socket) -> bool:
        """Whether a connection has one of the last descriptors: the lowest free one is always given out."""
        if connection.family == socket.AF_UNIX:
            return False
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return most != resource.RLIM_INFINITY and connection.fileno() >= most - min(FOR_CALLS, most // 8)

    def _begin(self, connection: socket.socket, *, refused: bool) -> None:
        connection.setblocking(False)
        if refused:
            self._tell()
        task = self._loop.create_task(self._serve(connection, refused), name="set a connection up")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket, refused: bool) -> None:
        protocol = self._make()
        if refused:
            protocol.refuse_at_once(self._free_again)
        try:
            await self._loop.connect_accepted_socket(
                cast("Callable[[], asyncio.Protocol]", lambda: protocol), connection, ssl=self._tls()
            )
        except OSError as error:  # ssl.SSLError is one
            connection.close()
            log.debug("A connection could not be set up", action="web.no_connection", reason=str(error))
        except asyncio.CancelledError:
            connection.close()
            raise

    def _free_again(self) -> None:
        self._loop.call_later(AGAIN_S, self._fill_reserve)  # its descriptor is free a moment later

    def _fill_reserve(self) -> None:
        try:
            while len(self._reserve) < RESERVE and not self._closed:
                self._reserve.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            if error.errno not in _NONE_LEFT:
                raise

    def _tell(self) -> None:
        """Log that connections were refused, once in a while."""
        self._refused += 1
        if self._loop.time() - self._told_at < TELL_EVERY_S:
            return
        self._told_at = self._loop.time()
        log.error(
            "Connections are refused: the process has no file descriptors left for them",
            action="web.no_descriptors",
            refused=self._refused,
            limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            cure="raise the limit of open files (LimitNOFILE, ulimit -n), or find who holds so many connections",
        )
        self._refused = 0
