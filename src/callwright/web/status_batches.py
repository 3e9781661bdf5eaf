"""Requests for the states of starts that come at the same time are answered together (``service_status``).

Those that arrive while a read is under way share the next one: one statement for all of them. Nobody waits for others
to come, and a read begins after the last request in it came, so each is told everything that was on the disk by then.
Both the reading and the writing of the answers happen in a thread: a list may be long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
from sqlalchemy import Connection

from callwright.db.database import Database
from callwright.outbound.status_read import Asked, Known, known
from callwright.web.answers import StartStatusAnswer
from callwright.web.status_words import UNKNOWN, eta, words

TOGETHER = 5_000  # references in one read of several requests: bounds how long the first of them waits for the last


@dataclass(slots=True)
class _Batch:
    """What one read is to answer; ``done`` gets the bodies of the answers, in order."""

    done: asyncio.Future[list[bytes]]
    asked: list[Asked] = field(default_factory=list)
    references: int = 0


class StatusBatches:
    """Answers ``service_status`` from the database. Belongs to one event loop."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._open: _Batch | None = None
        self._turn = asyncio.Lock()
        self._reading: set[asyncio.Task[None]] = set()

    async def answer(self, asked: Asked) -> bytes:
        """Return the JSON body of the answer: an object for each reference, in the order asked."""
        size = len(asked.references)
        if size > TOGETHER:
            return (await self._db.read(partial(answers, asked=[asked])))[0]
        batch = self._open
        if batch is None or batch.references + size > TOGETHER:
            batch = self._open = _Batch(asyncio.get_running_loop().create_future())
            task = asyncio.create_task(self._read(batch), name="read the states of starts")
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
        place = len(batch.asked)
        batch.asked.append(asked)
        batch.references += size
        # Shielded: who goes away must not take the answers of the others along.
        return (await asyncio.shield(batch.done))[place]

    async def _read(self, batch: _Batch) -> None:
        async with self._turn:
            if self._open is batch:
                self._open = None
            try:
                bodies = await self._db.read(partial(answers, asked=batch.asked))
            except BaseException as error:
                batch.done.set_exception(error)
                batch.done.exception()  # its waiters may have gone away
            else:
                batch.done.set_result(bodies)


def answers(c: Connection, asked: Sequence[Asked]) -> list[bytes]:
    """Return the JSON bodies of answers that are read together."""
    return [
        msgspec.json.encode({reference: _object(rows.get(reference)) for reference in each.references})
        for each, rows in zip(asked, known(c, asked), strict=True)
    ]


def _object(row: Known | None) -> StartStatusAnswer:
    if row is None:
        return UNKNOWN
    return StartStatusAnswer(
        status=words(row.state, row.return_code, row.reason),
        application_status_eta=0 if row.finished is None else eta(row.state, float(row.finished)),
        application_instance_id=row.instance_id or "",
    )
