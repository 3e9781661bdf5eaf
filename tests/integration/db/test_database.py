from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, OperationalError
from tests.support import acknowledging_writer

from callwright.db.database import DATABASE_FILE, Database
from callwright.db.errors import DatabaseUnavailable, DataFolderInUse
from callwright.values.errors import InternalError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / DATABASE_FILE) as opened:
        opened.write_now(
            lambda c: c.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY CHECK (n >= 0), text TEXT)") and None
        )
        yield opened


def put(c: Connection, n: int, text: str = "") -> int:
    c.exec_driver_sql("INSERT INTO t (n, text) VALUES (?, ?)", (n, text))
    return n


def putting(n: int, text: str = "") -> Callable[[Connection], int]:
    return lambda c: put(c, n, text)


def numbers(c: Connection) -> list[int]:
    return [row[0] for row in c.exec_driver_sql("SELECT n FROM t ORDER BY n")]


def test_writes_that_wait_share_one_commit_and_each_gets_its_own_result(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold_up(c: Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    async def story() -> list[int]:
        held_up = asyncio.create_task(database.write(hold_up))
        await asyncio.to_thread(begun.wait, 10)
        waiting = [asyncio.create_task(database.write(putting(n))) for n in range(100)]
        await asyncio.sleep(0)  # each task has asked for its write when this returns
        go_on.set()
        await held_up
        return await asyncio.gather(*waiting)

    before = database.group_sizes.groups
    assert asyncio.run(story()) == list(range(100))
    assert database.group_sizes.groups - before == 2
    assert database.group_sizes.largest == 100
    assert database.read_now(numbers) == list(range(100))


def test_a_write_that_fails_is_undone_alone_and_tells_only_its_caller(database: Database) -> None:
    def halving(n: int) -> Callable[[Connection], int]:
        def half(c: Connection) -> int:
            put(c, n)
            put(c, n + 1000)
            raise ValueError(f"write {n}")

        return half

    async def story() -> list[object]:
        return await asyncio.gather(
            *(database.write(halving(n) if n % 3 == 0 else putting(n)) for n in range(30)),
            database.write(lambda c: put(c, -1)),
            return_exceptions=True,
        )

    results = asyncio.run(story())
    for n, result in enumerate(results[:30]):
        if n % 3 == 0:
            assert isinstance(result, ValueError)
            assert str(result) == f"write {n}"
        else:
            assert result == n
    assert isinstance(results[30], IntegrityError)
    assert database.read_now(numbers) == [n for n in range(30) if n % 3]
    assert database.group_sizes.failed_groups == 0


def test_writes_happen_in_order_and_see_those_before_them(database: Database) -> None:
    async def story() -> list[int]:
        return await asyncio.gather(
            *(database.write(lambda c: put(c, len(numbers(c)))) for _ in range(50)),
        )

    assert asyncio.run(story()) == list(range(50))


def test_a_caller_that_is_cancelled_does_not_take_its_write_back(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(c: Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        put(c, 1)

    async def story() -> None:
        slow_write = asyncio.create_task(database.write(slow))
        queued = asyncio.create_task(database.write(lambda c: put(c, 2)))
        await asyncio.to_thread(begun.wait, 10)
        for task in (slow_write, queued):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        go_on.set()
        assert await database.write(lambda c: put(c, 3)) == 3

    asyncio.run(story())
    assert database.read_now(numbers) == [1, 2, 3]


def test_a_loop_that_is_gone_does_not_stop_the_writer(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(c: Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        put(c, 1)

    async def leave_it() -> None:
        task = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()

    asyncio.run(leave_it())
    go_on.set()
    assert database.write_now(lambda c: put(c, 2)) == 2
    assert database.read_now(numbers) == [1, 2]


def test_brief_writes_are_run_by_their_event_loop_in_the_order_of_all(database: Database) -> None:
    ran: list[tuple[int, bool]] = []

    def noting(n: int) -> Callable[[Connection], None]:
        def note(c: Connection) -> None:
            ran.append((n, threading.current_thread() is threading.main_thread()))
            put(c, n)
            if n % 10 == 3:
                raise ValueError(f"write {n}")

        return note

    async def story() -> list[object]:
        writes = [database.write(noting(n), brief=n % 10 != 5) for n in range(100)]
        return await asyncio.gather(*writes, return_exceptions=True)

    results = asyncio.run(story())
    assert ran == [(n, n % 10 != 5) for n in range(100)]
    assert [isinstance(result, ValueError) for result in results] == [n % 10 == 3 for n in range(100)]
    assert database.read_now(numbers) == [n for n in range(100) if n % 10 != 3]


def test_brief_writes_of_a_loop_that_is_busy_or_gone_are_run_without_it(database: Database) -> None:
    begun = threading.Event()

    def hold_up(c: Connection) -> None:
        begun.set()
        put(c, 1)

    async def busy() -> None:
        waiting = [
            asyncio.ensure_future(database.write(hold_up)),
            asyncio.ensure_future(database.write(put_2, brief=True)),
        ]
        await asyncio.sleep(0)
        assert begun.wait(10)
        assert database.write_now(numbers) == [1, 2], "a thread that holds up the loop gets its turn"
        await asyncio.gather(*waiting)

    async def leave_it() -> None:
        asyncio.ensure_future(database.write(putting(3), brief=True)).cancel()
        task = asyncio.create_task(database.write(putting(4), brief=True))
        await asyncio.sleep(0)
        task.cancel()

    put_2 = putting(2)
    asyncio.run(busy())
    asyncio.run(leave_it())
    assert database.write_now(numbers) == [1, 2, 4]


def test_a_loop_that_is_held_up_keeps_no_other_loop_waiting_however_much_that_asks_for(database: Database) -> None:
    asked, go_on = threading.Event(), threading.Event()

    async def hold_up() -> None:
        write = asyncio.ensure_future(database.write(putting(0), brief=True))
        await asyncio.sleep(0)
        asked.set()
        assert go_on.wait(10)
        assert await write == 0

    async def keep_asking() -> int:
        asked_for: list[asyncio.Future[int]] = []
        while len(asked_for) < 500 and not any(write.done() for write in asked_for):
            asked_for.append(asyncio.ensure_future(database.write(putting(len(asked_for) + 1), brief=True)))
            await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(*asked_for)
        return len(asked_for)

    holding = threading.Thread(target=asyncio.run, args=(hold_up(),))
    holding.start()
    assert asked.wait(10)
    asked_for = asyncio.run(keep_asking())
    holding.join(10)
    assert asked_for < 500, "it got its turn while the other loop was still held up"
    assert database.read_now(numbers) == list(range(asked_for + 1))


@pytest.mark.parametrize("brief", [True, False])
def test_a_write_that_raises_what_no_future_takes_keeps_nobody_waiting(database: Database, brief: bool) -> None:
    def stop(c: Connection) -> None:
        raise StopIteration

    async def story() -> list[object]:
        async with asyncio.timeout(10):
            writes = [database.write(write, brief=brief) for write in (stop, putting(1), putting(2))]
            return await asyncio.gather(*writes, return_exceptions=True)

    stopped, *others = asyncio.run(story())
    assert isinstance(stopped, InternalError)
    assert others == [1, 2]


def test_a_brief_write_that_waits_for_a_write_is_refused_too(database: Database) -> None:
    with pytest.raises(InternalError, match="wait for another write"):
        asyncio.run(database.write(lambda c: database.write_now(numbers), brief=True))


@pytest.mark.parametrize("brief", [True, False])
def test_the_first_write_of_a_group_fails_alone_too(database: Database, brief: bool) -> None:
    def half(c: Connection) -> None:
        put(c, 1)
        raise ValueError("the first")

    async def story() -> list[object]:
        writes = [half, putting(2), putting(3), lambda c: put(c, -1), putting(4)]
        return await asyncio.gather(*(database.write(w, brief=brief) for w in writes), return_exceptions=True)

    failed, second, third, refused, last = asyncio.run(story())
    assert isinstance(failed, ValueError)
    assert isinstance(refused, IntegrityError)
    assert (second, third, last) == (2, 3, 4)
    assert database.read_now(numbers) == [2, 3, 4]
    assert database.group_sizes.failed_groups == 0


def test_brief_writes_of_one_turn_share_a_commit_and_long_ones_join_them(database: Database) -> None:
    async def story() -> None:
        await asyncio.gather(*(database.write(putting(n), brief=n % 4 != 2) for n in range(12)))

    before = database.group_sizes.groups
    asyncio.run(story())
    assert database.group_sizes.groups - before == 1
    assert database.read_now(numbers) == list(range(12))


def test_a_database_locked_by_another_program_holds_up_writes_but_not_the_event_loop(
    database: Database, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def story() -> int:
        write = asyncio.create_task(database.write(putting(7), brief=True))
        turns = 0
        while turns < 20:
            await asyncio.sleep(0.005)
            turns += 1
            assert not write.done()
        other.execute("ROLLBACK")
        return await write

    assert asyncio.run(story()) == 7
    other.close()
    assert database.read_now(numbers) == [7]


def test_readers_see_committed_rows_only_and_cannot_write(database: Database) -> None:
    seen: list[list[int]] = []

    def while_writing(c: Connection) -> None:
        put(c, 1)
        seen.append(database.read_now(numbers))

    database.write_now(while_writing)
    assert seen == [[]]
    assert database.read_now(numbers) == [1]
    with pytest.raises(DatabaseUnavailable, match="read-only"):
        database.read_now(lambda c: put(c, 2))

    async def story() -> list[list[int]]:
        return await asyncio.gather(*(database.read(numbers) for _ in range(20)))

    assert asyncio.run(story()) == [[1]] * 20


def test_a_read_raises_what_its_function_raises(database: Database) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        database.read_now(lambda c: c.exec_driver_sql("SELECT * FROM missing"))


def test_a_full_disk_fails_writes_clearly_and_is_survived(database: Database) -> None:
    text = "x" * 100_000

    async def together() -> list[object]:
        return await asyncio.gather(*(database.write(putting(n, text)) for n in range(20)), return_exceptions=True)

    database.write_now(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1").scalar())  # as large as it is now
    results = asyncio.run(together())
    assert all(isinstance(result, DatabaseUnavailable) for result in results)
    assert "the disk is full" in str(results[0])
    assert database.read_now(numbers) == []

    database.write_now(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1000000").scalar())
    assert asyncio.run(together()) == list(range(20))
    assert database.read_now(numbers) == list(range(20))


def test_a_commit_that_fails_fails_its_whole_group_and_the_next_one_works(database: Database) -> None:
    def owe(c: Connection) -> None:
        # a foreign key that is checked at the commit: the only way to make a commit fail from inside
        c.exec_driver_sql("INSERT INTO child (of) VALUES (99)")

    database.write_now(
        lambda c: c.exec_driver_sql("CREATE TABLE child (of REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)") and None
    )

    with pytest.raises(InternalError, match="FOREIGN KEY"):
        asyncio.run(database.write(owe))
    assert database.group_sizes.failed_groups == 1
    assert database.write_now(lambda c: put(c, 5)) == 5
    assert database.read_now(lambda c: c.exec_driver_sql("SELECT count(*) FROM child").scalar()) == 0
    with pytest.raises(InternalError):
        database.write_now(owe)
    # the new connection keeps what the first one had
    assert database.write_now(lambda c: c.exec_driver_sql("PRAGMA foreign_keys").scalar()) == 1
    assert database.write_now(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar()) == 2
    assert database.write_now(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"


def test_only_writes_that_need_not_last_are_committed_without_waiting_for_the_disk(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def synchronous(c: Connection) -> int:
        return int(c.exec_driver_sql("PRAGMA synchronous").scalar_one())

    def hold_up(c: Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    async def story() -> tuple[list[int], list[int]]:
        alone = [await database.write(synchronous, lasting=lasting) for lasting in (True, False, True, False)]
        held_up = asyncio.create_task(database.write(hold_up))
        await asyncio.to_thread(begun.wait, 10)
        together = [asyncio.create_task(database.write(synchronous, lasting=n == 2)) for n in range(4)]
        await asyncio.sleep(0)  # each task has asked for its write when this returns
        go_on.set()
        await held_up
        return alone, await asyncio.gather(*together)

    full, normal = 2, 1
    assert asyncio.run(story()) == ([full, normal, full, normal], [full] * 4)


def test_a_database_that_cannot_be_opened_again_fails_writes_until_it_can(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def connect(self) -> Connection:
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(database._writer, "_engine", Gone())
        with pytest.raises(InternalError):
            database.write_now(lambda c: c.exec_driver_sql("COMMIT") and None)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
                database.write_now(putting(1))
    assert database.write_now(putting(1)) == 1


def test_a_write_that_ends_the_shared_transaction_is_a_bug_and_is_told(database: Database) -> None:
    with pytest.raises(InternalError, match="must not commit"):
        database.write_now(lambda c: c.exec_driver_sql("COMMIT") and None)
    assert database.write_now(lambda c: put(c, 1)) == 1


def test_a_write_that_waits_for_a_write_is_refused_instead_of_waiting_for_ever(database: Database) -> None:
    with pytest.raises(InternalError, match="may not wait"):
        database.write_now(lambda c: database.write_now(lambda inner: put(inner, 1)))


def test_closing_runs_what_is_queued_and_refuses_the_rest(tmp_path: Path) -> None:
    database = Database.open(tmp_path / DATABASE_FILE)
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)") and None)

    async def story() -> list[int]:
        writes = [asyncio.ensure_future(database.write(putting(n))) for n in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(database.close)
        return await asyncio.gather(*writes)

    assert asyncio.run(story()) == list(range(50))
    database.close()
    with pytest.raises(DatabaseUnavailable, match="closed"):
        database.write_now(lambda c: put(c, 99))
    with Database.open(tmp_path / DATABASE_FILE) as again:
        assert again.read_now(numbers) == list(range(50))


def test_a_second_node_is_refused_with_the_folder_and_the_holder(tmp_path: Path) -> None:
    with Database.open(tmp_path / DATABASE_FILE) as database:
        program = (
            "import sys, pathlib\n"
            "from callwright.db.database import Database\n"
            "from callwright.db.errors import DataFolderInUse\n"
            "try:\n"
            "    Database.open(pathlib.Path(sys.argv[1]))\n"
            "except DataFolderInUse as error:\n"
            "    sys.exit(str(error))\n"
        )
        second = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / DATABASE_FILE)], capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 1
        assert str(tmp_path) in second.stderr
        assert f"process {os.getpid()}" in second.stderr
        with pytest.raises(DataFolderInUse):
            Database.open(tmp_path / DATABASE_FILE)
        assert database.incarnation == 1
    with Database.open(tmp_path / DATABASE_FILE) as database:
        assert database.incarnation == 2


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match="cannot be used"):
        Database.open(tmp_path / "file" / DATABASE_FILE)


def test_every_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_FILE
    child = subprocess.Popen([sys.executable, acknowledging_writer.__file__, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout as output:
        acknowledged = [int(output.readline()) for _ in range(300)]
        child.send_signal(signal.SIGKILL)
        # lines that were on their way were acknowledged too
        acknowledged += [int(line) for line in output if line.endswith(b"\n")]
    child.wait(timeout=30)
    with Database.open(path) as database:
        kept = database.read_now(lambda c: {row[0] for row in c.exec_driver_sql("SELECT n FROM kept")})
        assert database.incarnation == 2
    assert set(acknowledged) <= kept
    assert len(kept) <= len(acknowledged) + 2 * acknowledging_writer.WRITERS
