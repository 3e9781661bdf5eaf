"""What the statements on starts share: their conditions, and a start read from its row (docs/reference/queue.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, text, update

from callwright.outbound.calling_hours import stored_hours
from callwright.outbound.start import Start, StartState
from callwright.outbound.tables import starts

# Partial indexes serve only statements that carry their condition word for word (see ``tables``).
QUEUED = text("state = 'queued'")
HELD = text("state IN ('claimed', 'running')")

START_COLUMNS = (
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


def read_start(row: Mapping[Any, Any]) -> Start:
    """Return the start of a row of ``START_COLUMNS``, by the names of its columns."""
    fields = dict(row)
    headers = tuple((name, value) for name, value in fields.pop("extra_sip_headers") or ())
    hours, retry = fields.pop("calling_hours"), fields.pop("retry")
    return Start(
        **fields,
        extra_sip_headers=headers,
        calling_hours=None if hours is None else stored_hours(hours),
        may_retry=retry is not None,
    )


def mine(state: StartState, incarnation: int) -> ColumnElement[bool]:
    """Return the condition that a start is in ``state`` and held by this life of the node."""
    return and_(starts.c.state == state, starts.c.claimed_by == incarnation)


def change(c: Connection, where: ColumnElement[bool], values: Mapping[str, Any]) -> int:
    """Change the starts that meet a condition; return how many did."""
    return c.execute(update(starts).where(where).values(values)).rowcount
