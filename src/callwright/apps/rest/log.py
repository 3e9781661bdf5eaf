"""The log of one instance, for the people who write its application (docs/reference/rest-applications.md, the log).

One line per event, ``YYYY-MM-DD hh:mm:ss.mmm LEVEL text`` in UTC. Lines are written by a thread, in order; a log that
cannot be written never disturbs the call. While the instance runs the file has the name of its start; at the end it
gets the name of its stop as well (ruling 5).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import structlog

from callwright.values.times import rest_log_name

logger = structlog.get_logger()

FOLDER_MODE = 0o700  # numbers, parameters and answers are nobody else's business
MAX_LOG_BYTES = 4 * 1024 * 1024
MAX_LINE_CHARS = 16 * 1024
FLUSH_S = 0.5  # lines of this long go to the disk together; a crash of the node may lose them

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
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def path(self) -> Path:
        return self._folder / self.name

    def line(self, level: Level, text: str) -> None:
        """Write one line; control characters are shown as escapes, an endless text is cut."""
        if self._room <= 0:
            return
        if len(text) > MAX_LINE_CHARS:
            text = f"{text[:MAX_LINE_CHARS]}… ({len(text) - MAX_LINE_CHARS} more characters)"
        moment = datetime.fromtimestamp(self._clock(), UTC)
        line = f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} {level} {text.translate(_CONTROL)}\n"
        self._room -= len(line.encode(errors="replace"))
        if self._room <= 0:
            line = f"{line[:23]} {Level.WARNING} the log has reached its limit, nothing more is written to it\n"
        self._lines.append(line)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name=f"log {self.name}")

    async def close(self, stop_name: str) -> None:
        """Write what is left and give the file its second name."""
        self._closing.set()
        if self._writing is not None:
            await self._writing
        try:
            await asyncio.to_thread(self._link, stop_name)
        except OSError as error:
            self._complain(error)

    async def discard(self) -> None:
        """Nothing came of the instance: leave no log behind."""
        self._lines.clear()
        self._closing.set()
        if self._writing is not None:
            await self._writing
        await asyncio.to_thread(self.path.unlink, missing_ok=True)

    async def _write(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._closing.wait()
        while self._lines:
            text, self._lines = "".join(self._lines), []
            try:
                await asyncio.to_thread(self._append, text)
            except OSError as error:
                self._room = 0
                self._complain(error)

    def _append(self, text: str) -> None:
        try:
            file = self.path.open("ab")
        except FileNotFoundError:  # the first log of the day
            self.path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            file = self.path.open("ab")
        with file:
            file.write(text.encode(errors="replace"))

    def _link(self, stop_name: str) -> None:
        target = self._folder / stop_name
        if target.exists() or not self.path.exists():
            return
        target.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        os.link(self.path, target)

    def _complain(self, error: OSError) -> None:
        logger.warning(
            f"The log {self.name} cannot be written ({error}). The call goes on; check the disk of the logs folder.",
            action="instance_log_failed",
        )


def find_log_name(folder: Path, started_at: float, instance: str) -> str:
    """Return the start-time name of a log that an earlier life of the node began at about ``started_at``.

    The log begins a little before the records do, so the second in its name is not known exactly. When there is none,
    return the name it would have.
    """
    expected = rest_log_name(started_at, instance)
    for day in (expected, rest_log_name(started_at - 24 * 3600, instance)):
        found = sorted((folder / day).parent.glob(f"rest_*_{instance}.log"))
        if found:
            return str(found[0].relative_to(folder))
    return expected
