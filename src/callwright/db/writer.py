"""The writer of the database, and its group commit.

Writes that wait when a transaction begins share it. One that raises is undone alone; then the group is committed once,
and only then every caller is told. One fsync serves a whole group, so throughput grows with load while each caller
still hears "done" only when its rows are on the disk. A commit that fails fails the group. A group in which nobody
asked for rows that last through a power failure is committed without an fsync; the next one that has it covers both,
as they lie in one log.

A thread and the event loop take turns at one connection. What waits for the disk (opening, committing) is the thread's,
and so are writes that may take long. Brief writes, those of every call, are run by the event loop, from BEGIN on: in
the thread they would fight it for the interpreter with every statement. A group goes to and fro as its writes want it
and always ends in the thread; whoever has the group has the connection.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TypeVar

from sqlalchemy import Connection, Engine

from callwright.db.connections import BUSY_TIMEOUT_S
from callwright.db.errors import DatabaseUnavailable, is_locked
from callwright.db.groups import Group, GroupSizes, Load, Write
from callwright.values.errors import InternalError

T = TypeVar("T")

MAX_GROUP = 512  # bounds how long the first write of a group waits for the last one
MAX_VISIT = 32  # brief writes the event loop runs before it turns to something else
PATIENCE_S = 0.05  # an event loop that does not come to its turn for so long loses it to the thread
BUSY_PAUSE_S = 0.01


class _Ask(Enum):
    """What the thread is asked for besides going on with a group."""

    BEGIN = "begin a group of what waits"
    LOOK = "look whether it is to stop, and whether the event loop comes to its turn"


@dataclass(slots=True, eq=False)
class _Turn:
    """An event loop's turn to go on with a group, or (None) to begin one of what waits when it comes.

    It is taken once: by the loop, or by the thread when the loop is busy, closed, or waits for the thread to stop.
    """

    loop: asyncio.AbstractEventLoop
    group: Group | None = None


class Writer:
    """Owns the writing connection and its thread, from construction to ``close``."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        self.sizes = GroupSizes()
        self._engine = engine
        self._connection: Connection | None
        self._raw: sqlite3.Connection | None
        self._syncs: bool
        self._own(connection)
        self._lock = threading.Lock()  # for the next four
        self._waiting: deque[Write] = deque()
        self._at_work = False  # a group is under way, or somebody is about to begin one
        self._turn: _Turn | None = None
        self._closed = False
        self._load = Load()
        self._inside = 0  # the thread that runs a write now
        self._jobs: SimpleQueue[Group | _Ask] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Connection], T], *, lasting: bool = True, brief: bool = False) -> asyncio.Future[T]:
        """Queue a write from the running event loop; the future is done after the commit."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(Write(run, future, loop, lasting, brief))
        return future

    def submit_now(self, run: Callable[[Connection], T]) -> Future[T]:
        """Queue a write from a thread that has no event loop to keep free."""
        if threading.get_ident() == self._inside:
            raise InternalError("a write may not wait for another write: run both in one function")
        future: Future[T] = Future()
        self._put(Write(run, future, None))
        return future

    def close(self) -> None:
        """Run what is queued, then stop; writes that come later raise ``DatabaseUnavailable``."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._jobs.put(_Ask.LOOK)
        self._thread.join()

    def _put(self, write: Write) -> None:
        """Queue a write, and have somebody come to it."""
        with self._lock:
            if self._closed:
                raise DatabaseUnavailable("the database is closed: this node is stopping")
            self._waiting.append(write)
            turn = self._turn
            idle = not self._at_work
            if idle:
                self._at_work = True
                if write.brief and write.loop is not None:
                    self._turn = turn = _Turn(write.loop)
        if idle and turn is not None:
            self._come_soon(turn)
        elif idle:
            self._jobs.put(_Ask.BEGIN)
        elif turn is not None and turn.loop is not write.loop:
            self._jobs.put(_Ask.LOOK)  # the loop whose turn it is may be gone, or held up by who waits for this write

    def _pick(self) -> Group:
        """Begin a group of what waits. For who is at work only."""
        waiting = self._waiting
        return Group([waiting.popleft() for _ in range(min(len(waiting), MAX_GROUP))])

    def _take(self, turn: _Turn) -> Group | None:
        """Return the group a turn is for, None when it was taken already."""
        with self._lock:
            if self._turn is not turn:
                return None
            self._turn = None
        return turn.group or self._pick()

    # --- in the event loop

    def _come_soon(self, turn: _Turn) -> None:
        """Have the event loop, which calls this, come to its turn: when it is through, or under load a bit later."""
        wait = self._load.wait(time.monotonic())
        if wait > 0.0:
            turn.loop.call_later(wait, self._come, turn)
        else:
            turn.loop.call_soon(self._come, turn)

    def _come(self, turn: _Turn) -> None:
        group = self._take(turn)
        if group is None:
            return
        if turn.group is None:
            self._load.began(time.monotonic(), len(group.writes))
        self._advance(group, turn.loop)
        self._jobs.put(group)

    def _told(self, done: list[Write], turn: _Turn | None) -> None:
        """Tell the loop's callers what came of their writes; then it is its turn, if one is given."""
        for write in done:
            write.tell()
        if turn is not None:
            self._come_soon(turn)

    # --- in the thread

    def _run(self) -> None:
        watched: _Turn | None = None
        patient_until = 0.0
        while self._at_work or not self._closed:
            group: Group | None
            try:
                patience = None if watched is None else max(0.0, patient_until - time.monotonic())
                job = self._jobs.get(timeout=patience)
            except Empty:
                group = self._instead_of(watched)
            else:
                match job:
                    case _Ask.BEGIN:
                        group = self._pick()
                    case _Ask.LOOK:
                        group = self._instead_of(self._turn) if self._closed else None
                    case _:
                        group = job
            while group is not None:
                group = self._work(group)
            if watched is not self._turn:
                watched, patient_until = self._turn, time.monotonic() + PATIENCE_S
        if self._connection is not None:
            self._connection.close()

    def _instead_of(self, turn: _Turn | None) -> Group | None:
        """Take the turn of an event loop that does not come to it."""
        group = None if turn is None else self._take(turn)
        if group is not None:
            group.alone = True
        return group

    def _work(self, group: Group) -> Group | None:
        """Do the thread's part of a group; return the group the thread goes on with, None when there is none now."""
        group.alone |= self._closed
        self._advance(group, None)
        if (loop := group.place) is not None:
            self._turn = turn = _Turn(loop, group)
            try:
                loop.call_soon_threadsafe(self._come, turn)
            except RuntimeError:  # the loop is closed
                return self._instead_of(turn)
            return None
        self._finish(group)
        with self._lock:
            first = self._waiting[0] if self._waiting else None
            self._at_work = first is not None
            turn_next = None
            if first is not None and first.brief and first.loop is not None:
                self._turn = turn_next = _Turn(first.loop)
        if (untaken := self._tell(group, turn_next)) is not None:
            return untaken
        return None if first is None or turn_next is not None else self._pick()

    def _finish(self, group: Group) -> None:
        """Commit a group, or drop what failed as a whole."""
        if group.error is None and group.begun:
            try:
                self._commit()
            except BaseException as error:
                group.error = error
        if group.error is not None:  # handed on to every caller of the group: none may wait for ever
            self.sizes.failed_groups += 1
            group.fail(group.error)
            self._drop_connection()
        self.sizes.groups += 1
        self.sizes.writes += len(group.writes)
        self.sizes.largest = max(self.sizes.largest, len(group.writes))

    def _commit(self) -> None:
        assert self._raw is not None
        self._raw.commit()

    def _tell(self, group: Group, turn: _Turn | None) -> Group | None:
        """Tell a group's callers, with one wake-up for each event loop, which gives it its ``turn`` too; return the
        group of a turn that its loop does not take.
        """
        by_loop: dict[asyncio.AbstractEventLoop, list[Write]] = {}
        for write in group.writes:
            if write.loop is None:
                write.tell()
            else:
                by_loop.setdefault(write.loop, []).append(write)
        if turn is not None:
            by_loop.setdefault(turn.loop, [])
        untaken = None
        for loop, done in by_loop.items():
            its_turn = turn if turn is not None and turn.loop is loop else None
            try:
                loop.call_soon_threadsafe(self._told, done, its_turn)
            except RuntimeError:  # the loop is closed: its callers are gone; what they wrote stays written
                untaken = untaken or self._instead_of(its_turn)
        return untaken

    # --- in whichever has the group

    def _advance(self, group: Group, here: asyncio.AbstractEventLoop | None) -> None:
        """Run the next writes of a group that are to run ``here``; what makes it fail as a whole is noted in it."""
        end = len(group.writes) if here is None else min(len(group.writes), group.at + MAX_VISIT)
        self._inside = threading.get_ident()
        try:
            while group.at < end:
                if not group.begun and not self._begin(group, patiently=here is None):
                    return
                if group.place is not here:
                    return
                assert self._connection is not None
                assert self._raw is not None
                group.run_next(self._connection, self._raw)
        except BaseException as error:
            group.error = error
        finally:
            self._inside = 0

    def _begin(self, group: Group, *, patiently: bool) -> bool:
        """Open a group's transaction; return False if that would take waiting, and it may not."""
        if self._raw is None:
            if not patiently:
                return False
            self._own(self._engine.connect())  # after a failed transaction: nothing is assumed about the old one
        raw = self._raw
        assert raw is not None
        if group.lasting is not self._syncs:  # SQLite takes no notice inside a transaction
            raw.execute(f"PRAGMA synchronous = {'FULL' if group.lasting else 'NORMAL'}")
            self._syncs = group.lasting
        give_up_at = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                group.begin(raw)
                return True
            except sqlite3.OperationalError as error:
                if not is_locked(error) or (patiently and time.monotonic() > give_up_at):
                    raise
            if not patiently:
                return False
            time.sleep(BUSY_PAUSE_S)

    def _own(self, connection: Connection) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("PRAGMA busy_timeout = 0")  # another program's lock is waited for in the thread, never in the loop
        self._connection, self._raw = connection, raw
        self._syncs = True  # as ``connections.writer_engine`` opens it

    def _drop_connection(self) -> None:
        connection, self._connection, self._raw = self._connection, None, None
        if connection is not None:
            connection.invalidate()
            connection.close()
