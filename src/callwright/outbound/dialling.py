"""A start from its stamp to its end: dialled once for each attempt, then finished or queued again for another one
(docs/reference/queue.md).

Synchronous functions on a connection, with the rules of ``queue``.
"""

from __future__ import annotations

from sqlalchemy import Connection, and_, bindparam, exists, func, insert, literal_column, or_, select, update

from callwright.db.prepared import Prepared
from callwright.outbound.calling_hours import stored_hours
from callwright.outbound.retry import Unreached, next_retry, stored_plan
from callwright.outbound.start import Start, StartState
from callwright.outbound.tables import attempts, pauses, starts
from callwright.values.ids import InstanceId, ServiceId

# The statements of every call, made once: building and hashing one costs as much as running it.
_is_paused = exists().where(
    or_(
        pauses.c.scope == literal_column("'all'"),
        and_(pauses.c.scope == literal_column("'account'"), pauses.c.of == starts.c.account_id),
        and_(pauses.c.scope == literal_column("'service'"), pauses.c.of == starts.c.service_id),
    )
)
_stamp = Prepared(
    update(starts)
    .where(
        starts.c.id == bindparam("one"),
        starts.c.state == literal_column("'claimed'"),
        starts.c.claimed_by == bindparam("holder"),
        ~_is_paused,
    )
    .values(state=StartState.RUNNING, instance_id=bindparam("instance"))
)
_begin_attempt = Prepared(insert(attempts))
_of_running = and_(starts.c.instance_id == bindparam("one"), starts.c.state == literal_column("'running'"))
_finish = Prepared(
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
_end_attempt = Prepared(
    update(attempts)
    .where(attempts.c.instance_id == bindparam("one"))
    .values(finished_at=bindparam("at"), return_code=bindparam("code"), unreached=bindparam("how"))
)
_move_slot = Prepared(
    update(attempts).where(attempts.c.instance_id == bindparam("one")).values(slot_at=bindparam("at"))
)
_is_running = Prepared(select(starts.c.id).where(_of_running))
_retry_of = select(starts.c.retry, starts.c.calling_hours, starts.c.expires_at).where(_of_running)
_seen = (
    select(attempts.c.unreached, func.count())
    .where(attempts.c.start_id == bindparam("one"), attempts.c.unreached.is_not(None))
    .group_by(attempts.c.unreached)
)


def stamp(
    c: Connection, start: Start, *, instance_id: InstanceId, incarnation: int, now: float, slot_at: float
) -> bool:
    """Note that the start is about to be dialled: claimed → running, with its attempt row.

    Return False when it is not ours to dial any more (cancelled, purged) or is paused: then nothing changed and nothing
    may be sent.
    The caller opens the records in the same transaction. A second stamp of one attempt breaks ``UNIQUE (start_id, n)``.
    """
    if not _stamp.change(c, {"one": start.id, "holder": incarnation, "instance": instance_id}):
        return False
    _begin_attempt.change(
        c,
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
    _move_slot.change(c, {"one": instance_id, "at": slot_at})


def is_running(c: Connection, instance_id: InstanceId) -> bool:
    """Return whether the start of an instance is still to be finished or queued again."""
    return _is_running.first(c, {"one": instance_id}) is not None


def finish(
    c: Connection, instance_id: InstanceId, *, return_code: int, now: float, how: Unreached | None = None
) -> bool:
    """End the start of an instance: running → finished. Return False when it was finished already."""
    finished = _finish.change(c, {"one": instance_id, "code": return_code, "at": now})
    if finished:
        _end_attempt.change(c, {"one": instance_id, "at": now, "code": return_code, "how": how})
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
    _end_attempt.change(c, {"one": instance_id, "at": now, "code": return_code, "how": how})
    return due_at


def queue_undialled(c: Connection, instance_id: InstanceId, *, return_code: int, due_at: float, now: float) -> bool:
    """Queue the start of an instance again that was stamped, and of which it is certain that nothing was sent."""
    if not c.execute(_queue_again, {"one": instance_id, "due": due_at}).rowcount:
        return False
    _end_attempt.change(c, {"one": instance_id, "at": now, "code": return_code, "how": None})
    return True


def slots_since(c: Connection, service_id: ServiceId, *, since: float) -> list[float]:
    """Return the pacing slots of a service's attempts from ``since`` on, oldest first."""
    recent = attempts.c.service_id == service_id, attempts.c.slot_at >= since
    return list(c.scalars(select(attempts.c.slot_at).where(*recent).order_by(attempts.c.slot_at)))
