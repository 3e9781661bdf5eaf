"""RTP sockets: an even port and the odd one above it for RTCP, taken in turn and rested before they are used again."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections import deque
from dataclasses import dataclass

QUARANTINE_S = 5.0
"""Long enough for packets of a call that is over to have arrived or died."""
_RECEIVE_BUFFER = 65_536
_ARRIVAL_TIMES = 35
"""SO_TIMESTAMPNS of Linux, which the socket module does not name."""
_TIME = struct.Struct("@ll")
_MOST_WAITING = 1024
"""More than fit into the buffer: who sends faster than they are dropped does not hold up the worker for long."""
_libc = ctypes.CDLL(None, use_errno=True)


class NoPortError(Exception):
    """No RTP port can be bound; the message says why."""


@dataclass(frozen=True, slots=True)
class SocketPair:
    """Two bound, non-blocking sockets."""

    port: int
    rtp: socket.socket
    rtcp: socket.socket

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class PortPool:
    """Even ports from `first` up to but not including `end`."""

    def __init__(self, host: str, first: int, end: int) -> None:
        self._host = host
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._free = deque(range(first + first % 2, end - 1, 2))
        self._resting: deque[tuple[float, int]] = deque()
        self.size = len(self._free)

    def open(self, now: float) -> SocketPair:
        """Bind the next free pair; ports that another program holds are passed over. Raise `NoPortError` when none
        is left.
        """
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        reason = "all are in use or resting"
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                return SocketPair(port, *self._bind(port))
            except OSError as error:
                reason = f"the last one tried: {error.strerror or error}"
                self._free.append(port)
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    break  # no other port would do, and to try them all holds up every leg
        raise NoPortError(f"no RTP port can be bound on {self._host} ({self.size} in the range; {reason})")

    def release(self, pair: SocketPair, now: float) -> None:
        """Close a pair; its port rests before it is used again."""
        pair.close()
        self._resting.append((now + QUARANTINE_S, pair.port))

    def _bind(self, port: int) -> tuple[socket.socket, socket.socket]:
        sockets: list[socket.socket] = []
        try:
            for number in (port, port + 1):
                sock = socket.socket(self._family, socket.SOCK_DGRAM)
                sockets.append(sock)
                sock.setblocking(False)
                sock.bind((self._host, number))
            tell_arrivals(sockets[0])
            sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        except OSError:
            for sock in sockets:
                sock.close()
            raise
        return sockets[0], sockets[1]


def tell_arrivals(sock: socket.socket) -> None:
    """Let the kernel note when each datagram came."""
    sock.setsockopt(socket.SOL_SOCKET, _ARRIVAL_TIMES, 1)


def drop_older(sock: socket.socket, than: float) -> None:
    """Throw away what waits in a socket that tells arrivals since before an epoch time."""
    for _ in range(_MOST_WAITING):
        try:
            told = sock.recvmsg(0, socket.CMSG_SPACE(_TIME.size), socket.MSG_PEEK)[1]
            if not told or _epoch(told[0][2]) >= than:
                return
            sock.recv(1)
        except OSError:
            return  # there is nothing more


def _epoch(told: bytes) -> float:
    seconds, nanoseconds = _TIME.unpack(told)
    return float(seconds + nanoseconds / 1e9)


def disconnect(sock: socket.socket) -> None:
    """Undo `connect` on a datagram socket, which then hears every source again (connect(2), AF_UNSPEC)."""
    address = ctypes.create_string_buffer(socket.AF_UNSPEC.to_bytes(2, "little"), 16)
    if _libc.connect(sock.fileno(), address, len(address)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
