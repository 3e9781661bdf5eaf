"""Everything the queue knows of one start, for people who ask what became of it (``callwright explain``)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from callwright.outbound.start import StartState, StartStatus
from callwright.outbound.tables import attempts, requests, starts
from callwright.values.ids import AccountId, InstanceId, ServiceId, ServiceReference


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFacts:
    """One start as it is on disk. Times are epoch seconds; ``instances`` are those of its attempts so far, in order."""

    reference: ServiceReference
    account_id: AccountId
    service_id: ServiceId
    status: StartStatus
    given_to: str | None
    given_from: str
    unique_id: str | None
    queued_at: float
    due_at: float
    expires_at: float
    instances: tuple[InstanceId, ...]


def start_facts(c: Connection, reference: ServiceReference) -> StartFacts | None:
    """Return what is known of a start, None for a reference that is not known."""
    found = select(starts, requests.c.unique_id).join(requests).where(starts.c.reference == reference)
    row = c.execute(found).mappings().one_or_none()
    if row is None:
        return None
    tried = select(attempts.c.instance_id).where(attempts.c.start_id == row["id"]).order_by(attempts.c.n)
    return StartFacts(
        reference=reference,
        account_id=row["account_id"],
        service_id=row["service_id"],
        status=StartStatus(
            state=StartState(row["state"]),
            instance_id=row["instance_id"] or InstanceId(""),
            return_code=row["return_code"],
            reason=row["reason"] or "",
            finished_at=row["finished_at"],
        ),
        given_to=row["given_to"],
        given_from=row["given_from"],
        unique_id=row["unique_id"],
        queued_at=row["queued_at"],
        due_at=row["due_at"],
        expires_at=row["expires_at"],
        instances=tuple(c.scalars(tried)),
    )
