"""The queue of starts: every statement that changes one (docs/reference/queue.md).

All functions are synchronous, take a connection inside a transaction and neither commit nor wait; run them with
``Database.write`` or ``Database.read``. Each change is one conditional UPDATE that names the state it leaves, and for a
held start its holder too: who comes second changes nothing and is told so. ``now`` is epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, insert, select, text, update

from callwright.outbound.reasons import MAX_WAIT_S, Reason
from callwright.outbound.request import StartRequest
from callwright.outbound.start import NOT_DIALLED, Start, StartState, StartStatus
from callwright.outbound.tables import attempts, requests, starts
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, InstanceId, ServiceId, ServiceReference, StartId

CancelAnswer = Literal["success", "failed", "unknown"]

# Partial indexes serve only statements that carry their condition word for word (see ``tables``).
_QUEUED = text("state = 'queued'")
_HELD = text("state IN ('claimed', 'running')")
_CHUNK = 5_000  # references in one statement; SQLite allows 32,766 bound values

# The statements of every call, made once: building and hashing one costs as much as running it.
_stamp = (
    update(starts)
    .where(
        starts.c.id == bindparam("of"),
        starts.c.state == StartState.CLAIMED,
        starts.c.claimed_by == bindparam("holder"),
    )
    .values(state=StartState.RUNNING, instance_id=bindparam("instance"))
)
_begin_attempt = insert(attempts)
_finish = (
    update(starts)
    .where(starts.c.instance_id == bindparam("of"), starts.c.state == StartState.RUNNING)
    .values(state=StartState.FINISHED, return_code=bindparam("code"), finished_at=bindparam("at"))
)
_end_attempt = update(attempts).where(attempts.c.instance_id == bindparam("of")).values(finished_at=bindparam("at"))


class UniqueIdConflict(RequestError):
    """A ``unique_id`` came again with different parameters: nothing was started. The client must choose another."""

    def __init__(self, unique_id: str) -> None:
        super().__init__(f"unique_id '{unique_id}' was used with different parameters", field="unique_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """The references of a request, in its order; ``replayed`` when they are those of an earlier, equal one."""

    references: list[ServiceReference]
    replayed: bool = False


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
    if unique_id is not None and (earlier := _request(c, account_id, unique_id)) is not None:
        if earlier.digest != digest:
            raise UniqueIdConflict(unique_id)
        return Enqueued(references=_references(c, earlier.id), replayed=True)
    request_id = c.execute(
        insert(requests).returning(requests.c.id),
        {
            "account_id": account_id,
            "unique_id": unique_id,
            "digest": digest,
            "count": len(calls),
            "created_at": now,
        },
    ).scalar_one()
    references = [new_reference() for _ in calls]
    c.execute(
        insert(starts),
        [
            {
                "reference": reference,
                "account_id": account_id,
                "service_id": service_id,
                "request_id": request_id,
                "state": StartState.QUEUED,
                "given_to": call.given_to,
                "given_from": call.given_from,
                "token": call.token,
                "outbound_parameters": call.outbound_parameters,
                "extra_sip_headers": call.extra_sip_headers or None,
                "queued_at": now,
                "due_at": now,
                "expires_at": now + max_wait_s,
            }
            for reference, call in zip(references, calls, strict=True)
        ],
    )
    return Enqueued(references=references)


def waiting_services(c: Connection, *, now: float) -> list[ServiceId]:
    """Return the services with a start that is due. Costs a few index steps per service, however long the queues."""
    queue = select(func.min(starts.c.service_id).label("service_id")).where(_QUEUED).cte("queue", recursive=True)
    following = select(func.min(starts.c.service_id)).where(_QUEUED, starts.c.service_id > queue.c.service_id)
    queue = queue.union_all(
        select(following.scalar_subquery().label("service_id")).where(queue.c.service_id.is_not(None))
    )
    first_due = (
        select(func.min(starts.c.due_at))
        .where(_QUEUED, starts.c.service_id == queue.c.service_id)
        .correlate(queue)
        .scalar_subquery()
    )
    found = select(queue.c.service_id).where(queue.c.service_id.is_not(None), first_due <= now)
    return list(c.scalars(found))


def claim(c: Connection, service_id: ServiceId, *, limit: int, incarnation: int, now: float) -> list[Start]:
    """Take up to ``limit`` due starts of a service, first come first served: queued → claimed."""
    turn = (
        select(starts.c.id)
        .where(_QUEUED, starts.c.service_id == service_id, starts.c.due_at <= now, starts.c.expires_at > now)
        .order_by(starts.c.due_at, starts.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = c.execute(
        update(starts)
        .where(starts.c.id.in_(turn.scalar_subquery()), starts.c.state == StartState.QUEUED)
        .values(state=StartState.CLAIMED, claimed_by=incarnation, claimed_at=now)
        .returning(*_START_COLUMNS)
    )
    return sorted(map(_start, rows), key=lambda start: (start.due_at, start.id))


def release(c: Connection, start_ids: Iterable[StartId], *, incarnation: int, due_at: float | None = None) -> int:
    """Put claimed starts back in their old place, or (``due_at``) further back; return how many were still claimed."""
    return _update(
        c,
        and_(starts.c.id.in_(list(start_ids)), _mine(StartState.CLAIMED, incarnation)),
        {"state": StartState.QUEUED, "claimed_by": None, "claimed_at": None}
        | ({} if due_at is None else {"due_at": due_at}),
    )


def stamp(
    c: Connection, start: Start, *, instance_id: InstanceId, incarnation: int, now: float, slot_at: float
) -> bool:
    """Note that the start is about to be dialled: claimed → running, with its attempt row.

    Return False when it is not ours to dial any more (cancelled, purged): then nothing changed and nothing may be sent.
    The caller opens the records in the same transaction. A second stamp of one attempt breaks ``UNIQUE (start_id, n)``.
    """
    if not c.execute(_stamp, {"of": start.id, "holder": incarnation, "instance": instance_id}).rowcount:
        return False
    c.execute(
        _begin_attempt,
        {
            "start_id": start.id,
            "n": start.attempt,
            "account_id": start.account_id,
            "service_id": start.service_id,
            "instance_id": instance_id,
            "claimed_by": incarnation,
            "dialled_at": now,
            "slot_at": slot_at,
        },
    )
    return True


def move_slot(c: Connection, instance_id: InstanceId, *, slot_at: float) -> None:
    """Correct the slot of an attempt that leaves noticeably later than planned, so that a restart paces after it."""
    c.execute(update(attempts).where(attempts.c.instance_id == instance_id).values(slot_at=slot_at))


def finish(c: Connection, instance_id: InstanceId, *, return_code: int, now: float) -> bool:
    """End the start of an instance: running → finished. Return False when it was finished already."""
    finished = c.execute(_finish, {"of": instance_id, "code": return_code, "at": now}).rowcount
    if finished:
        c.execute(_end_attempt, {"of": instance_id, "at": now})
    return bool(finished)


def fail(c: Connection, start_id: StartId, *, incarnation: int, reason: str, now: float) -> bool:
    """Give a start up before anybody was dialled: claimed → failed. Return False when it was not ours any more."""
    return bool(
        _update(
            c,
            and_(starts.c.id == start_id, _mine(StartState.CLAIMED, incarnation)),
            {"state": StartState.FAILED, "reason": reason, "finished_at": now},
        )
    )


def cancel(
    c: Connection,
    *,
    account_id: AccountId,
    references: Sequence[ServiceReference],
    now: float,
    service_id: ServiceId | None = None,
) -> dict[ServiceReference, CancelAnswer]:
    """Take starts back before they are dialled; an answer for each reference, in the order given.

    ``success``: nobody was or will be dialled for it, also when it was cancelled before (ruling 17). ``failed``: too
    late. ``unknown``: no such start of this account (or, when given, of this service).
    """
    for chunk in _chunks(references):
        _update(
            c,
            and_(_visible(account_id, chunk, service_id), starts.c.state.in_(NOT_DIALLED)),
            {"state": StartState.CANCELLED, "finished_at": now},
        )
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
    held = waiting.where(_HELD, starts.c.state == StartState.CLAIMED)
    return (c.scalar(waiting.where(_QUEUED)) or 0) + (c.scalar(held) or 0)


def total_length(c: Connection) -> int:
    """Return how many starts wait in all queues together."""
    return c.scalar(select(func.count()).select_from(starts).where(_QUEUED)) or 0


def purge(c: Connection, service_id: ServiceId, *, now: float) -> int:
    """Cancel every start of a service that was not dialled yet; return how many there were."""
    values = {"state": StartState.CANCELLED, "reason": Reason.QUEUE_PURGED, "finished_at": now}
    of_service = starts.c.service_id == service_id
    return _update(c, and_(of_service, _QUEUED), values) + _update(
        c, and_(of_service, _HELD, starts.c.state == StartState.CLAIMED), values
    )


def expire(c: Connection, *, now: float, limit: int) -> list[ServiceReference]:
    """End up to ``limit`` starts that waited too long: queued → expired; return their references."""
    late = select(starts.c.id).where(_QUEUED, starts.c.expires_at <= now).order_by(starts.c.expires_at).limit(limit)
    rows = c.execute(
        update(starts)
        .where(starts.c.id.in_(late.scalar_subquery()), starts.c.state == StartState.QUEUED)
        .values(state=StartState.EXPIRED, reason=Reason.QUEUE_TIME_LIMIT, finished_at=now)
        .returning(starts.c.reference)
    )
    return [row.reference for row in rows]


def first_expiry(c: Connection) -> float | None:
    """Return when the next queued start will have waited too long."""
    first: float | None = c.scalar(select(func.min(starts.c.expires_at)).where(_QUEUED))
    return first


def take_back(c: Connection, *, incarnation: int) -> int:
    """Put back what earlier lives of this node had claimed and not stamped; return how many starts that were.

    The data folder's lock says that no earlier life runs any more (ruling 25).
    """
    return _update(
        c,
        and_(_HELD, starts.c.state == StartState.CLAIMED, starts.c.claimed_by != incarnation),
        {"state": StartState.QUEUED, "claimed_by": None, "claimed_at": None},
    )


def claimed_by(c: Connection, *, incarnation: int) -> list[StartId]:
    """Return the starts this life of the node holds claimed, as the database knows them."""
    return list(c.scalars(select(starts.c.id).where(_HELD, _mine(StartState.CLAIMED, incarnation))))


def stamped_before(c: Connection, *, incarnation: int) -> list[InstanceId]:
    """Return the instances that earlier lives of this node left running, oldest first."""
    left = _HELD, starts.c.state == StartState.RUNNING, starts.c.claimed_by != incarnation
    rows = c.execute(select(starts.c.id, starts.c.instance_id).where(*left))
    return [instance_id for _, instance_id in sorted(rows.tuples())]  # sorted here: an ORDER BY would read all starts


def start_of_instance(c: Connection, instance_id: InstanceId) -> Start | None:
    """Return the start an instance belongs to, if a start made it."""
    row = c.execute(select(*_START_COLUMNS).where(starts.c.instance_id == instance_id)).one_or_none()
    return None if row is None else _start(row)


def mend_due_times(c: Connection, *, now: float) -> int:
    """Make starts due that only a clock set back keeps waiting: queued for at once, by a clock ahead of ``now``."""
    ahead = and_(_QUEUED, starts.c.due_at > now, starts.c.due_at <= starts.c.queued_at)
    return _update(c, ahead, {"due_at": now})


def slots_since(c: Connection, service_id: ServiceId, *, since: float) -> list[float]:
    """Return the pacing slots of a service's attempts from ``since`` on, oldest first."""
    recent = attempts.c.service_id == service_id, attempts.c.slot_at >= since
    return list(c.scalars(select(attempts.c.slot_at).where(*recent).order_by(attempts.c.slot_at)))


_START_COLUMNS = (
    starts.c.id,
    starts.c.reference,
    starts.c.account_id,
    starts.c.service_id,
    starts.c.given_to,
    starts.c.given_from,
    starts.c.token,
    starts.c.outbound_parameters,
    starts.c.extra_sip_headers,
    starts.c.queued_at,
    starts.c.due_at,
    starts.c.expires_at,
    starts.c.attempt,
)


def _start(row: Row[Any]) -> Start:
    fields = dict(row._mapping)
    headers = tuple((name, value) for name, value in fields.pop("extra_sip_headers") or ())
    return Start(**fields, extra_sip_headers=headers)


def _mine(state: StartState, incarnation: int) -> ColumnElement[bool]:
    return and_(starts.c.state == state, starts.c.claimed_by == incarnation)


def _visible(
    account_id: AccountId, references: Sequence[ServiceReference], service_id: ServiceId | None
) -> ColumnElement[bool]:
    of_account = and_(starts.c.reference.in_(references), starts.c.account_id == account_id)
    return of_account if service_id is None else and_(of_account, starts.c.service_id == service_id)


def _update(c: Connection, where: ColumnElement[bool], values: Mapping[str, object]) -> int:
    return c.execute(update(starts).where(where).values(values)).rowcount


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
