"""The worker's end of the socketpair: commands in, reports out in batches, never waiting."""

from __future__ import annotations

import select
import socket

from callwright.media.protocol import Command, Frames, Message, Report, pack, read_commands

MAX_UNSENT_BYTES = 64 * 1024 * 1024
_READ_BYTES = 262_144


class NodeGone(Exception):
    """The node closed its end, died, or has stopped reading."""


class Control:
    """Reads commands and writes reports on a non-blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._epoll = select.epoll()
        self._epoll.register(sock, select.EPOLLIN)
        self._frames = Frames()
        self._reports: list[Message] = []
        self._unsent = bytearray()

    @property
    def unsent(self) -> bool:
        """Whether the node has not taken everything yet."""
        return bool(self._unsent)

    def say(self, report: Report) -> None:
        """Queue a report for the next flush."""
        self._reports.append(report)

    def wait(self, timeout_s: float | None) -> bool:
        """Sleep until the node says something or the time is over, None for as long as it takes; tell which."""
        return bool(self._epoll.poll(timeout_s))

    def read(self) -> list[Command]:
        """Read the commands that have come; raise `NodeGone` at the end of the stream."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            raise NodeGone(str(error)) from error
        if not data:
            raise NodeGone("the node closed the connection")
        return [command for body in self._frames.feed(data) for command in read_commands(body)]

    def flush(self) -> None:
        """Write what is queued, as far as the node takes it; raise `NodeGone`."""
        if self._reports:
            self._unsent += pack(self._reports)
            self._reports.clear()
        if not self._unsent:
            return
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise NodeGone(str(error)) from error
        del self._unsent[:sent]
        if len(self._unsent) > MAX_UNSENT_BYTES:
            raise NodeGone("the node has stopped reading")
