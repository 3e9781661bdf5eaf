"""Starts that are asked for at the same time are queued together (docs/reference/web-services.md, service_start).

A request without ``unique_id`` is known by its references only, so those that arrive while another write of their
service is on its way to the disk can share one: one statement for all of them instead of two for each. Nobody waits for
others to come, and each is answered once its own starts are on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from callwright.accounts.service import Service
from callwright.db.database import Database
from callwright.outbound import queue
from callwright.outbound.queue import Enqueued
from callwright.outbound.request import StartRequest
from callwright.values.errors import OutsideError
from callwright.values.ids import ServiceId, ServiceReference

TOGETHER = 500  # starts in one batch at most: bounds how long other writes wait for this one


@dataclass(slots=True)
class _Batch:
    """What one write is to queue; ``done`` gets the references of all of it, in order."""

    done: asyncio.Future[list[ServiceReference]]
    digest: bytes
    calls: list[StartRequest] = field(default_factory=list)


class StartBatches:
    """Queues starts for the web services. Belongs to one event loop; ``max_wait_s`` is how long starts may wait."""

    def __init__(
        self,
        db: Database,
        *,
        clock: Callable[[], float],
        new_reference: Callable[[], ServiceReference],
        max_wait_s: float,
    ) -> None:
        self._db = db
        self._clock = clock
        self._new_reference = new_reference
        self._max_wait_s = max_wait_s
        self._open: dict[ServiceId, _Batch] = {}
        self._turns: dict[ServiceId, asyncio.Lock] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def enqueue(
        self, service: Service, calls: Sequence[StartRequest], *, digest: bytes, unique_id: str | None
    ) -> Enqueued:
        """Queue the starts of one request, as ``queue.enqueue`` does; they are on the disk when this returns."""
        if unique_id is not None or len(calls) > TOGETHER:
            return await self._alone(service, calls, digest=digest, unique_id=unique_id)
        batch = self._open.get(service.id)
        if batch is None or len(batch.calls) + len(calls) > TOGETHER:
            batch = self._open[service.id] = _Batch(asyncio.get_running_loop().create_future(), digest)
            task = asyncio.create_task(self._write(service, batch), name="queue starts")
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        first = len(batch.calls)
        batch.calls += calls
        try:
            # Shielded: who goes away must not take the answers of the others along.
            references = await asyncio.shield(batch.done)
        except OutsideError:
            raise
        except Exception:  # one request's starts could not be stored: that must fail this request only
            return await self._alone(service, calls, digest=digest, unique_id=None)
        return Enqueued(references=references[first : first + len(calls)])

    async def _write(self, service: Service, batch: _Batch) -> None:
        async with self._turns.setdefault(service.id, asyncio.Lock()):
            if self._open.get(service.id) is batch:
                del self._open[service.id]
            try:
                queued = await self._alone(service, batch.calls, digest=batch.digest, unique_id=None)
            except BaseException as error:
                batch.done.set_exception(error)
                batch.done.exception()  # its waiters may have gone away
            else:
                batch.done.set_result(queued.references)

    async def _alone(
        self, service: Service, calls: Sequence[StartRequest], *, digest: bytes, unique_id: str | None
    ) -> Enqueued:
        return await self._db.write(
            partial(
                queue.enqueue,
                account_id=service.account_id,
                service_id=service.id,
                calls=calls,
                digest=digest,
                unique_id=unique_id,
                now=self._clock(),
                new_reference=self._new_reference,
                max_wait_s=self._max_wait_s,
            )
        )
