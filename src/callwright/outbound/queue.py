"""The queue of starts: every statement that changes one (docs/reference/queue.md).

All functions are synchronous, take a connection inside a transaction and neither commit nor wait; run them with
``Database.write`` or ``Database.read``. Each change is one conditional UPDATE that names the state it leaves, and for a
held start its holder too: who comes second changes nothing and is told so. ``now`` is epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)

from callwright.outbound.calling_hours import stored_hours
from callwright.outbound.reasons import MAX_WAIT_S, Reason
from callwright.outbound.request import StartRequest
from callwright.outbound.retry import Unreached, next_retry, stored_plan
from callwright.outbound.start import NOT_DIALLED, Start, StartState, StartStatus
from callwright.outbound.tables import attempts, pauses, requests, starts
from callwright.outbound.wishes import MOST_URGENT, Wishes
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, InstanceId, ServiceId, ServiceReference, StartId

CancelAnswer = Literal["success", "failed", "unknown"]

# Partial indexes serve only statements that carry their condition word for word (see ``tables``).
_QUEUED = text("state = 'queued'")
_HELD = text("state IN ('claimed', 'running')")
_CLAIMED = starts.c.state == StartState.CLAIMED
_RUNNING = starts.c.state == StartState.RUNNING
_ANY_PRIORITY = text(f"priority IN ({', '.join(map(str, range(-MOST_URGENT, MOST_URGENT + 1)))})")
_CHUNK = 5_000  # references in one statement; SQLite allows 32,766 bound values

# The statements of every call, made once: building and hashing one costs as much as running it.
_is_paused = exists().where(
    or_(
        pauses.c.scope == literal_column("'all'"),
        and_(pauses.c.scope == literal_column("'account'"), pauses.c.of == starts.c.account_id),
        and_(pauses.c.scope == literal_column("'service'"), pauses.c.of == starts.c.service_id),
    )
)
_stamp = (
    update(starts)
    .where(
        starts.c.id == bindparam("one"),
        starts.c.state == literal_column("'claimed'"),
        starts.c.claimed_by == bindparam("holder"),
        ~_is_paused,
    )
    .values(state=StartState.RUNNING, instance_id=bindparam("instance"))
)
_add_request = insert(requests).returning(requests.c.id)
_add_starts = insert(starts)
_begin_attempt = insert(attempts)
_of_running = and_(starts.c.instance_id == bindparam("one"), starts.c.state == literal_column("'running'"))
_finish = (
    update(starts)
    .where(_of_running)
    .values(state=StartState.FINISHED, return_code=bindparam("code"), finished_at=bindparam("at"))
)
_queue_again = (
    update(starts)
    .where(_of_running)
    .values(
        state=StartState.QUEUED,
        attempt=starts.c.attempt + 1,
        due_at=bindparam("due"),
        claimed_by=None,
        claimed_at=None,
    )
)
_end_attempt = (
    update(attempts)
    .where(attempts.c.instance_id == bindparam("one"))
    .values(finished_at=bindparam("at"), return_code=bindparam("code"), unreached=bindparam("how"))
)
_retry_of = select(starts.c.retry, starts.c.calling_hours, starts.c.expires_at).where(_of_running)
_seen = (
    select(attempts.c.unreached, func.count())
    .where(attempts.c.start_id == bindparam("one"), attempts.c.unreached.is_not(None))
    .group_by(attempts.c.unreached)
)

# A start that is given up while it waits to be tried again has been dialled before: it ends as that attempt did.
_was_dialled = starts.c.instance_id.is_not(None)
_last_return_code = (
    select(attempts.c.return_code).where(attempts.c.instance_id == starts.c.instance_id).scalar_subquery()
)


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
        _add_request,
        {
            "account_id": account_id,
            "unique_id": unique_id,
            "digest": digest,
            "count": len(calls),
            "created_at": now,
        },
    ).scalar_one()
    references = [new_reference() for _ in calls]
    timed = cache(lambda wishes: _timed(wishes, now=now, max_wait_s=max_wait_s))
    c.execute(
        _add_starts,
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
                **timed(call.wishes),
            }
            for reference, call in zip(references, calls, strict=True)
        ],
    )
    return Enqueued(references=references)


def _timed(wishes: Wishes, *, now: float, max_wait_s: float) -> dict[str, object]:
    """Return what a start's row says of its turn and of what was wished for it."""
    due_at = wishes.due_at(now)
    return {
        "priority": wishes.priority,
        "due_at": due_at,
        "expires_at": wishes.wait_until(now=now, due_at=due_at, max_wait_s=max_wait_s),
        "ring_timeout_s": wishes.ring_timeout_s,
        "max_duration_s": wishes.max_duration_s,
        "calling_hours": None if wishes.calling_hours is None else wishes.calling_hours.as_text(),
        "retry": None if wishes.retry is None else wishes.retry.as_text(),
    }


def waiting_services(c: Connection, *, now: float) -> list[ServiceId]:
    """Return the services with a start that is due. Costs a few index steps per service, however long the queues."""
    return list(c.scalars(_waiting_services, {"now": now}))


def _find_waiting_services() -> Select[tuple[ServiceId]]:
    queue = select(func.min(starts.c.service_id).label("service_id")).where(_QUEUED).cte("queue", recursive=True)
    following = select(func.min(starts.c.service_id)).where(_QUEUED, starts.c.service_id > queue.c.service_id)
    queue = queue.union_all(
        select(following.scalar_subquery().label("service_id")).where(queue.c.service_id.is_not(None))
    )
    due = (  # one step into the index for each priority
        exists()
        .where(_QUEUED, starts.c.service_id == queue.c.service_id, _ANY_PRIORITY, starts.c.due_at <= bindparam("now"))
        .correlate(queue)
    )
    return select(queue.c.service_id).where(queue.c.service_id.is_not(None), due)


_waiting_services = _find_waiting_services()


def claim(c: Connection, service_id: ServiceId, *, limit: int, incarnation: int, now: float) -> list[Start]:
    """Take up to ``limit`` due starts of a service: queued → claimed. The most urgent come first, of those the ones
    that were due first. Costs one step into the index for each priority that waits, however many starts do.
    """
    claimed: list[Start] = []
    for priority in waiting_priorities(c, service_id):
        turn = {"service": service_id, "urgency": priority, "now": now, "holder": incarnation}
        rows = c.execute(_claim, {**turn, "most": limit - len(claimed)})
        claimed += sorted(map(_start, rows), key=lambda start: (start.due_at, start.id))
        if len(claimed) >= limit:
            break
    return claimed


def waiting_priorities(c: Connection, service_id: ServiceId) -> Iterator[int]:
    """Yield the priorities that queued starts of a service have, the highest first."""
    below: int | None = MOST_URGENT + 1
    while (below := c.scalar(_next_priority, {"service": service_id, "below": below})) is not None:
        yield below


def queue_undialled(c: Connection, instance_id: InstanceId, *, return_code: int, due_at: float, now: float) -> bool:
    """Queue the start of an instance again that was stamped, and of which it is certain that nothing was sent."""
    if not c.execute(_queue_again, {"one": instance_id, "due": due_at}).rowcount:
        return False
    c.execute(_end_attempt, {"one": instance_id, "at": now, "code": return_code, "how": None})
    return True


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

    Return False when it is not ours to dial any more (cancelled, purged) or is paused: then nothing changed and nothing
    may be sent.
    The caller opens the records in the same transaction. A second stamp of one attempt breaks ``UNIQUE (start_id, n)``.
    """
    if not c.execute(_stamp, {"one": start.id, "holder": incarnation, "instance": instance_id}).rowcount:
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


def finish(
    c: Connection, instance_id: InstanceId, *, return_code: int, now: float, how: Unreached | None = None
) -> bool:
    """End the start of an instance: running → finished. Return False when it was finished already."""
    finished = c.execute(_finish, {"one": instance_id, "code": return_code, "at": now}).rowcount
    if finished:
        c.execute(_end_attempt, {"one": instance_id, "at": now, "code": return_code, "how": how})
    return bool(finished)


def try_again(
    c: Connection, start: Start, instance_id: InstanceId, *, return_code: int, how: Unreached, now: float
) -> float | None:
    """End the attempt of an instance that reached nobody and queue its start again, if its retry plan says so:
    running → queued. Return when the next attempt is due; None when there is none: then nothing changed.
    """
    row = c.execute(_retry_of, {"one": instance_id}).one_or_none()
    if row is None or row.retry is None:
        return None
    seen = {unreached: number for unreached, number in c.execute(_seen, {"one": start.id}).tuples()}
    seen[how] = seen.get(how, 0) + 1
    due_at = next_retry(stored_plan(row.retry), how, seen=seen, ended_at=now)
    if due_at is not None and row.calling_hours is not None:
        due_at = stored_hours(row.calling_hours).next_opening(due_at)
    if due_at is None or due_at >= row.expires_at:
        return None
    c.execute(_queue_again, {"one": instance_id, "due": due_at})
    c.execute(_end_attempt, {"one": instance_id, "at": now, "code": return_code, "how": how})
    return due_at


def fail(c: Connection, start_id: StartId, *, incarnation: int, reason: str, now: float) -> bool:
    """Give a start up before it is dialled: claimed → failed, or → finished as its last attempt if it had one. Return
    False when it was not ours any more.
    """
    return bool(
        _update(
            c,
            and_(starts.c.id == start_id, _mine(StartState.CLAIMED, incarnation)),
            _given_up(StartState.FAILED, reason, now),
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

    ``success``: nobody will be dialled for it (any more), also when it was cancelled before (ruling 17). ``failed``:
    too late, but it is not tried again. ``unknown``: no such start of this account (or, when given, of this service).
    """
    for chunk in _chunks(references):
        visible = _visible(account_id, chunk, service_id)
        _update(
            c,
            and_(visible, starts.c.state.in_(NOT_DIALLED)),
            {"state": StartState.CANCELLED, "finished_at": now},
        )
        _update(c, and_(visible, starts.c.state == StartState.RUNNING, starts.c.retry.is_not(None)), {"retry": None})
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
    _update(c, and_(of_service, _HELD, _RUNNING, starts.c.retry.is_not(None)), {"retry": None})
    queued = and_(of_service, _QUEUED)
    if limit is not None:
        queued = starts.c.id.in_(select(starts.c.id).where(queued).limit(limit).scalar_subquery())
    return _update(c, queued, values) + _update(c, and_(of_service, _HELD, _CLAIMED), values)


def expire(c: Connection, *, now: float, limit: int) -> list[ServiceReference]:
    """End up to ``limit`` starts that waited too long: queued → expired, or → finished as their last attempt if they
    had one; return their references.
    """
    late = select(starts.c.id).where(_QUEUED, starts.c.expires_at <= now).order_by(starts.c.expires_at).limit(limit)
    rows = c.execute(
        update(starts)
        .where(starts.c.id.in_(late.scalar_subquery()), starts.c.state == StartState.QUEUED)
        .values(_given_up(StartState.EXPIRED, Reason.QUEUE_TIME_LIMIT, now))
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
    starts.c.priority,
    starts.c.ring_timeout_s,
    starts.c.max_duration_s,
    starts.c.calling_hours,
    starts.c.retry,
)

_next_priority = select(func.max(starts.c.priority)).where(
    _QUEUED, starts.c.service_id == bindparam("service"), starts.c.priority < bindparam("below")
)
_claim = (
    update(starts)
    .where(
        starts.c.id.in_(
            select(starts.c.id)
            .where(
                _QUEUED,
                starts.c.service_id == bindparam("service"),
                starts.c.priority == bindparam("urgency"),
                starts.c.due_at <= bindparam("now"),
                starts.c.expires_at > bindparam("now"),
            )
            .order_by(starts.c.due_at, starts.c.id)
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        ),
        starts.c.state == literal_column("'queued'"),
    )
    .values(state=StartState.CLAIMED, claimed_by=bindparam("holder"), claimed_at=bindparam("now"))
    .returning(*_START_COLUMNS)
)


def _start(row: Row[Any]) -> Start:
    fields = dict(row._mapping)
    headers = tuple((name, value) for name, value in fields.pop("extra_sip_headers") or ())
    hours, retry = fields.pop("calling_hours"), fields.pop("retry")
    return Start(
        **fields,
        extra_sip_headers=headers,
        calling_hours=None if hours is None else stored_hours(hours),
        may_retry=retry is not None,
    )


def _given_up(state: StartState, reason: str, now: float) -> dict[str, object]:
    """Return the values of a start that ends while it waits: as ``state``, or as its last attempt if it had one."""
    return {
        "state": case((_was_dialled, StartState.FINISHED), else_=state),
        "return_code": _last_return_code,
        "reason": reason,
        "finished_at": now,
    }


def _mine(state: StartState, incarnation: int) -> ColumnElement[bool]:
    return and_(starts.c.state == state, starts.c.claimed_by == incarnation)


def _visible(
    account_id: AccountId, references: Sequence[ServiceReference], service_id: ServiceId | None
) -> ColumnElement[bool]:
    of_account = and_(starts.c.reference.in_(references), starts.c.account_id == account_id)
    return of_account if service_id is None else and_(of_account, starts.c.service_id == service_id)


def _update(c: Connection, where: ColumnElement[bool], values: Mapping[str, Any]) -> int:
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
