"""The thread that writes the logs of all instances: it takes many of them at a visit.

A thread that is woken for every log takes the interpreter from the event loop each time. So the first visit after a
quiet time begins at once, and the next ones ``PAUSE_S`` after the one before, with all that was handed in meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import structlog

from callwright.apps.rest.log_files import Entry, write

logger = structlog.get_logger()

PAUSE_S = 0.05
FLUSH_S = 0.5  # lines of this long go to the disk together; a crash of the node may lose them
MANY_LOGS = 50
FLUSH_MANY_S = 2.0  # the same while this many logs have lines: most of a short call's are written with its end then

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="instance-logs")  # one: each log keeps its order


class Pen:
    """What is to be written for the instances of one event loop, in the order it is handed in."""

    _last: ClassVar[Pen | None] = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._flushes: list[Callable[[], None]] = []
        self._flush_by = 0.0  # by the loop's clock
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._is_visited = False
        self._next_visit = 0.0  # by time.monotonic

    @classmethod
    def here(cls) -> Pen:
        """Return the pen of the running event loop."""
        loop, pen = asyncio.get_running_loop(), cls._last
        if pen is None or pen._loop is not loop:
            pen = cls._last = cls(loop)
        return pen

    def flush_later(self, flush: Callable[[], None]) -> None:
        """Call this on the event loop within ``FLUSH_S``, or ``FLUSH_MANY_S``: it hands in what should not wait."""
        if not self._flushes:
            self._flush_by = self._loop.time() + FLUSH_MANY_S
            self._loop.call_later(FLUSH_S, self._flush)
        self._flushes.append(flush)

    def hand_in(self, entry: Entry, done: asyncio.Future[None] | None = None) -> None:
        """Have the thread write this; ``done`` gets its result on the event loop afterwards."""
        with self._lock:
            self._entries.append(entry)
            if done is not None:
                self._waiting.append(done)
            if self._is_visited:
                return
            self._is_visited = True
        _THREAD.submit(self._visit)

    def _flush(self) -> None:
        if len(self._flushes) >= MANY_LOGS and self._loop.time() + FLUSH_S <= self._flush_by:
            self._loop.call_later(FLUSH_S, self._flush)
            return
        flushes, self._flushes = self._flushes, []
        for flush in flushes:
            flush()

    # --- in the thread

    def _visit(self) -> None:
        while True:
            if (pause := self._next_visit - time.monotonic()) > 0:
                time.sleep(pause)
            with self._lock:
                if not self._entries:
                    self._is_visited = False
                    return
                entries, self._entries = self._entries, []
                waiting, self._waiting = self._waiting, []
            try:
                write(entries)
            except Exception:
                # The bulkhead of the logs: a bug in one visit must not keep calls from their end ever after.
                logger.exception("Logs of instances were not written.", action="instance_log_failed")
            self._next_visit = time.monotonic() + PAUSE_S
            if waiting:
                with contextlib.suppress(RuntimeError):  # a closed event loop has nobody left who waits
                    self._loop.call_soon_threadsafe(_tell, waiting)


def _tell(waiting: list[asyncio.Future[None]]) -> None:
    for done in waiting:
        if not done.done():
            done.set_result(None)
