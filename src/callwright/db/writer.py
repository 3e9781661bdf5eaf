"""The one thread that writes, and its group commit.

Writes queue up while the thread is busy with the disk; it then takes all that wait, runs each in a savepoint of its own
inside one transaction, commits once, and only then tells every caller. One fsync serves a whole group, so throughput
grows with load while each caller still hears "done" only when its rows are on the disk. A write that raises is undone
alone; a commit that fails fails the group. A group in which nobody asked for rows that last through a power failure is
committed without an fsync; the next one that has it covers both, as they lie in one log.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from callwright.db.errors import DatabaseUnavailable, unavailable
from callwright.values.errors import InternalError

T = TypeVar("T")

MAX_GROUP = 512  # bounds how long the first write of a group waits for the last one


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
    result: Any = None
    error: BaseException | None = None


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
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Connection], T], *, lasting: bool = True) -> asyncio.Future[T]:
        """Queue a write from the running event loop; the future is done after the commit."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(_Write(run=run, future=future, loop=loop, lasting=lasting))
        return future

    def submit_now(self, run: Callable[[Connection], T]) -> Future[T]:
        """Queue a write from a thread that has no event loop to keep free."""
        if threading.current_thread() is self._thread:
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
        stopping = False
        while not stopping:
            group: list[_Write] = []
            item = self._queue.get()
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
            for write in group:
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
