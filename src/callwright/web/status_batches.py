"""Requests for the states of starts that come at the same time are answered together (``service_status``).

A read begins after the last request in it came, so each is told everything that was on the disk by then. Both the
reading and the writing of the answers happen in a thread: a list may be long.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
from sqlalchemy import Connection

from callwright.db.database import Database
from callwright.outbound.status_read import Asked, Known, known
from callwright.web.answers import StartStatusAnswer
from callwright.web.status_words import UNKNOWN, eta, words
from callwright.web.together import Together

TOGETHER = 5_000  # references in one read of several requests: bounds how long the first of them waits for the last


class StatusBatches:
    """Answers ``service_status`` from the database. Belongs to one event loop."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._together = Together(self._read, most=TOGETHER)

    async def answer(self, asked: Asked) -> bytes:
        """Return the JSON body of the answer: an object for each reference, in the order asked."""
        return await self._together.ask(asked, size=len(asked.references))

    async def _read(self, asked: Sequence[Asked]) -> list[bytes]:
        return await self._db.read(partial(answers, asked=asked))


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
