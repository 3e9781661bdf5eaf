"""Write something that must not be given up: the end of a start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from callwright.db.database import Database

T = TypeVar("T")

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

_log = structlog.get_logger()


async def write_at_last(database: Database, fn: Callable[[Connection], T], *, instance: str) -> T:
    """Do ``database.write(fn)``, a brief write, again and again until it succeeds or the caller is cancelled.

    This is part of an instance's bulkhead: a full disk, or a bug in closing one instance, must neither leave it unended
    for ever nor touch the others. If this node stops first, recovery ends it at the next start.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await database.write(fn, brief=True)
        except Exception:
            _log.exception(
                "The end of an instance could not be written; trying again",
                action="end_not_written",
                instance=instance,
                again_in_s=pause_s,
            )
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
