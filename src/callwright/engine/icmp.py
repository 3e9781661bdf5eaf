"""Hear from the network that a datagram reached nobody: ICMP errors of an unconnected UDP socket (Linux, ip(7)).

The kernel queues them beside the socket only when it is asked to; a queue that is not emptied keeps the socket
readable for ever, so whoever asks must ``take`` at every error the event loop reports.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass

_IP_RECVERR = 11  # linux/in.h; the socket module has no names for these
_IPV6_RECVERR = 25  # linux/in6.h
_ERROR = struct.Struct("=IBBBB")  # struct sock_extended_err (linux/errqueue.h): errno, origin, type, code, pad
_FROM_ICMP = {2: 3, 3: 1}  # origin ICMP or ICMP6 -> its "destination unreachable"; others say nothing final
_TOO_BIG = 4  # ICMP code "fragmentation needed": the path learns a size, nobody is unreachable
_LONGEST = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A datagram that came back: what was quoted of it (perhaps only its beginning), and where it went."""

    data: bytes
    to: tuple[str, int]
    error: str


class ErrorQueue:
    """The error queue of one socket. On systems without one nothing is ever taken."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket: socket.socket | None = None
        if sys.platform != "linux":
            return
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            bound.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        # uvloop lends no socket that can recvmsg; a descriptor of our own on the same socket can.
        self._socket = socket.socket(fileno=os.dup(bound.fileno()))

    def take(self) -> list[Undelivered]:
        """Empty the queue; return what it says about unreachable destinations."""
        taken: list[Undelivered] = []
        while self._socket is not None:
            try:
                data, ancillary, _, to = self._socket.recvmsg(_LONGEST, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
            except OSError:
                break  # empty (EAGAIN); anything else is not about one datagram and was reported by the loop
            for level, _, value in ancillary:
                if level not in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) or len(value) < _ERROR.size:
                    continue
                number, origin, kind, code, _ = _ERROR.unpack_from(value)
                if _FROM_ICMP.get(origin) == kind and not (origin == 2 and code == _TOO_BIG):
                    taken.append(Undelivered(data=data, to=(to[0], to[1]), error=os.strerror(number)))
        return taken

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
