"""Looking at whole queues: how long they are, and who waits in one (docs/reference/web-services.md, queues).

Synchronous functions on a connection, as in ``queue``; both read the partial indexes of waiting starts only.
"""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, func, select, text

from callwright.accounts.tables import services
from callwright.outbound import claims
from callwright.outbound.start import StartState
from callwright.outbound.tables import starts
from callwright.values.ids import AccountId, ServiceId, ServiceReference

# Word for word the conditions of the partial indexes (see ``tables``).
_QUEUED = text("starts.state = 'queued'")
_HELD = text("starts.state IN ('claimed', 'running')")
_CLAIMED = starts.c.state == StartState.CLAIMED


def lengths(c: Connection, account_id: AccountId | None) -> dict[ServiceId, int]:
    """Return how many starts nobody was dialled for yet, for each service of an account (None: of all) that has any."""
    found: Counter[ServiceId] = Counter()
    for waiting in ((_QUEUED,), (_HELD, _CLAIMED)):
        counted = select(starts.c.service_id, func.count()).where(*waiting).group_by(starts.c.service_id)
        if account_id is not None:
            own = select(services.c.id).where(services.c.account_id == account_id)
            counted = counted.where(starts.c.service_id.in_(own))
        for service_id, number in c.execute(counted).tuples():
            found[ServiceId(service_id)] += number
    return dict(found)


def first_waiting(c: Connection, service_id: ServiceId, *, limit: int) -> list[ServiceReference]:
    """Return the references of the first ``limit`` starts of a service that nobody is being dialled for."""
    waiting = select(starts.c.reference).where(starts.c.service_id == service_id)
    found = list(c.scalars(waiting.where(_HELD, _CLAIMED).limit(limit)))
    for priority in claims.waiting_priorities(c, service_id):
        if len(found) >= limit:
            break
        queued = waiting.where(_QUEUED, starts.c.priority == priority).order_by(starts.c.due_at, starts.c.id)
        found += c.scalars(queued.limit(limit - len(found)))
    return [ServiceReference(reference) for reference in found[:limit]]
