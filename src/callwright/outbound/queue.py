"""The queue as those see it who start, watch and cancel: queue starts, take them back, tell what became of them
(docs/reference/queue.md). Whoever dials has ``claims`` and ``dialling``; a restart has ``former_lives``.

All functions are synchronous, take a connection inside a transaction and neither commit nor wait; run them with
``Database.write`` or ``Database.read``. Each change is one conditional UPDATE that names the state it leaves, and for a
held start its holder too: who comes second changes nothing and is told so. ``now`` is epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from callwright.outbound.intake import Enqueued, UniqueIdConflict, Wanted, enqueue_all
from callwright.outbound.reasons import MAX_WAIT_S, Reason
from callwright.outbound.request import StartRequest
from callwright.outbound.start import NOT_DIALLED, StartState, StartStatus
from callwright.outbound.start_rows import HELD, QUEUED, change
from callwright.outbound.tables import requests, starts
from callwright.values.ids import AccountId, InstanceId, ServiceId, ServiceReference, StartId

CancelAnswer = Literal["success", "failed", "unknown"]

_CHUNK = 5_000  # references in one statement; SQLite allows 32,766 bound values
_CLAIMED = starts.c.state == StartState.CLAIMED
_RUNNING = starts.c.state == StartState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a ``unique_id`` started."""

    count: int
    references: list[ServiceReference]


def enqueue(
    c: Connection,
    *,
    account_id: AccountId,
    service_id: ServiceId,
    calls: Sequence[StartRequest],
    digest: bytes,
    unique_id: str | None,
    now: float,
    new_reference: Callable[[], ServiceReference],
    max_wait_s: float = MAX_WAIT_S,
) -> Enqueued:
    """Queue the starts of one request: all of them, or (for a ``unique_id`` seen before) none.

    They wait at most ``max_wait_s`` seconds. Raise ``UniqueIdConflict``. The references are on disk once the
    transaction is committed, not before.
    """
    (answer,) = enqueue_all(
        c,
        account_id=account_id,
        service_id=service_id,
        wanted=[Wanted(calls=calls, digest=digest, unique_id=unique_id)],
        now=now,
        new_reference=new_reference,
        max_wait_s=max_wait_s,
    )
    if isinstance(answer, UniqueIdConflict):
        raise answer
    return answer


def cancel(
    c: Connection,
    *,
    account_id: AccountId,
    references: Sequence[ServiceReference],
    now: float,
    service_id: ServiceId | None = None,
) -> dict[ServiceReference, CancelAnswer]:
    """Take starts back before they are dialled; an answer for each reference, in the order given.

    ``success``: nobody will be dialled for it (any more), also when it was cancelled before. ``failed``:
    too late, but it is not tried again. ``unknown``: no such start of this account (or, when given, of this service).
    """
    for chunk in _chunks(references):
        visible = _visible(account_id, chunk, service_id)
        change(
            c,
            and_(visible, starts.c.state.in_(NOT_DIALLED)),
            {"state": StartState.CANCELLED, "finished_at": now},
        )
        change(c, and_(visible, starts.c.state == StartState.RUNNING, starts.c.retry.is_not(None)), {"retry": None})
    states = {
        reference: found.state
        for reference, found in status(c, account_id=account_id, references=references, service_id=service_id).items()
    }
    return {
        reference: "unknown"
        if reference not in states
        else ("success" if states[reference] is StartState.CANCELLED else "failed")
        for reference in references
    }


def status(
    c: Connection,
    *,
    account_id: AccountId,
    references: Sequence[ServiceReference],
    service_id: ServiceId | None = None,
) -> dict[ServiceReference, StartStatus]:
    """Return what is known of starts; references that are not this account's (this service's) are left out."""
    columns = (
        starts.c.reference,
        starts.c.state,
        starts.c.instance_id,
        starts.c.return_code,
        starts.c.reason,
        starts.c.finished_at,
    )
    return {
        row.reference: StartStatus(
            state=StartState(row.state),
            instance_id=row.instance_id or InstanceId(""),
            return_code=row.return_code,
            reason=row.reason or "",
            finished_at=row.finished_at,
        )
        for chunk in _chunks(references)
        for row in c.execute(select(*columns).where(_visible(account_id, chunk, service_id)))
    }


def job(c: Connection, *, account_id: AccountId, unique_id: str) -> Job | None:
    """Return what a ``unique_id`` started, None when the account never used it."""
    request = _request(c, account_id, unique_id)
    return None if request is None else Job(count=request.starts, references=_references(c, request.id))


def length(c: Connection, service_id: ServiceId) -> int:
    """Return how many starts of a service nobody was dialled for yet."""
    waiting = select(func.count()).select_from(starts).where(starts.c.service_id == service_id)
    held = waiting.where(HELD, starts.c.state == StartState.CLAIMED)
    return (c.scalar(waiting.where(QUEUED)) or 0) + (c.scalar(held) or 0)


def total_length(c: Connection) -> int:
    """Return how many starts wait in all queues together."""
    return c.scalar(select(func.count()).select_from(starts).where(QUEUED)) or 0


def newest(c: Connection) -> StartId:
    """Return the id of the newest start, 0 when there is none."""
    return c.scalar(select(func.max(starts.c.id))) or StartId(0)


def purge(
    c: Connection, service_id: ServiceId, *, now: float, limit: int | None = None, up_to: StartId | None = None
) -> int:
    """Cancel the starts of a service that are not being dialled, at most ``limit``, none newer than ``up_to``; return
    how many there were. Those that run go on, and are not tried again.
    """
    values = {"state": StartState.CANCELLED, "reason": Reason.QUEUE_PURGED, "finished_at": now}
    of_service = starts.c.service_id == service_id
    if up_to is not None:
        of_service = and_(of_service, starts.c.id <= up_to)
    change(c, and_(of_service, HELD, _RUNNING, starts.c.retry.is_not(None)), {"retry": None})
    queued = and_(of_service, QUEUED)
    if limit is not None:
        queued = starts.c.id.in_(select(starts.c.id).where(queued).limit(limit).scalar_subquery())
    return change(c, queued, values) + change(c, and_(of_service, HELD, _CLAIMED), values)


def _visible(
    account_id: AccountId, references: Sequence[ServiceReference], service_id: ServiceId | None
) -> ColumnElement[bool]:
    of_account = and_(starts.c.reference.in_(references), starts.c.account_id == account_id)
    return of_account if service_id is None else and_(of_account, starts.c.service_id == service_id)


def _request(c: Connection, account_id: AccountId, unique_id: str) -> Row[Any] | None:
    return c.execute(
        select(requests.c.id, requests.c.digest, requests.c.count.label("starts")).where(
            requests.c.account_id == account_id, requests.c.unique_id == unique_id
        )
    ).one_or_none()


def _references(c: Connection, request_id: int) -> list[ServiceReference]:
    return list(c.scalars(select(starts.c.reference).where(starts.c.request_id == request_id).order_by(starts.c.id)))


def _chunks(references: Iterable[ServiceReference]) -> Iterator[list[ServiceReference]]:
    remaining = iter(references)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
