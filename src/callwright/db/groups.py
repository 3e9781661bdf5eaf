"""Groups of writes that share a transaction and a commit, for ``writer``."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from callwright.db.errors import unavailable
from callwright.values.errors import InternalError

GAP_S = 0.005  # under load, groups of brief writes begin no sooner after each other: others are to share the commit
LOAD_WINDOW_S = 0.1
LOAD_WRITES = 20  # so many in a window are load; the few of one call on an idle node do not wait


@dataclass(slots=True)
class GroupSizes:
    """How well writes share their commits; written by the writer thread only, read by anyone."""

    groups: int = 0
    writes: int = 0
    largest: int = 0
    failed_groups: int = 0


@dataclass(slots=True, eq=False)
class Write:
    """One queued write and whom to tell: an asyncio future with its loop, or a thread's future without one."""

    run: Callable[[Connection], Any]
    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None
    lasting: bool = True
    brief: bool = False
    result: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        """Give the caller what came of it."""
        if self.loop is not None and self.future.done():
            return  # a caller that was cancelled has stopped waiting
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Group:
    """Writes that share a transaction, and how far they are: ``at`` is the next one to run.

    ``begun`` says whether their transaction is open. ``error`` is what made it fail as a whole. With ``alone`` the
    writing thread runs all that is left, because no event loop comes.
    """

    __slots__ = ("_fresh", "_saved", "alone", "at", "begun", "error", "lasting", "writes")

    def __init__(self, writes: list[Write]) -> None:
        self.writes = writes
        self.at = 0
        self.lasting = any(write.lasting for write in writes)
        self.begun = self.alone = False
        self.error: BaseException | None = None
        self._fresh = self._saved = False

    @property
    def place(self) -> asyncio.AbstractEventLoop | None:
        """Where it goes on: in an event loop, or (None) in the writing thread, where it ends too."""
        if self.alone or self.error is not None or self.at == len(self.writes):
            return None
        write = self.writes[self.at]
        return write.loop if write.brief else None

    def begin(self, raw: sqlite3.Connection) -> None:
        """Open the transaction."""
        raw.execute("BEGIN IMMEDIATE")
        self.begun = self._fresh = True
        self._saved = False

    def run_next(self, connection: Connection, raw: sqlite3.Connection) -> None:
        """Run the next write, and undo it if it raises; raise what ended the transaction it is part of."""
        write = self.writes[self.at]
        self.at += 1
        # What is alone in its transaction needs no savepoint, and the last one is released by the commit.
        if not self._fresh:
            if self._saved:
                raw.execute("RELEASE one_write")
            raw.execute("SAVEPOINT one_write")
            self._saved = True
        try:
            write.result = write.run(connection)
        except BaseException as error:  # handed on to the caller whose write it was
            if not raw.in_transaction:  # some failures, such as a full disk, end the transaction by themselves
                raise
            write.error = error
            failure: Exception | None = unavailable(error)
            if isinstance(error, StopIteration):
                failure = InternalError("a write raised StopIteration, which a future cannot pass on")
            if failure is not None:
                failure.__cause__ = error
                write.error = failure
            if self._fresh:
                raw.execute("ROLLBACK")
                self.begun = False
            else:
                raw.execute("ROLLBACK TO one_write")
        else:
            self._fresh = False
            if not raw.in_transaction:
                raise InternalError("a write ended the transaction it shares: it must not commit or roll back")

    def fail(self, error: BaseException) -> None:
        """Have every write raise that the transaction failed as a whole."""
        for write in self.writes:
            write.error = unavailable(error) or InternalError(f"writing to the database failed: {error!r}")
            write.error.__cause__ = error


class Load:
    """How many writes there are of late: whether it pays to wait for others to share the next commit."""

    __slots__ = ("_began", "_count", "_high", "_window_began")

    def __init__(self) -> None:
        self._high = False
        self._began = self._window_began = 0.0
        self._count = 0

    def began(self, now: float, writes: int) -> None:
        """Note that a group begins."""
        if now >= self._window_began + LOAD_WINDOW_S:
            self._high = self._count >= LOAD_WRITES and now < self._window_began + 2 * LOAD_WINDOW_S
            self._window_began, self._count = now, 0
        self._began = now
        self._count += writes

    def wait(self, now: float) -> float:
        """Return how long the next group is to wait: 0.0 or less for not at all."""
        return self._began + GAP_S - now if self._high else 0.0
