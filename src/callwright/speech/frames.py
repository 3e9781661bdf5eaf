"""What a node and its speech worker say to each other: msgpack, with four bytes of length in front.

See docs/reference/speech.md, "Engines".
"""

from __future__ import annotations

import struct
from typing import Protocol

import msgspec

LENGTH = struct.Struct(">I")
MAX_FRAME = 16 * 1024 * 1024
"""About five minutes of 24 kHz sound; one request makes well under one."""


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """First word of the worker: its voice is loaded, or ``problem`` says why not."""

    rate: int = 0
    problem: str = ""


class Say(msgspec.Struct, frozen=True, kw_only=True):
    """Speak this text; ``rate`` is the pace, 1 the usual one."""

    number: int
    text: str
    rate: float


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The sound of request ``number``: 16 bit little-endian samples, or ``problem``, which never quotes the text."""

    number: int
    pcm: bytes = b""
    problem: str = ""


class BrokenFrame(Exception):
    """What came over the pipe is not a frame of ours: the worker cannot be trusted any more."""


class Readable(Protocol):
    """A blocking byte stream."""

    def read(self, size: int, /) -> bytes | None:
        """Return up to ``size`` bytes, b"" at the end."""
        ...


def pack(message: msgspec.Struct) -> bytes:
    """Return the frame of one message."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


def body_length(header: bytes) -> int:
    """Return the length a frame's first four bytes announce; raise ``BrokenFrame`` when it is out of bounds."""
    (length,) = LENGTH.unpack(header)
    if not 0 < length <= MAX_FRAME:
        raise BrokenFrame(f"a frame of {length} bytes was announced")
    return int(length)


def read_frame(stream: Readable) -> bytes | None:
    """Read one frame's body from a blocking stream; None at its end, also in the middle of a frame."""
    header = _read_exactly(stream, LENGTH.size)
    return None if header is None else _read_exactly(stream, body_length(header))


def _read_exactly(stream: Readable, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = stream.read(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
