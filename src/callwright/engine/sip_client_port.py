"""One port that all TLS connections of a node come from that does not listen for TLS itself.

For a request in a call the far end looks for a connection to the address our Contact names. Where nobody listens there
it can only take the connection we opened, and it finds that only when it came from this very port.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket

# What only says that this port cannot be used for that peer now: the connection before is still fading away, or the
# peer cannot be reached from the address we are bound to.
_NOT_FROM_HERE = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EINVAL})


class ClientPort:
    """``number`` is the port; it stays ours until ``close``. Raises OSError when ``host`` is not ours."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._held = self._bound(0)
        self.number: int = self._held.getsockname()[1]

    async def connect(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket | None:
        """Return a connected socket, None when a peer cannot be called from this port; raise OSError when it refuses.

        ``host`` is an address; a name is left to those who look names up.
        """
        try:
            if ipaddress.ip_address(host).version != (6 if ":" in self._host else 4):
                return None
            made = self._bound(self.number)
        except ValueError:
            return None
        except OSError as problem:
            if problem.errno in _NOT_FROM_HERE:
                return None
            raise
        try:
            await loop.sock_connect(made, (host, port))
        except OSError as problem:
            made.close()
            if problem.errno in _NOT_FROM_HERE:
                return None
            raise
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        self._held.close()

    def _bound(self, port: int) -> socket.socket:
        made = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((self._host, port))
        except OSError:
            made.close()
            raise
        return made
