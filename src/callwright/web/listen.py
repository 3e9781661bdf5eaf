"""Listening: an ASGI application on a TCP port or a Unix socket, run by uvicorn inside the node's own event loop.

The node, not uvicorn, owns signals and logging. Sockets are bound here, so that a taken port is one clear error before
anything else starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from callwright.values.errors import OutsideError
from callwright.web.accepting import Acceptor
from callwright.web.protocol import HEAD_BYTES, SLOW_S, BoundedProtocol, bounded
from callwright.web.tls import Certificate

BACKLOG = 2048
KEEP_ALIVE_S = 75
# Whose X-Forwarded-For is believed: trusting everyone would let a guesser of passwords choose an address for each try.
PROXY_NETWORKS = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
UNIX_PATH_BYTES = 107  # sun_path of Linux, less its final NUL


class CannotListen(OutsideError):
    """An address cannot be listened on; the text says which, why and what to do."""


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self.servers = [cast(asyncio.Server, Acceptor(sock, self._protocol, tls=self._tls)) for sock in sockets or ()]

    def _protocol(self) -> BoundedProtocol:
        make = cast("Callable[..., BoundedProtocol]", self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=None)

    def _tls(self) -> ssl.SSLContext | None:
        return self.config.ssl

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a listener serves.

    ``behind_proxy`` takes the client's address from X-Forwarded-For of a proxy on this machine or a private network:
    the last one that is not itself such a proxy. ``close_limit_s`` is how long ``close`` lets running requests finish.
    ``head_bytes`` bounds request line and headers together, ``slow_s`` the time a request has to arrive (longer bodies
    get more); who breaks them gets an error answer with ``link_base`` before the number.
    """

    certificate: Certificate | None = None
    behind_proxy: bool = False
    close_limit_s: float = 5.0
    head_bytes: int = HEAD_BYTES
    slow_s: float = SLOW_S
    link_base: str = "/errors/"
    clock: Callable[[], float] = time.time


PLAIN = Manner()


class Listener:
    """One application on one socket, from ``on_port`` or ``on_unix_socket`` to ``close``."""

    def __init__(self, server: _Server, sock: socket.socket, tasks: list[asyncio.Task[None]]) -> None:
        self._server = server
        self._serving, *self._beside = tasks
        name = sock.getsockname()
        self.host: str = name[0] if isinstance(name, tuple) else ""
        self.port: int = name[1] if isinstance(name, tuple) else 0

    @classmethod
    async def on_port(cls, app: ASGIApp, *, host: str, port: int, manner: Manner = PLAIN) -> Listener:
        """Serve ``app`` on ``host:port`` (0: a free port, see ``port``); raise ``CannotListen``."""
        return await cls.on_socket(app, await asyncio.to_thread(bind_port, host, port), manner=manner)

    @classmethod
    async def on_unix_socket(cls, app: ASGIApp, path: Path, *, manner: Manner = PLAIN) -> Listener:
        """Serve ``app`` on a Unix socket of mode 0600, replacing one a dead node left; raise
        ``CannotListen``.
        """
        return await cls.on_socket(app, await asyncio.to_thread(_bind_unix, path), manner=manner)

    @classmethod
    async def on_socket(cls, app: ASGIApp, sock: socket.socket, *, manner: Manner = PLAIN) -> Listener:
        """Serve ``app`` on a socket of ``bind_port``: for an application that must know its own address first."""
        certificate = manner.certificate
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                loop="none",
                http=bounded(
                    head_bytes=manner.head_bytes,
                    slow_s=manner.slow_s,
                    link_base=manner.link_base,
                    clock=manner.clock,
                ),
                ws="none",
                proxy_headers=manner.behind_proxy,
                forwarded_allow_ips=PROXY_NETWORKS,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, round(manner.close_limit_s)),
                ssl_context_factory=(lambda _config, _default: certificate.context) if certificate else None,
            )
        )
        tasks = [asyncio.create_task(server.serve(sockets=[sock]), name="web listener")]
        while not server.started:
            await asyncio.sleep(0)
            if tasks[0].done():
                await tasks[0]
                raise CannotListen("the web server ended before it began")
        if certificate is not None:
            tasks.append(asyncio.create_task(certificate.keep_fresh(), name="keep the certificate fresh"))
        return cls(server, sock, tasks)

    async def close(self) -> None:
        """Stop listening, let running requests finish up to the limit, close every connection."""
        for task in self._beside:
            task.cancel()
        self._server.should_exit = True
        await self._serving


def bind_port(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket; raise ``CannotListen``. Blocks while a name is resolved."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise CannotListen(f"cannot listen on http {host}:{port}: the name is not known ({error})") from error
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise CannotListen(_why(error, host, port)) from error
    sock.setblocking(False)
    return sock


def _why(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            why = "another program has that port: stop it, or choose another with --http HOST:PORT (port 0: a free one)"
        case errno.EACCES:
            why = "ports below 1024 need a privilege this program does not have: choose another with --http HOST:PORT"
        case errno.EADDRNOTAVAIL:
            why = "this machine does not have that address: choose one it has with --http HOST:PORT"
        case _:
            why = os.strerror(error.errno or 0)
    return f"cannot listen on http {host}:{port}: {why}"


def _bind_unix(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > UNIX_PATH_BYTES:
        raise CannotListen(
            f"the path of the admin socket is longer than {UNIX_PATH_BYTES} bytes: {path}. Choose a shorter "
            "--data folder"
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    former_mask = os.umask(0o177)  # the socket never exists with a wider mode
    try:
        # The data folder's lock says that no other node lives here: what is left is of a dead one.
        path.unlink(missing_ok=True)
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise CannotListen(f"cannot make the admin socket {path}: {os.strerror(error.errno or 0)}") from error
    finally:
        os.umask(former_mask)
    sock.setblocking(False)
    return sock
