"""Requests for states that come together share a read, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection
from tests.support.web_node import WebNode, web_node

from callwright.accounts.service import Service
from callwright.db.database import Database
from callwright.db.errors import DatabaseUnavailable
from callwright.outbound import queue
from callwright.outbound.request import StartRequest
from callwright.outbound.status_read import Asked
from callwright.values.ids import ServiceReference
from callwright.web.status_batches import TOGETHER, StatusBatches


class Reads:
    """A database that counts its reads, and stops at them while ``go`` is not set."""

    def __init__(self, db: Database) -> None:
        self.number = 0
        self.go = asyncio.Event()
        self.go.set()
        self.begun = asyncio.Event()
        self._db = db

    async def read(self, fn: Callable[[Connection], Any]) -> Any:
        self.number += 1
        self.begun.set()
        await self.go.wait()
        return await self._db.read(fn)


def _start(node: WebNode, service: Service, number: int) -> list[ServiceReference]:
    calls = [StartRequest(given_to="sip:a@x")] * number
    return node.db.write_now(
        lambda c: queue.enqueue(
            c,
            account_id=service.account_id,
            service_id=service.id,
            calls=calls,
            digest=bytes(32),
            unique_id=None,
            now=node.clock(),
            new_reference=node.edge.new_reference,
        )
    ).references


def _words(body: bytes) -> dict[str, str]:
    return {reference: each["status"] for reference, each in json.loads(body).items()}


def test_each_of_many_who_ask_together_is_told_of_its_own_starts_only(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            services = [node.add_service(node.add_account(f"{n}@example.com")[0]) for n in range(3)]
            references = [_start(node, service, 20) for service in services]
            everything = [reference for several in references for reference in several]
            reads = Reads(node.db)
            states = StatusBatches(cast(Database, reads))
            asked = [
                Asked(account_id=service.account_id, service_id=service.id if n % 2 else None, references=everything)
                for n in range(20)
                for service in services
            ]
            answers = [_words(each) for each in await asyncio.gather(*map(states.answer, asked))]
            for n, answer in enumerate(answers):
                own = references[n % 3]
                assert answer == {reference: "queued" if reference in own else "unknown" for reference in everything}
                assert list(answer) == everything
            assert reads.number == 1

    asyncio.run(run())


def test_who_asks_during_a_read_is_told_what_was_stored_meanwhile(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            service = node.add_service(node.add_account()[0])
            (reference,) = _start(node, service, 1)
            reads = Reads(node.db)
            reads.go.clear()
            states = StatusBatches(cast(Database, reads))
            asked = Asked(account_id=service.account_id, service_id=None, references=[reference])
            first = asyncio.create_task(states.answer(asked))
            await reads.begun.wait()
            gone = asyncio.create_task(states.answer(asked))
            second = asyncio.create_task(states.answer(asked))
            await asyncio.sleep(0)
            gone.cancel()
            await node.db.write(
                lambda c: queue.cancel(c, account_id=service.account_id, references=[reference], now=node.clock())
            )
            reads.go.set()
            await first
            assert _words(await second) == {reference: "cancelled"}
            assert reads.number == 2

    asyncio.run(run())


def test_long_lists_go_alone_and_reads_have_an_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            service = node.add_service(node.add_account()[0])
            reads = Reads(node.db)
            states = StatusBatches(cast(Database, reads))
            sizes = [TOGETHER + 1, 1, TOGETHER, 2, TOGETHER - 2]
            answers = await asyncio.gather(
                *(
                    states.answer(
                        Asked(
                            account_id=service.account_id,
                            service_id=None,
                            references=[ServiceReference(f"2e891aea_0.1.{n}") for n in range(size)],
                        )
                    )
                    for size in sizes
                )
            )
            assert [len(json.loads(each)) for each in answers] == sizes
            assert reads.number == 4

    asyncio.run(run())


def test_a_database_that_cannot_be_read_is_said_to_everyone_who_waits() -> None:
    class Refusing:
        async def read(self, _fn: object) -> object:
            raise DatabaseUnavailable("the database is unavailable: the disk reports an I/O error")

    async def run() -> None:
        states = StatusBatches(cast(Database, Refusing()))
        asked = Asked(account_id=cast(Any, 1), service_id=None, references=[ServiceReference("2e891aea_0.1.1")])
        answers = await asyncio.gather(*(states.answer(asked) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
        with pytest.raises(DatabaseUnavailable):
            await states.answer(asked)

    asyncio.run(run())
