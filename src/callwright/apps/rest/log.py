"""The log of one instance, for the people who write its application (docs/reference/rest-applications.md, the log).

One line per event, ``YYYY-MM-DD hh:mm:ss.mmm LEVEL text`` in UTC. Lines are written by one thread, in order (``pen``);
a log that cannot be written never disturbs the call. While the instance runs the file has the name of its start; at the
end it gets the name of its stop as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import structlog

from callwright.apps.rest.log_files import Entry
from callwright.apps.rest.pen import Pen
from callwright.values.times import rest_log_name

logger = structlog.get_logger()

MAX_LOG_BYTES = 4 * 1024 * 1024
MAX_LINE_CHARS = 16 * 1024
LOG_BEGINS_BEFORE_S = 3  # where a log is looked for that an earlier life of the node began

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, 0x85)} | {
    0x0A: "\\n",
    0x0D: "\\r",
    0x09: "\\t",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


class Level(StrEnum):
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class InstanceLog:
    """A log at ``folder/name``; ``clock`` gives epoch seconds. Close it: until then lines may still be in memory."""

    def __init__(self, folder: Path, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self._folder = folder
        self._clock = clock
        self._lines: list[str] = []
        self._room = MAX_LOG_BYTES
        self._will_flush = False
        self._is_begun = False

    def line(self, level: Level, text: str) -> None:
        """Write one line; control characters are shown as escapes, an endless text is cut."""
        if self._room <= 0:
            return
        if len(text) > MAX_LINE_CHARS:
            text = f"{text[:MAX_LINE_CHARS]}… ({len(text) - MAX_LINE_CHARS} more characters)"
        if not text.isprintable():
            text = text.translate(_CONTROL)
        line = f"{_moment(int(self._clock() * 1e6 + 0.5) // 1000)} {level} {text}\n"
        self._room -= len(line) if line.isascii() else len(line.encode(errors="replace"))
        if self._room <= 0:
            line = f"{line[:23]} {Level.WARNING} the log has reached its limit, nothing more is written to it\n"
        self._lines.append(line)
        if not self._will_flush:
            self._will_flush = True
            Pen.here().flush_later(self._flush)

    async def close(self, stop_name: str) -> None:
        """Write what is left and give the file its second name."""
        second = "" if stop_name == self.name else self._path(stop_name)  # it may stop in the second it began in
        await self._written(Entry(path=self._path(self.name), text=self._taken(), second=second, failed=self._failed))

    async def discard(self) -> None:
        """Nothing came of the instance: leave no log behind."""
        self._lines.clear()
        if self._is_begun:
            await self._written(Entry(path=self._path(self.name), is_void=True, failed=self._failed))

    def _flush(self) -> None:
        self._will_flush = False
        if self._lines:
            self._is_begun = True
            Pen.here().hand_in(Entry(path=self._path(self.name), text=self._taken(), failed=self._failed))

    def _taken(self) -> bytes:
        """Return what is not written yet, and forget it."""
        text = "".join(self._lines)
        self._lines.clear()
        return text.encode(errors="replace")

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    async def _written(self, entry: Entry) -> None:
        done = asyncio.get_running_loop().create_future()
        Pen.here().hand_in(entry, done)
        await done

    def _failed(self, error: OSError) -> None:
        self._room = 0
        logger.warning(
            f"The log {self.name} cannot be written ({error}). The call goes on; check the disk of the logs folder.",
            action="instance_log_failed",
        )


@lru_cache(maxsize=16)
def _moment(milliseconds: int) -> str:
    """Return an epoch time as lines begin with it."""
    second, millisecond = divmod(milliseconds, 1000)
    return f"{_second(second)}.{millisecond:03d}"


@lru_cache(maxsize=16)
def _second(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"


def find_log_name(folder: Path, started_at: float, instance: str) -> str:
    """Return the start-time name of a log that an earlier life of the node began at about ``started_at``.

    The log begins a little before the records do, so the second in its name is not known exactly. When there is none,
    return the name it would have.
    """
    expected = rest_log_name(started_at, instance)
    for before_s in range(LOG_BEGINS_BEFORE_S):  # a look at a few names; a search reads all logs of the day
        name = rest_log_name(started_at - before_s, instance)
        if (folder / name).exists():
            return name
    for day in (expected, rest_log_name(started_at - 24 * 3600, instance)):
        found = sorted((folder / day).parent.glob(f"rest_*_{instance}.log"))
        if found:
            return str(found[0].relative_to(folder))
    return expected
