"""Starts that are asked for at the same time are queued together (docs/reference/web-services.md, service_start).

Each request is answered once its own starts are on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from callwright.accounts.service import Service
from callwright.db.database import Database
from callwright.outbound.intake import Enqueued, UniqueIdConflict, Wanted, enqueue_all
from callwright.outbound.request import StartRequest
from callwright.values.errors import OutsideError
from callwright.values.ids import ServiceId, ServiceReference
from callwright.web.together import Together

TOGETHER = 500  # starts in one batch at most: bounds how long other writes wait for this one

_Answer = Enqueued | UniqueIdConflict


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
        self._of_service: dict[ServiceId, Together[Wanted, _Answer]] = {}

    async def enqueue(
        self, service: Service, calls: Sequence[StartRequest], *, digest: bytes, unique_id: str | None
    ) -> Enqueued:
        """Queue the starts of one request, as ``queue.enqueue`` does; they are on the disk when this returns."""
        wanted = Wanted(calls=calls, digest=digest, unique_id=unique_id)
        queue = partial(self._queue, service)
        try:
            together = self._of_service.setdefault(service.id, Together(queue, most=TOGETHER))
            answer = await together.ask(wanted, size=len(calls))
        except OutsideError:
            raise
        except Exception:  # one request's starts could not be stored: that must fail this request only
            [answer] = await queue([wanted])
        if isinstance(answer, UniqueIdConflict):
            raise answer
        return answer

    async def _queue(self, service: Service, wanted: Sequence[Wanted]) -> Sequence[_Answer]:
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
