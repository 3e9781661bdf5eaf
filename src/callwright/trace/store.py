"""Kept messages on disk: files that are only ever appended to, forgotten as a whole when they are old or too many.

A file holds blocks: a head (magic, number of marks, length and CRC of the body), marks of eight bytes for every call
and Call-ID in the block, and the body, compressed. To find a call only heads are read, and the bodies that have its
mark. A block torn by a crash ends its file; the next life begins another.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec

from callwright.trace.message import KeptMessage

TRACE_FOLDER = "trace"  # below the data folder
SUFFIX = ".trace"
DAY_S = 86_400.0

_HEAD = struct.Struct(">4sIII")
_MAGIC = b"CWT1"
_MARK_BYTES = 8
_MOST_BLOCK = 64 * 1024 * 1024
_LEAST_FILE = 64 * 1024
_MOST_FILE = 16 * 1024 * 1024
_LONGEST_FILE_S = DAY_S / 4
_LOOK_EVERY_S = 600.0

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[KeptMessage]).decode


class TraceStore:
    """The kept messages of one node. Every method may wait for the disk and raises ``OSError`` when it fails.

    At most ``most_bytes`` are kept, and nothing longer than ``keep_days`` (a file more or less).
    """

    def __init__(self, folder: Path, *, most_bytes: int, keep_days: float) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._keep_s = keep_days * DAY_S
        self._file_bytes = max(_LEAST_FILE, min(_MOST_FILE, most_bytes // 8))
        self._file: int | None = None
        self._begun_at = 0.0
        self._size = 0
        self._looked_at = 0.0

    def append(self, messages: list[KeptMessage], *, now: float) -> None:
        """Keep messages; ``now`` is epoch seconds."""
        block = _block(messages)
        if self._file is None or self._size >= self._file_bytes or now - self._begun_at > _LONGEST_FILE_S:
            self._begin(now)
            self._forget(now)
        elif now - self._looked_at > _LOOK_EVERY_S:
            self._forget(now)
        assert self._file is not None
        written = os.write(self._file, block)
        self._size += written
        if written < len(block):  # the disk is full: what follows a torn block could not be read
            self.close()
            raise OSError(f"only {written} of {len(block)} bytes could be written to {self.folder}")

    def read(self, call: str) -> list[KeptMessage]:
        """Return what is kept of a call, in the order of time."""
        return read_call(self.folder, call)

    def close(self) -> None:
        """Close the file; the next ``append`` begins another."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _begin(self, now: float) -> None:
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = int(now * 1000)
        while True:
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
                self._file = os.open(self.folder / f"{number:015d}{SUFFIX}", flags, 0o600)
                break
            except FileExistsError:
                number += 1
        self._begun_at = now
        self._size = 0

    def _forget(self, now: float) -> None:
        self._looked_at = now
        kept = 0
        for index, file in enumerate(reversed(_files(self.folder))):
            facts = file.stat()
            kept += facts.st_size
            # The newest is the one being written. A file counts in full before it is full, so that its growing does
            # not exceed what may be kept.
            too_many = kept + self._file_bytes > self._most_bytes
            if index and (too_many or now - facts.st_mtime > self._keep_s):
                file.unlink(missing_ok=True)


def read_call(folder: Path, call: str) -> list[KeptMessage]:
    """Return what a folder of files has of a call, in the order of time; nothing when there is no folder.

    Messages known by their Call-ID alone (of a call hung up in a later life of the node) are among them.
    """
    found = [message for message in _having(folder, {call}) if message.call == call]
    wires = {message.wire for message in found}
    if wires:
        found += [message for message in _having(folder, wires) if not message.call and message.wire in wires]
    return sorted(found, key=lambda message: message.at)


def _having(folder: Path, names: Iterable[str]) -> Iterator[KeptMessage]:
    marks = [_mark(name) for name in names]
    for file in _files(folder):
        try:
            yield from _messages(file, marks)
        except FileNotFoundError:
            continue  # forgotten meanwhile


def _messages(path: Path, marks: list[bytes]) -> Iterator[KeptMessage]:
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            magic, count, length, check = _HEAD.unpack(head)
            if magic != _MAGIC or length > _MOST_BLOCK:
                return
            have = file.read(count * _MARK_BYTES)
            if not any(_has(have, mark) for mark in marks):
                file.seek(length, os.SEEK_CUR)
                continue
            body = file.read(length)
            if len(body) < length or zlib.crc32(body) != check:
                return
            yield from _decode(zlib.decompress(body))


def _has(marks: bytes, mark: bytes) -> bool:
    at = marks.find(mark)
    while at >= 0:
        if at % _MARK_BYTES == 0:
            return True
        at = marks.find(mark, at + 1)
    return False


def _block(messages: list[KeptMessage]) -> bytes:
    names = {message.call for message in messages if message.call} | {message.wire for message in messages}
    body = zlib.compress(_encode(messages), 1)
    return _HEAD.pack(_MAGIC, len(names), len(body), zlib.crc32(body)) + b"".join(map(_mark, names)) + body


def _mark(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=_MARK_BYTES).digest()


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.suffix == SUFFIX)
    except FileNotFoundError:
        return []
