"""Forget requests and their starts after their time (docs/reference/records.md, retention).

A request goes as a whole: a ``unique_id`` gives its first references again for as long as any of them is known. The
first thing to go is therefore the ``unique_id``, then the starts in batches, then the request.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, or_, select, update

from callwright.outbound.tables import attempts, requests, starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How many starts one batch deleted, and where the next one goes on: None when it has seen all old requests."""

    starts: int
    after: int | None


def forget_starts(c: Connection, *, before: float, limit: int, after: int = 0) -> Forgotten:
    """Delete up to ``limit`` starts of requests that were over before an epoch time, looking at as many requests.

    A request is over when all its starts are; one that waits or runs keeps all of its request, however old. ``after``
    is where the batch before left off, 0 at first: requests are looked at in the order they came.
    """
    old = c.execute(
        select(requests.c.id)
        .where(requests.c.id > after, requests.c.created_at < before)
        .order_by(requests.c.id)
        .limit(limit)
    ).all()
    forgotten = 0
    for (request_id,) in old:
        if not _is_over(c, request_id, before):
            continue
        wanted = select(starts.c.id).where(starts.c.request_id == request_id).limit(limit - forgotten)
        some = list(c.scalars(wanted))
        c.execute(update(requests).where(requests.c.id == request_id).values(unique_id=None))
        c.execute(delete(attempts).where(attempts.c.start_id.in_(some)))
        c.execute(delete(starts).where(starts.c.id.in_(some)))
        forgotten += len(some)
        if not c.scalar(select(exists().where(starts.c.request_id == request_id))):
            c.execute(delete(requests).where(requests.c.id == request_id))
        if forgotten >= limit:
            return Forgotten(starts=forgotten, after=request_id - 1)  # it may have starts left
    return Forgotten(starts=forgotten, after=old[-1].id if len(old) == limit else None)


def _is_over(c: Connection, request_id: int, before: float) -> bool:
    alive = exists().where(
        starts.c.request_id == request_id, or_(starts.c.finished_at.is_(None), starts.c.finished_at >= before)
    )
    return not c.scalar(select(alive))
