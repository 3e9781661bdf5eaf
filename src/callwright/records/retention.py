"""Forget records after their time (docs/reference/records.md, retention)."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from callwright.records.tables import adrs, cdrs, error_records, fdrs


def forget_records(c: Connection, *, before: float, limit: int) -> int:
    """Delete the records of up to ``limit`` instances that closed before an epoch time; return how many there were.

    An open record is never old. What was spent stays: it is kept apart, by day.
    """
    old = list(
        c.scalars(select(adrs.c.instance_id).where(adrs.c.stopped_at < before).order_by(adrs.c.stopped_at).limit(limit))
    )
    for table in (error_records, fdrs, cdrs, adrs):  # adrs last: the others refer to them
        c.execute(delete(table).where(table.c.instance_id.in_(old)))
    return len(old)
