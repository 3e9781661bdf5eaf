"""What former lives of this node left in the queue, for ``recovery`` (docs/reference/queue.md).

Synchronous functions on a connection, with the rules of ``queue``.
"""

from __future__ import annotations

from sqlalchemy import Connection, and_, bindparam, select

from callwright.db.prepared import Prepared
from callwright.outbound.start import Start, StartState
from callwright.outbound.start_rows import HELD, START_COLUMNS, change, read_start
from callwright.outbound.tables import starts
from callwright.values.ids import InstanceId

_start_of_instance = Prepared(select(*START_COLUMNS).where(starts.c.instance_id == bindparam("of")))


def take_back(c: Connection, *, incarnation: int) -> int:
    """Put back what earlier lives of this node had claimed and not stamped; return how many starts that were.

    The data folder's lock says that no earlier life runs any more.
    """
    return change(
        c,
        and_(HELD, starts.c.state == StartState.CLAIMED, starts.c.claimed_by != incarnation),
        {"state": StartState.QUEUED, "claimed_by": None, "claimed_at": None},
    )


def stamped_before(c: Connection, *, incarnation: int) -> list[InstanceId]:
    """Return the instances that earlier lives of this node left running, oldest first."""
    left = HELD, starts.c.state == StartState.RUNNING, starts.c.claimed_by != incarnation
    rows = c.execute(select(starts.c.id, starts.c.instance_id).where(*left))
    return [instance_id for _, instance_id in sorted(rows.tuples())]  # sorted here: an ORDER BY would read all starts


def start_of_instance(c: Connection, instance_id: InstanceId) -> Start | None:
    """Return the start an instance belongs to, if a start made it."""
    row = _start_of_instance.first(c, {"of": instance_id})
    return None if row is None else read_start(row)
