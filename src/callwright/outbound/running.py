"""Who is being called now, as the database knows it: for the operator (``callwright running``)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from callwright.accounts.tables import accounts, services
from callwright.outbound.start import StartState
from callwright.outbound.tables import attempts, starts
from callwright.records.tables import cdrs
from callwright.values.ids import InstanceId, ServiceReference

# Word for word the condition of the partial index (see ``tables``).
_HELD = text("starts.state IN ('claimed', 'running')")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStart:
    """A start whose instance is not over. Times are epoch seconds; ``answered_at`` is None while nobody answered."""

    reference: ServiceReference
    instance_id: InstanceId
    account: str
    service: str
    given_to: str | None
    attempt: int
    dialled_at: float
    answered_at: float | None


def running_starts(c: Connection, *, limit: int = 1000) -> list[RunningStart]:
    """Return the starts that are running, the first dialled first, at most ``limit``."""
    found = (
        select(
            starts.c.reference,
            starts.c.instance_id,
            accounts.c.username.label("account"),
            services.c.name.label("service"),
            starts.c.given_to,
            starts.c.attempt,
            attempts.c.dialled_at,
            cdrs.c.connected_at.label("answered_at"),
        )
        .join(accounts, accounts.c.id == starts.c.account_id)
        .join(services, services.c.id == starts.c.service_id)
        .join(attempts, attempts.c.instance_id == starts.c.instance_id)
        .outerjoin(cdrs, (cdrs.c.instance_id == starts.c.instance_id) & (cdrs.c.channel_type == "p"))
        .where(_HELD, starts.c.state == StartState.RUNNING)
        .order_by(attempts.c.dialled_at, attempts.c.id)
        .limit(limit)
    )
    return [RunningStart(**row) for row in c.execute(found).mappings()]


def running_instance(c: Connection, name: str) -> InstanceId | None:
    """Return the running instance that an instance id or a reference names, None when there is none."""
    named = (starts.c.reference == name) | (starts.c.instance_id == name)
    return c.scalar(select(starts.c.instance_id).where(named, starts.c.state == StartState.RUNNING))
