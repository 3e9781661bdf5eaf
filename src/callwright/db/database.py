"""The database of a node: open it, write through one connection, read through several (docs/reference/records.md).

Everything that touches tables is a plain function that takes a SQLAlchemy ``Connection``; ``Database`` decides on which
connection and in which transaction it runs:

    database = Database.open(folder / DATABASE_FILE)
    await database.write(lambda c: ledger.mark_answered(c, call_id, at, dialog))
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import DBAPIError

from callwright.db import migrate
from callwright.db.connections import reader_engine, writer_engine
from callwright.db.errors import unavailable
from callwright.db.groups import GroupSizes
from callwright.db.lock import FolderLock
from callwright.db.sealing import KEY_FILE, SecretBox
from callwright.db.tables import node
from callwright.db.writer import Writer

T = TypeVar("T")

DATABASE_FILE = "callwright.db"
READERS = 4


class Database:
    """One open database file. ``incarnation`` counts how often it was opened, this time included."""

    def __init__(self, *, lock: FolderLock, writer: Writer, readers: Engine, incarnation: int) -> None:
        self.incarnation = incarnation
        self._lock = lock
        self._writer = writer
        self._readers = readers
        self._threads = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="database-reader")

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open the database file ``path``, making it and its folder when missing, and bring its schema up to date.

        Raise ``DataFolderInUse`` when another node has the folder, ``DatabaseUnavailable`` when the file cannot be
        used. Blocks for as long as that takes.
        """
        lock = FolderLock(path.parent)
        try:
            box = SecretBox(path.parent / KEY_FILE)
            engine = writer_engine(path, box)
            with engine.connect() as connection, connection.begin():
                migrate.upgrade(connection)
                incarnation = _next_incarnation(connection)
            writer = Writer(engine, engine.connect())
        except BaseException as error:
            lock.release()
            if failure := unavailable(error):
                raise failure from error
            raise
        readers = reader_engine(path, box, connections=READERS)
        return cls(lock=lock, writer=writer, readers=readers, incarnation=incarnation)

    @property
    def group_sizes(self) -> GroupSizes:
        """How many writes shared how many commits."""
        return self._writer.sizes

    async def write(self, fn: Callable[[Connection], T], *, lasting: bool = True, brief: bool = False) -> T:
        """Run ``fn`` on the connection that writes and return its result once it is committed and on the disk.

        Writes run one after the other in the order they were asked for, each seeing those before it. What ``fn``
        raises undoes only its own changes and is raised here. ``fn`` must not commit, roll back or wait.

        Without ``lasting`` it does not wait for the disk: the write outlives the node, but a machine that loses its
        power may forget it, with whatever else was not lasting since the last write that was. For what a restart would
        undo anyway.

        It runs in a thread; a ``brief`` one in the event loop, because two threads would only be in each other's way:
        for a handful of statements on a handful of rows, found by their keys.

        Raise ``DatabaseUnavailable`` when nothing can be committed now. A caller that is cancelled while it waits
        does not take its write back: it happens in full, or (had it failed anyway) not at all.
        """
        return await self._writer.submit(fn, lasting=lasting, brief=brief)

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run ``fn`` on a read-only connection in one of a few threads; it sees one committed state."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, fn)

    def write_now(self, fn: Callable[[Connection], T]) -> T:
        """Do ``write`` from a thread without an event loop, blocking it: start-up, command line, tests."""
        return self._writer.submit_now(fn).result()

    def read_now(self, fn: Callable[[Connection], T]) -> T:
        """Do ``read`` in the calling thread."""
        try:
            with self._readers.connect() as connection, connection.begin():
                return fn(connection)
        except DBAPIError as error:
            if failure := unavailable(error):
                raise failure from error
            raise

    def close(self) -> None:
        """Finish the queued writes, close every connection and give the folder free. Closing twice is harmless."""
        if self._lock.released:
            return
        self._threads.shutdown()
        self._readers.dispose()
        self._writer.close()  # last: only a connection that can write folds the write-ahead log into the file
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _next_incarnation(connection: Connection) -> int:
    last: int | None = connection.scalar(select(node.c.incarnation))
    if last is None:
        connection.execute(insert(node).values(id=1, incarnation=1))
        return 1
    connection.execute(update(node).values(incarnation=last + 1))
    return last + 1
