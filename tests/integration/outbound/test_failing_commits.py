"""The disk fails to make a commit durable. The error is put in where SQLite would report that its fsync failed."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import func, select
from tests.support import outbound_node as node
from tests.support.web_node import service_login, web_node

from callwright.db.database import Database
from callwright.outbound.events import Step
from callwright.outbound.start import StartState
from callwright.outbound.tables import attempts, starts
from callwright.testing.fake_engine import FakeEngine


@contextmanager
def failing_fsync(database: Database, *, every: int = 1) -> Iterator[list[int]]:
    """Let every so many-th commit fail while the block runs; yield how many were tried and how many failed."""
    counted = [0, 0]
    commit_really = database._writer._commit

    def commit() -> None:
        counted[0] += 1
        if counted[0] % every == 0:
            counted[1] += 1
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        commit_really()

    with patch.object(database._writer, "_commit", commit):
        yield counted


def test_a_start_whose_commit_failed_is_refused_and_is_not_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as web:
            account, _ = web.add_account()
            web.add_service(account)
            target = "/service_start?rest_calls={%22to%22:%22sip:a@b.example%22}"
            assert (await web.ask("GET", target, headers=service_login()))[0] == 200
            with failing_fsync(web.db) as counted:
                status, body, headers = await web.ask("GET", target, headers=service_login())
            assert counted[1] == 1
            assert (status, body["error"]["code"]) == (503, "HTTP 503")
            assert headers["Retry-After"]
            assert (await web.ask("GET", target, headers=service_login()))[0] == 200
            assert await web.db.read(lambda c: c.scalar(select(func.count()).select_from(starts))) == 2

    asyncio.run(run())


def test_whatever_commits_fail_every_start_ends_and_nobody_is_dialled_twice(tmp_path: Path) -> None:
    with node.open_database(tmp_path) as database:
        account = database.write_now(node.add_account)
        service = database.write_now(lambda c: node.add_service(c, account.id))
        identifiers = node.counted_identifiers(time.time)
        calls = [node.call_to(node.BUSY)] * 20
        database.write_now(lambda c: node.enqueue(c, service, calls, identifiers=identifiers, now=time.time()))
        engine, told = FakeEngine(speed=20.0), node.Told()

        async def run() -> None:
            dispatcher = node.make_dispatcher(database, engine, events=told)
            async with node.dispatching(dispatcher):
                with failing_fsync(database, every=4) as counted:
                    await told.until(lambda seen: seen.count(Step.DIALLING) >= 5 or counted[1] >= 8)
                await told.until(lambda seen: seen.count(Step.FINISHED) == len(calls), within_s=40.0)
                assert counted[1] >= 1

        asyncio.run(run())
        assert set(node.states(database, service.id)) == {StartState.FINISHED}
        dialled = [order.call_id.partition(".")[0] for order in engine.orders]
        stamped = database.read_now(lambda c: list(c.scalars(select(attempts.c.instance_id))))
        assert len(dialled) == len(set(dialled))
        assert set(dialled) <= {instance.partition(".")[0] for instance in stamped}
        assert len(stamped) == len(calls), "one attempt for each start"
