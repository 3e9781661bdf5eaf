"""Writing to the files of many logs. Each is appended to on its own: no log's failure is another's.

With the C helper (docs/decisions/0010-c-helper.md) all that goes as usual is one call: every system call made from
Python gives the interpreter up and has to win it back from the event loop. What is unusual, a folder that is not there
or a full disk, is left to the Python way.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Sequence

import msgspec

from callwright.media.helper import HELPER

FOLDER_MODE = 0o700  # numbers, parameters and answers are nobody else's business

_WRITE_LOGS = getattr(HELPER, "callwright_write_logs", None)  # a helper of an older release has none


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done to the file at ``path``: ``text`` is appended, then it gets the name ``second`` too, "" for
    none. With ``is_void`` it is deleted instead. ``failed`` is told, in the thread, what cannot be done.
    """

    path: str
    text: bytes = b""
    second: str = ""
    is_void: bool = False
    failed: Callable[[OSError], None]


def write(entries: Sequence[Entry], write_logs: Callable[..., int] | None = _WRITE_LOGS) -> None:
    """Write entries, those of a log in order."""
    todo = [entry for entry in entries if not entry.is_void]
    done, octets = (0, 0) if write_logs is None else _written(todo, write_logs)
    for entry in todo[done:]:
        _write_one(entry, entry.text[octets:])
        octets = 0
    for entry in entries:
        if entry.is_void:
            _delete(entry)


def _written(entries: Sequence[Entry], write_logs: Callable[..., int]) -> tuple[int, int]:
    """Write by the helper; return how many entries are done, and how much of the next one's text."""
    count, octets = len(entries), ctypes.c_int64()
    done = write_logs(
        count,
        (ctypes.c_char_p * count)(*(os.fsencode(entry.path) for entry in entries)),
        (ctypes.c_char_p * count)(*(entry.text for entry in entries)),
        (ctypes.c_int64 * count)(*(len(entry.text) for entry in entries)),
        (ctypes.c_char_p * count)(*(os.fsencode(entry.second) if entry.second else None for entry in entries)),
        ctypes.byref(octets),
    )
    return done, octets.value


def _write_one(entry: Entry, text: bytes) -> None:
    if text:
        try:
            _append(entry.path, text)
        except OSError as error:
            entry.failed(error)
    if entry.second:
        try:
            _link(entry.path, entry.second)
        except OSError as error:
            entry.failed(error)


def _append(path: str, text: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        file = os.open(path, flags, 0o666)
    except FileNotFoundError:  # the first log of the day
        _make_folder(path)
        file = os.open(path, flags, 0o666)
    try:
        while text:
            text = text[os.write(file, text) :]
    finally:
        os.close(file)


def _link(path: str, second: str) -> None:
    try:
        with contextlib.suppress(FileExistsError):
            os.link(path, second)
    except FileNotFoundError:
        if os.path.exists(path):  # the first log that ends on its day
            _make_folder(second)
            os.link(path, second)


def _delete(entry: Entry) -> None:
    try:
        with contextlib.suppress(FileNotFoundError):  # it could not be written
            os.unlink(entry.path)
    except OSError as error:
        entry.failed(error)


def _make_folder(path: str) -> None:
    os.makedirs(os.path.dirname(path), mode=FOLDER_MODE, exist_ok=True)
