"""Starts that are asked for at the same time are queued together (docs/reference/web-services.md, service_start).

Requests that arrive while another write of their service is on its way to the disk share the next one: a few statements
for all of them instead of a few for each. Nobody waits for others to come, and each is answered once its own starts are
on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from callwright.accounts.service import Service
from callwright.db.database import Database
from callwright.outbound.intake import Enqueued, UniqueIdConflict, Wanted, enqueue_all
from callwright.outbound.request import StartRequest
from callwright.values.errors import OutsideError
from callwright.values.ids import ServiceId, ServiceReference

TOGETHER = 500  # starts in one batch at most: bounds how long other writes wait for this one


@dataclass(slots=True)
class _Batch:
    """What one write is to queue; ``done`` gets what became of each request, in order."""

    done: asyncio.Future[list[Enqueued | UniqueIdConflict]]
    wanted: list[Wanted] = field(default_factory=list)
    starts: int = 0


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
        wanted = Wanted(calls=calls, digest=digest, unique_id=unique_id)
        if len(calls) > TOGETHER:
            return await self._alone(service, wanted)
        batch = self._open.get(service.id)
        if batch is None or batch.starts + len(calls) > TOGETHER:
            batch = self._open[service.id] = _Batch(asyncio.get_running_loop().create_future())
            task = asyncio.create_task(self._write(service, batch), name="queue starts")
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        place = len(batch.wanted)
        batch.wanted.append(wanted)
        batch.starts += len(calls)
        try:
            # Shielded: who goes away must not take the answers of the others along.
            answer = (await asyncio.shield(batch.done))[place]
        except OutsideError:
            raise
        except Exception:  # one request's starts could not be stored: that must fail this request only
            return await self._alone(service, wanted)
        return _given(answer)

    async def _alone(self, service: Service, wanted: Wanted) -> Enqueued:
        return _given((await self._queue(service, [wanted]))[0])

    async def _write(self, service: Service, batch: _Batch) -> None:
        async with self._turns.setdefault(service.id, asyncio.Lock()):
            if self._open.get(service.id) is batch:
                del self._open[service.id]
            try:
                answers = await self._queue(service, batch.wanted)
            except BaseException as error:
                batch.done.set_exception(error)
                batch.done.exception()  # its waiters may have gone away
            else:
                batch.done.set_result(answers)

    async def _queue(self, service: Service, wanted: Sequence[Wanted]) -> list[Enqueued | UniqueIdConflict]:
        return await self._db.write(
            partial(
                enqueue_all,
                account_id=service.account_id,
                service_id=service.id,
                wanted=wanted,
                now=self._clock(),
                new_reference=self._new_reference,
                max_wait_s=self._max_wait_s,
            )
        )


def _given(answer: Enqueued | UniqueIdConflict) -> Enqueued:
    """Return the references of a request, or raise its conflict."""
    if isinstance(answer, UniqueIdConflict):
        raise answer
    return answer
