"""The one thread that writes, and its group commit.

Writes queue up while the thread is busy with the disk; it then takes all that wait, runs each in a savepoint of its own
inside one transaction, commits once, and only then tells every caller. One fsync serves a whole group, so throughput
grows with load while each caller still hears "done" only when its rows are on the disk. A write that raises is undone
alone; a commit that fails fails the group. A group in which nobody asked for rows that last through a power failure is
committed without an fsync; the next one that has it covers both, as they lie in one log.

The thread fights the event loop for the interpreter: every statement gives it up and takes it back, and each time the
two change places. Brief writes, those of every call, are therefore run by the event loop itself while the thread waits
inside the transaction, so that what waits for the disk (beginning, committing) is still never the event loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from callwright.db.errors import DatabaseUnavailable, unavailable
from callwright.values.errors import InternalError

T = TypeVar("T")

MAX_GROUP = 512  # bounds how long the first write of a group waits for the last one
MAX_VISIT = 32  # brief writes the event loop runs before it turns to something else
LINGER_S = 0.002  # under load, how long brief writes wait for others to share their commit
LOAD_WINDOW_S = 0.1
LOAD_COMMITS = 20  # so many in a window are load; the few of one call on an idle node follow each other at once
VISIT_PATIENCE_S = 0.05  # an event loop that does not come to brief writes for so long leaves them to the thread


@dataclass(slots=True)
class GroupSizes:
    """How well writes share their commits; written by the writer thread only, read by anyone."""

    groups: int = 0
    writes: int = 0
    largest: int = 0
    failed_groups: int = 0


@dataclass(slots=True, eq=False)
class _Write:
    """One queued write and whom to tell: an asyncio future with its loop, or a thread's future without one."""

    run: Callable[[Connection], Any]
    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None
    lasting: bool = True
    brief: bool = False
    result: Any = None
    error: BaseException | None = None


class _Visit:
    """Something the writing thread has the event loop do while it waits. It is done once: by the loop, or by the thread
    when the loop does not come to it, because it is busy, closed, or waits for the thread to stop.
    """

    __slots__ = ("_done", "_error", "_step", "_taken")

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step
        self._taken = threading.Lock()
        self._done = threading.Event()
        self._error: BaseException | None = None

    def pay(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have it done; raise what it raised."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._do)
            self._done.wait(VISIT_PATIENCE_S)
        self._do()
        self._done.wait()
        if self._error is not None:
            raise self._error

    def _do(self) -> None:
        if not self._taken.acquire(blocking=False):
            return
        try:
            self._step()
        except BaseException as error:  # raised in the thread that waits
            self._error = error
        finally:
            self._done.set()


@dataclass(slots=True)
class _Load:
    """How closely commits follow each other: whether it pays to wait for others to share the next one."""

    _high: bool = False
    _window_began: float = 0.0
    _commits: int = 0
    _last: float = 0.0

    def committed(self, now: float) -> None:
        if now >= self._window_began + LOAD_WINDOW_S:
            self._high = self._commits >= LOAD_COMMITS and now < self._window_began + 2 * LOAD_WINDOW_S
            self._window_began, self._commits = now, 0
        self._commits += 1
        self._last = now

    def pays_to_linger(self, now: float) -> bool:
        return self._high and now < self._last + LINGER_S


class Writer:
    """Owns the writing connection and its thread, from construction to ``close``."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        self.sizes = GroupSizes()
        self._engine = engine
        self._connection: Connection | None = connection
        self._syncs = True  # as ``connections.writer_engine`` opens it
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._inside: threading.Thread | None = None  # whoever runs a write now
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Connection], T], *, lasting: bool = True, brief: bool = False) -> asyncio.Future[T]:
        """Queue a write from the running event loop; the future is done after the commit."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(_Write(run=run, future=future, loop=loop, lasting=lasting, brief=brief))
        return future

    def submit_now(self, run: Callable[[Connection], T]) -> Future[T]:
        """Queue a write from a thread that has no event loop to keep free."""
        if threading.current_thread() is self._inside:
            raise InternalError("a write may not wait for another write: run both in one function")
        future: Future[T] = Future()
        self._put(_Write(run=run, future=future, loop=None))
        return future

    def close(self) -> None:
        """Run what is queued, then stop; writes that come later raise ``DatabaseUnavailable``."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _put(self, write: _Write) -> None:
        with self._closing:
            if self._closed:
                raise DatabaseUnavailable("the database is closed: this node is stopping")
            self._queue.put(write)

    def _run(self) -> None:
        stopping, load = False, _Load()
        while not stopping:
            group: list[_Write] = []
            item = self._queue.get()
            if item is not None and item.brief and load.pays_to_linger(time.monotonic()):
                time.sleep(LINGER_S)
            while item is not None:
                group.append(item)
                if len(group) == MAX_GROUP:
                    break
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
            stopping = item is None
            if group:
                self._write(group)
                load.committed(time.monotonic())
        if self._connection is not None:
            self._connection.close()

    def _write(self, group: list[_Write]) -> None:
        try:
            self._commit(group)
        except BaseException as error:  # handed on to every caller of the group: none may wait for ever
            self.sizes.failed_groups += 1
            for write in group:
                write.error = unavailable(error) or InternalError(f"writing to the database failed: {error!r}")
                write.error.__cause__ = error
            self._drop_connection()
        self.sizes.groups += 1
        self.sizes.writes += len(group)
        self.sizes.largest = max(self.sizes.largest, len(group))
        _tell(group)

    def _commit(self, group: list[_Write]) -> None:
        """Run a group in one transaction; raise what made the transaction as a whole fail."""
        connection = self._connect()
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        self._sync_next(raw, any(write.lasting for write in group))
        with connection.begin():
            for loop, writes in _by_place(group):
                if loop is None:
                    self._run_all(writes, connection, raw)
                else:
                    _Visit(partial(self._run_all, writes, connection, raw)).pay(loop)

    def _run_all(self, writes: list[_Write], connection: Connection, raw: sqlite3.Connection) -> None:
        """Run some writes of a group, in the thread or, while that waits, in an event loop."""
        self._inside = threading.current_thread()
        try:
            for write in writes:
                _run_one(write, connection, raw)
        finally:
            self._inside = None

    def _sync_next(self, raw: sqlite3.Connection, wanted: bool) -> None:
        """Say whether the next commit is to wait for the disk. SQLite takes no notice inside a transaction."""
        if wanted is not self._syncs:
            raw.execute(f"PRAGMA synchronous = {'FULL' if wanted else 'NORMAL'}")
            self._syncs = wanted

    def _connect(self) -> Connection:
        """Return the connection. After a failed transaction it is a new one: nothing is assumed about the old one."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self._syncs = True
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _run_one(write: _Write, connection: Connection, raw: sqlite3.Connection) -> None:
    """Run one write in a savepoint of its own; raise what ended the transaction it is part of."""
    raw.execute("SAVEPOINT one_write")
    try:
        write.result = write.run(connection)
    except BaseException as error:  # handed on to the caller whose write it was
        if not raw.in_transaction:  # some failures, such as a full disk, end the transaction by themselves
            raise
        raw.execute("ROLLBACK TO one_write")
        write.error = error
        if failure := unavailable(error):
            failure.__cause__ = error
            write.error = failure
    if not raw.in_transaction:
        raise InternalError("a write ended the transaction it shares: it must not commit or roll back")
    raw.execute("RELEASE one_write")


def _by_place(group: list[_Write]) -> Iterator[tuple[asyncio.AbstractEventLoop | None, list[_Write]]]:
    """Cut a group, in its order, where it changes from one place to another: an event loop for brief writes, None for
    the thread.
    """
    for place, writes in groupby(group, lambda write: write.loop if write.brief else None):
        waiting = list(writes)
        for at in range(0, len(waiting), MAX_VISIT):
            yield place, waiting[at : at + MAX_VISIT]


def _tell(group: list[_Write]) -> None:
    """Resolve a group's futures: one wake-up for each event loop, however many of its writes are done."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Write]] = {}
    for write in group:
        if write.loop is None:
            _resolve(write)
        else:
            by_loop.setdefault(write.loop, []).append(write)
    for loop, writes in by_loop.items():
        if not loop.is_closed():  # its callers are gone; what they wrote stays written
            loop.call_soon_threadsafe(_resolve_all, writes)


def _resolve_all(writes: list[_Write]) -> None:
    for write in writes:
        if not write.future.done():  # a caller that was cancelled has stopped waiting
            _resolve(write)


def _resolve(write: _Write) -> None:
    if write.error is not None:
        write.future.set_exception(write.error)
    else:
        write.future.set_result(write.result)
