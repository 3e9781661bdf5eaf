"""The log of one instance, for the people who write its application (docs/reference/rest-applications.md, the log).

One line per event, ``YYYY-MM-DD hh:mm:ss.mmm LEVEL text`` in UTC. Lines are written by one thread, in order; a log
that cannot be written never disturbs the call. While the instance runs the file has the name of its start; at the end
it gets the name of its stop as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import structlog

from callwright.values.times import rest_log_name

logger = structlog.get_logger()

FOLDER_MODE = 0o700  # numbers, parameters and answers are nobody else's business
MAX_LOG_BYTES = 4 * 1024 * 1024
MAX_LINE_CHARS = 16 * 1024
LOG_BEGINS_BEFORE_S = 3  # where a log is looked for that an earlier life of the node began
FLUSH_S = 0.5  # lines of this long go to the disk together; a crash of the node may lose them

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, 0x85)} | {
    0x0A: "\\n",
    0x0D: "\\r",
    0x09: "\\t",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
_PEN = ThreadPoolExecutor(max_workers=1, thread_name_prefix="instance-logs")  # one: each log keeps its order


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
        self._flush_at: asyncio.TimerHandle | None = None

    @property
    def path(self) -> Path:
        return self._folder / self.name

    def line(self, level: Level, text: str) -> None:
        """Write one line; control characters are shown as escapes, an endless text is cut."""
        if self._room <= 0:
            return
        if len(text) > MAX_LINE_CHARS:
            text = f"{text[:MAX_LINE_CHARS]}… ({len(text) - MAX_LINE_CHARS} more characters)"
        if not text.isprintable():
            text = text.translate(_CONTROL)
        line = f"{_moment(self._clock())} {level} {text}\n"
        self._room -= len(line) if line.isascii() else len(line.encode(errors="replace"))
        if self._room <= 0:
            line = f"{line[:23]} {Level.WARNING} the log has reached its limit, nothing more is written to it\n"
        self._lines.append(line)
        if self._flush_at is None:
            self._flush_at = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    async def close(self, stop_name: str) -> None:
        """Write what is left and give the file its second name."""
        await asyncio.get_running_loop().run_in_executor(_PEN, self._finish, self._taken(), stop_name)

    async def discard(self) -> None:
        """Nothing came of the instance: leave no log behind."""
        self._taken()
        await asyncio.get_running_loop().run_in_executor(_PEN, self._remove)

    def _flush(self) -> None:
        _PEN.submit(self._append, self._taken())

    def _taken(self) -> str:
        """Return what is not written yet, and forget it."""
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        text, self._lines = "".join(self._lines), []
        return text

    # --- in the thread

    def _finish(self, text: str, stop_name: str) -> None:
        self._append(text)
        try:
            self._link(stop_name)
        except OSError as error:
            self._complain(error)

    def _remove(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _append(self, text: str) -> None:
        if not text:
            return
        try:
            self._write(text.encode(errors="replace"))
        except OSError as error:
            self._room = 0
            self._complain(error)

    def _write(self, text: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            file = os.open(self.path, flags, 0o666)
        except FileNotFoundError:  # the first log of the day
            self.path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            file = os.open(self.path, flags, 0o666)
        try:
            while text:
                text = text[os.write(file, text) :]
        finally:
            os.close(file)

    def _link(self, stop_name: str) -> None:
        if stop_name == self.name:  # it stopped in the second it began in
            return
        target = self._folder / stop_name
        try:
            with contextlib.suppress(FileExistsError):
                os.link(self.path, target)
        except FileNotFoundError:
            if self.path.exists():  # the first log that ends on its day
                target.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
                os.link(self.path, target)

    def _complain(self, error: OSError) -> None:
        logger.warning(
            f"The log {self.name} cannot be written ({error}). The call goes on; check the disk of the logs folder.",
            action="instance_log_failed",
        )


def _moment(at: float) -> str:
    """Return an epoch time as lines begin with it."""
    second = int(at)
    millisecond = round((at - second) * 1e6) // 1000
    return f"{_second(second + millisecond // 1000)}.{millisecond % 1000:03d}"


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
