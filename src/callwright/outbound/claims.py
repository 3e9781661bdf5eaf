"""The starts that wait, as the dispatcher takes them: find those that are due, claim them, put them back or give them
up before they are dialled (docs/reference/queue.md).

Synchronous functions on a connection, with the rules of ``queue``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, Select, and_, bindparam, case, exists, func, literal_column, select, text, update

from callwright.db.prepared import Prepared
from callwright.outbound.reasons import Reason
from callwright.outbound.start import Start, StartState
from callwright.outbound.start_rows import HELD, QUEUED, START_COLUMNS, change, mine, read_start
from callwright.outbound.tables import attempts, starts
from callwright.outbound.wishes import MOST_URGENT
from callwright.values.ids import ServiceId, ServiceReference, StartId

# The partial index is entered once for each of these (see ``tables``).
_ANY_PRIORITY = text(f"priority IN ({', '.join(map(str, range(-MOST_URGENT, MOST_URGENT + 1)))})")

# The statements of every round, made once: building and hashing one costs as much as running it.
_next_priority = Prepared(
    select(func.max(starts.c.priority)).where(
        QUEUED, starts.c.service_id == bindparam("service"), starts.c.priority < bindparam("below")
    )
)
_claim = Prepared(
    update(starts)
    .where(
        starts.c.id.in_(
            select(starts.c.id)
            .where(
                QUEUED,
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
    .returning(*START_COLUMNS)
)

# A start that is given up while it waits to be tried again has been dialled before: it ends as that attempt did.
_was_dialled = starts.c.instance_id.is_not(None)
_last_return_code = (
    select(attempts.c.return_code).where(attempts.c.instance_id == starts.c.instance_id).scalar_subquery()
)


def waiting_services(c: Connection, *, now: float) -> list[ServiceId]:
    """Return the services with a start that is due. Costs a few index steps per service, however long the queues."""
    return list(c.scalars(_waiting_services, {"now": now}))


def _find_waiting_services() -> Select[tuple[ServiceId]]:
    queue = select(func.min(starts.c.service_id).label("service_id")).where(QUEUED).cte("queue", recursive=True)
    following = select(func.min(starts.c.service_id)).where(QUEUED, starts.c.service_id > queue.c.service_id)
    queue = queue.union_all(
        select(following.scalar_subquery().label("service_id")).where(queue.c.service_id.is_not(None))
    )
    due = (  # one step into the index for each priority
        exists()
        .where(QUEUED, starts.c.service_id == queue.c.service_id, _ANY_PRIORITY, starts.c.due_at <= bindparam("now"))
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
        rows = _claim.rows(c, {**turn, "most": limit - len(claimed)})
        claimed += sorted(map(read_start, rows), key=lambda start: (start.due_at, start.id))
        if len(claimed) >= limit:
            break
    return claimed


def waiting_priorities(c: Connection, service_id: ServiceId) -> Iterator[int]:
    """Yield the priorities that queued starts of a service have, the highest first."""
    below: int | None = MOST_URGENT + 1
    while (below := _next_priority.scalar(c, {"service": service_id, "below": below})) is not None:
        yield below


def claimed_by(c: Connection, *, incarnation: int) -> list[StartId]:
    """Return the starts this life of the node holds claimed, as the database knows them."""
    return list(c.scalars(select(starts.c.id).where(HELD, mine(StartState.CLAIMED, incarnation))))


def release(c: Connection, start_ids: Iterable[StartId], *, incarnation: int, due_at: float | None = None) -> int:
    """Put claimed starts back in their old place, or (``due_at``) further back; return how many were still claimed."""
    return change(
        c,
        and_(starts.c.id.in_(list(start_ids)), mine(StartState.CLAIMED, incarnation)),
        {"state": StartState.QUEUED, "claimed_by": None, "claimed_at": None}
        | ({} if due_at is None else {"due_at": due_at}),
    )


def fail(c: Connection, start_id: StartId, *, incarnation: int, reason: str, now: float) -> bool:
    """Give a start up before it is dialled: claimed → failed, or → finished as its last attempt if it had one. Return
    False when it was not ours any more.
    """
    return bool(
        change(
            c,
            and_(starts.c.id == start_id, mine(StartState.CLAIMED, incarnation)),
            _given_up(StartState.FAILED, reason, now),
        )
    )


def expire(c: Connection, *, now: float, limit: int) -> list[ServiceReference]:
    """End up to ``limit`` starts that waited too long: queued → expired, or → finished as their last attempt if they
    had one; return their references.
    """
    late = select(starts.c.id).where(QUEUED, starts.c.expires_at <= now).order_by(starts.c.expires_at).limit(limit)
    rows = c.execute(
        update(starts)
        .where(starts.c.id.in_(late.scalar_subquery()), starts.c.state == StartState.QUEUED)
        .values(_given_up(StartState.EXPIRED, Reason.QUEUE_TIME_LIMIT, now))
        .returning(starts.c.reference)
    )
    return [row.reference for row in rows]


def first_expiry(c: Connection) -> float | None:
    """Return when the next queued start will have waited too long."""
    first: float | None = c.scalar(select(func.min(starts.c.expires_at)).where(QUEUED))
    return first


def mend_due_times(c: Connection, *, now: float) -> int:
    """Mend what a clock that was set back would keep waiting; return how many starts that were.

    A start queued for at once, by a clock ahead of ``now``, is due. One that waits to be tried again after an attempt
    that ended in what is now the future waits from now on: no longer than it was to wait, and never less.
    """
    ahead = and_(QUEUED, ~_was_dialled, starts.c.due_at > now, starts.c.due_at <= starts.c.queued_at)
    mended = change(c, ahead, {"due_at": now})
    ended_ahead = attempts.c.finished_at > now
    retries = c.execute(
        select(starts.c.id, attempts.c.id, starts.c.due_at, attempts.c.finished_at)
        .join(attempts, attempts.c.instance_id == starts.c.instance_id)
        .where(QUEUED, _was_dialled, starts.c.due_at > now, ended_ahead)
    ).all()
    for start_id, attempt_id, due_at, ended_at in retries:
        change(c, starts.c.id == start_id, {"due_at": now + (due_at - ended_at)})
        # By the clock as it is now it ended at the latest now: the next mending must not begin from its old time.
        c.execute(update(attempts).where(attempts.c.id == attempt_id).values(finished_at=now))
    return mended + len(retries)


def _given_up(state: StartState, reason: str, now: float) -> dict[str, object]:
    """Return the values of a start that ends while it waits: as ``state``, or as its last attempt if it had one."""
    return {
        "state": case((_was_dialled, StartState.FINISHED), else_=state),
        "return_code": _last_return_code,
        "reason": reason,
        "finished_at": now,
    }
