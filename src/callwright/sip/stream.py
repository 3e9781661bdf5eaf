"""Cut a byte stream into SIP messages (RFC 3261 section 18.3) and keep-alives (RFC 5626 section 4.4.1).

A message ends where its Content-Length says; without one it has no body. What is no SIP at all breaks the stream: there
is no way to find the next message, so the connection must be closed.
"""

from __future__ import annotations

import re

from callwright.sip.errors import SipParseError
from callwright.sip.parser import MAX_MESSAGE

_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(?:\r\n[ \t]+)?([^\r\n]*)", re.IGNORECASE)
_START = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~/]+ ")
_LONGEST_WORD = 64
_END = b"\r\n\r\n"

PONG = b"\r\n"


class Framer:
    """The reading end of one stream. ``pings`` counts the keep-alives to be answered with a PONG each.

    Where ``asks`` says that we send pings, a lone empty line is the answer to one and ``pongs`` counts it. Elsewhere it
    may be the first half of a ping.
    """

    __slots__ = ("_asks", "_buffer", "_need", "_searched", "pings", "pongs")

    def __init__(self, *, asks: bool = False) -> None:
        self._asks = asks
        self._buffer = bytearray()
        self._need = 0  # the length of the message being read, 0 while its header section is incomplete
        self._searched = 0
        self.pings = 0
        self.pongs = 0

    @property
    def is_empty(self) -> bool:
        """Whether no message is begun; empty lines before one are none of it."""
        return not self._buffer.strip(b"\r\n")

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read; return the messages now complete. Raises SipParseError when the stream is broken."""
        buffer = self._buffer
        buffer += data
        messages: list[bytes] = []
        while self._step():
            if self._need:
                messages.append(bytes(buffer[: self._need]))
                del buffer[: self._need]
                self._need = self._searched = 0
        if self._asks and buffer == PONG:
            buffer.clear()
            self.pongs += 1
        return messages

    def _step(self) -> bool:
        """Go on by one keep-alive or one message; False when more must be read first."""
        buffer = self._buffer
        if not self._need:
            if buffer.startswith(_END):
                self.pings += 1
                del buffer[: len(_END)]
                return True
            if buffer.startswith(b"\r\n") and len(buffer) > 2 and not _END.startswith(bytes(buffer[:4])):
                del buffer[:2]  # the answer to a ping of ours, or an empty line before a message
                return True
            if not buffer or buffer[0] == 13:
                if len(buffer) > 1 and buffer[1] != 10:
                    raise SipParseError("a stream with a bare CR between its messages")
                return False
            self._measure()
        return 0 < self._need <= len(buffer)

    def _measure(self) -> None:
        buffer = self._buffer
        if self._searched <= _LONGEST_WORD < len(buffer) and _START.match(buffer, 0, _LONGEST_WORD) is None:
            raise SipParseError(f"this is not SIP: {bytes(buffer[:40])!r}")
        end = buffer.find(_END, max(self._searched - 3, 0))
        self._searched = len(buffer)
        if end < 0:
            if len(buffer) > MAX_MESSAGE:
                raise SipParseError(f"a header section of more than {MAX_MESSAGE} bytes")
            return
        if _START.match(buffer, 0, end) is None:
            raise SipParseError(f"this is not SIP: {bytes(buffer[:40])!r}")
        found = _LENGTH.search(buffer, 0, end)
        written = found[1].strip() if found else b"0"
        if not written.isdigit() or len(written) > 8:
            raise SipParseError(f"Content-Length {bytes(written[:20])!r} is not a length")
        self._need = end + len(_END) + int(written)
        if self._need > MAX_MESSAGE:
            raise SipParseError(f"a message of {self._need} bytes, {MAX_MESSAGE} are the most")
