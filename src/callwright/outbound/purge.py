"""Empty a queue of any length without keeping others from the database for long (docs/reference/queue.md)."""

from __future__ import annotations

from functools import partial

from callwright.db.database import Database
from callwright.outbound import queue
from callwright.values.ids import ServiceId

BATCH = 2_000  # starts in one transaction: a few tens of milliseconds


async def purge_queue(database: Database, service_id: ServiceId, *, now: float) -> int:
    """Cancel every start of a service that was queued before now and is not being dialled; return how many there were.

    It is done in several transactions; starts that leave the queue in between are dialled or not, each exactly once.
    """
    up_to = await database.read(queue.newest)
    purged = 0
    while True:
        batch = await database.write(partial(queue.purge, service_id=service_id, now=now, limit=BATCH, up_to=up_to))
        purged += batch
        if batch < BATCH:
            return purged
