"""Starts asked for at the same time share their way to the disk, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, func, select
from tests.support.web_node import WebNode, web_node

from callwright.accounts.service import Service
from callwright.db.database import Database
from callwright.db.errors import DatabaseUnavailable
from callwright.outbound import queue
from callwright.outbound.intake import Enqueued, UniqueIdConflict
from callwright.outbound.request import StartRequest
from callwright.outbound.tables import requests, starts
from callwright.values.ids import ServiceReference
from callwright.web.start_batches import TOGETHER, StartBatches

DIGEST = bytes(32)


def _batches(node: WebNode, db: Database | None = None) -> StartBatches:
    return StartBatches(db or node.db, clock=node.clock, new_reference=node.edge.new_reference, max_wait_s=60.0)


async def _one(batches: StartBatches, service: Service, *given_to: str, unique_id: str | None = None) -> Enqueued:
    calls = [StartRequest(given_to=each) for each in given_to]
    return await batches.enqueue(service, calls, digest=DIGEST, unique_id=unique_id)


def _stored(node: WebNode) -> dict[ServiceReference, str]:
    def read(c: Connection) -> dict[ServiceReference, str]:
        return dict(c.execute(select(starts.c.reference, starts.c.given_to)).tuples().all())

    return node.db.read_now(read)


def _requests(node: WebNode) -> int:
    return node.db.read_now(lambda c: c.scalar(select(func.count()).select_from(requests)) or 0)


def test_each_of_many_gets_its_own_references_in_order_and_they_are_on_disk(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            services = [node.add_service(account, name) for name in ("a", "b")]
            batches = _batches(node)
            asked = {(n, m): [f"sip:{n}-{m}-{k}@x" for k in range(m % 3 + 1)] for n in (0, 1) for m in range(100)}
            answers = await asyncio.gather(*(_one(batches, services[n], *given) for (n, _), given in asked.items()))
            stored = _stored(node)
            assert [[stored[r] for r in answer.references] for answer in answers] == list(asked.values())
            assert len(stored) == sum(map(len, asked.values()))
            assert not any(answer.replayed for answer in answers)
            assert _requests(node) < len(asked) / 10

    asyncio.run(run())


def test_starts_of_a_unique_id_are_never_mixed_with_others(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            service = node.add_service(node.add_account()[0])
            batches = _batches(node)
            mine, other, again = await asyncio.gather(
                _one(batches, service, "sip:a@x", unique_id="job"),
                _one(batches, service, "sip:b@x"),
                _one(batches, service, "sip:a@x", unique_id="job"),
            )
            assert mine.references == again.references
            assert (mine.replayed, other.replayed, again.replayed) == (False, False, True)
            assert sorted(_stored(node).values()) == ["sip:a@x", "sip:b@x"]

    asyncio.run(run())


def test_many_unique_ids_in_one_write_are_each_stored_replayed_or_refused_by_themselves(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            service, other = node.add_service(account), node.add_service(account, "other")
            batches = _batches(node)
            old = await _one(batches, service, "sip:old-1@x", "sip:old-2@x", unique_id="old")
            strangers = await _one(batches, other, "sip:other@x", unique_id="of other service")
            writes = node.db.group_sizes.writes

            async def differently(unique_id: str) -> Enqueued:
                calls = [StartRequest(given_to="sip:z@x")]
                return await batches.enqueue(service, calls, digest=b"z" * 32, unique_id=unique_id)

            asked = [
                *(_one(batches, service, f"sip:{n}-a@x", f"sip:{n}-b@x", unique_id=f"new {n}") for n in range(40)),
                _one(batches, service, "sip:loose@x"),
                _one(batches, service, "sip:old-1@x", "sip:old-2@x", unique_id="old"),
                _one(batches, service, "sip:0-a@x", "sip:0-b@x", unique_id="new 0"),
                differently("old"),
                differently("new 1"),
            ]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert node.db.group_sizes.writes == writes + 1
            *new, loose, again, twice, conflict, another = answers
            assert (again, twice) == (
                Enqueued(references=old.references, replayed=True),
                Enqueued(references=cast(Enqueued, new[0]).references, replayed=True),
            )
            assert isinstance(conflict, UniqueIdConflict)
            assert str(another) == "unique_id 'new 1' was used with different parameters"
            stored = _stored(node)
            assert [[stored[r] for r in cast(Enqueued, each).references] for each in new] == [
                [f"sip:{n}-a@x", f"sip:{n}-b@x"] for n in range(40)
            ]
            assert stored[cast(Enqueued, loose).references[0]] == "sip:loose@x"
            assert len(stored) == 2 + 1 + 80 + 1
            assert _requests(node) == 2 + 40 + 1
            job = node.db.read_now(lambda c: queue.job(c, account_id=account.id, unique_id="new 7"))
            assert job == queue.Job(count=2, references=cast(Enqueued, new[7]).references)
            assert strangers.references[0] in stored

    asyncio.run(run())


def test_two_hundred_equal_requests_at_once_start_one_set_and_other_calls_are_all_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            service = node.add_service(node.add_account()[0])
            batches = _batches(node)

            async def ask(number: int) -> Enqueued:
                other = number % 2 and number > 1
                digest = b"z" * 32 if other else DIGEST
                calls = [StartRequest(given_to=f"sip:{n}@x") for n in range(3)]
                await asyncio.sleep(0.0005 * (number % 40))
                return await batches.enqueue(service, calls, digest=digest, unique_id="job")

            answers = await asyncio.gather(ask(0), *(ask(n) for n in range(2, 402)), return_exceptions=True)
            given = [each for each in answers if isinstance(each, Enqueued)]
            assert len(given) == 201
            assert [each.replayed for each in given].count(False) == 1
            assert {tuple(each.references) for each in given} == {tuple(_stored(node))}
            assert sum(isinstance(each, UniqueIdConflict) for each in answers) == 200

    asyncio.run(run())


def test_starts_that_cannot_be_stored_fail_their_own_request_only(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            service = node.add_service(node.add_account()[0])
            batches = _batches(node)
            given = ["sip:a@x", "sip:\ud800@x", "sip:c@x"]  # half a surrogate pair cannot be written as UTF-8
            answers = await asyncio.gather(*(_one(batches, service, each) for each in given), return_exceptions=True)
            assert isinstance(answers[1], UnicodeEncodeError)
            assert sorted(_stored(node).values()) == ["sip:a@x", "sip:c@x"]
            assert isinstance(answers[0], Enqueued)
            assert isinstance(answers[2], Enqueued)

    asyncio.run(run())


def test_who_goes_away_does_not_take_the_answers_of_others_along(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            service = node.add_service(node.add_account()[0])
            batches = _batches(node)
            tasks = [asyncio.create_task(_one(batches, service, f"sip:{n}@x")) for n in range(3)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(answers[0], asyncio.CancelledError)
            assert [_stored(node)[cast(Enqueued, a).references[0]] for a in answers[1:]] == ["sip:1@x", "sip:2@x"]

    asyncio.run(run())


def test_a_list_longer_than_a_batch_goes_alone_and_batches_have_an_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            service = node.add_service(node.add_account()[0])
            batches = _batches(node)
            sizes = [TOGETHER + 1, 1, TOGETHER, 2, TOGETHER - 2]
            answers = await asyncio.gather(*(_one(batches, service, *["sip:a@x"] * size) for size in sizes))
            assert [len(answer.references) for answer in answers] == sizes
            assert len(_stored(node)) == sum(sizes)

    asyncio.run(run())


class Refusing:
    """A database that cannot be written."""

    async def write(self, _fn: Callable[[Connection], Any]) -> Any:
        raise DatabaseUnavailable("the database is unavailable: the disk is full")


def test_a_database_that_refuses_is_said_to_everyone_who_waits(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            service = node.add_service(node.add_account()[0])
            batches = _batches(node, cast(Database, Refusing()))
            answers = await asyncio.gather(
                *(_one(batches, service, "sip:a@x") for _ in range(5)), return_exceptions=True
            )
            assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
            with pytest.raises(DatabaseUnavailable):
                await _one(batches, service, "sip:a@x")

    asyncio.run(run())
