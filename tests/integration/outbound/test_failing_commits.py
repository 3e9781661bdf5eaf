"""The disk fails to make a commit durable. The error is put in where SQLite would report that its fsync failed."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import func, select
from tests.support import outbound_node as node
from tests.support.instances import Scene, play_out
from tests.support.web_node import service_login, web_node

from callwright.apps import instance
from callwright.apps.instance import run_instance
from callwright.db.database import Database
from callwright.outbound import dispatcher as dispatcher_module
from callwright.outbound.events import Step
from callwright.outbound.request import StartRequest
from callwright.outbound.retry import Again, RetryPlan
from callwright.outbound.start import StartState
from callwright.outbound.tables import attempts, starts
from callwright.outbound.wishes import Wishes
from callwright.records.tables import adrs, cdrs
from callwright.testing.fake_engine import FakeEngine


def failing(text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    return error


@contextmanager
def failing_fsync(database: Database, *, every: int = 1) -> Iterator[list[int]]:
    """Let every so many-th commit fail while the block runs; yield how many were tried and how many failed."""
    counted = [0, 0]
    commit_really = database._writer._commit

    def commit() -> None:
        counted[0] += 1
        if counted[0] % every == 0:
            counted[1] += 1
            raise failing("disk I/O error")
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


@pytest.mark.parametrize("happened", [False, True], ids=["undone", "on disk all the same"])
def test_the_end_of_a_call_whose_commit_failed_is_written_as_it_was_and_its_start_is_tried_again(
    tmp_path: Path, happened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "END_AGAIN_AFTER_S", (0.01, 0.01))
    plan = RetryPlan(busy=Again(after_s=3600.0, times=1))

    async def story(here: Scene) -> None:
        database = here.around.database
        account = database.write_now(node.add_account)
        service = database.write_now(lambda c: node.add_service(c, account.id))
        call = StartRequest(given_to=node.BUSY, given_from="441908273800", wishes=Wishes(retry=plan))
        identifiers = node.counted_identifiers()
        database.write_now(lambda c: node.enqueue(c, service, [call], identifiers=identifiers, now=time.time()))
        told = node.Told()
        failed: list[bool] = []
        commit_really = database._writer._commit

        def commit() -> None:
            if Step.DIALLING in [event.step for event in told.events] and not failed:
                failed.append(True)
                if happened:
                    commit_really()
                raise failing("disk I/O error")
            commit_really()

        run = partial(run_instance, around=here.around)
        with patch.object(database._writer, "_commit", commit):
            async with node.dispatching(node.make_dispatcher(database, here.engine, events=told, run_instance=run)):
                await told.until(lambda seen: seen.count(Step.QUEUED_AGAIN) + seen.count(Step.FINISHED) == 1)
        assert failed
        assert node.states(database, service.id) == [StartState.QUEUED]
        (tried,) = database.read_now(lambda c: c.execute(select(attempts)).all())
        (record,) = database.read_now(lambda c: c.execute(select(adrs)).all())
        (called,) = database.read_now(lambda c: c.execute(select(cdrs)).all())
        assert (tried.unreached, tried.return_code, record.exit_status) == ("busy", 0, 0)
        assert called.hangup_cause == "BUSY(486)"

    play_out(tmp_path, story)


def test_a_node_whose_disk_never_comes_back_stops_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher_module, "END_WITHIN_S", 0.2)
    with node.open_database(tmp_path) as database:
        account = database.write_now(node.add_account)
        service = database.write_now(lambda c: node.add_service(c, account.id))
        identifiers = node.counted_identifiers()
        database.write_now(
            lambda c: node.enqueue(c, service, [node.call_to()], identifiers=identifiers, now=time.time())
        )
        engine, told = FakeEngine(speed=20.0), node.Told()
        run_instance = node.instance_without_pages(database, engine, talk_s=3600.0)

        async def run() -> None:
            dispatcher = node.make_dispatcher(database, engine, events=told, run_instance=run_instance)
            running = asyncio.create_task(dispatcher.run())
            await told.until(lambda seen: seen.count(Step.DIALLING) == 1)
            with failing_fsync(database):
                async with asyncio.timeout(10):
                    await dispatcher.drain(0.1)
                    await running

        asyncio.run(run())
        assert node.states(database, service.id) == [StartState.RUNNING], "the next start of the node ends it"


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
