"""What the operator has stopped from being dialled: everything, an account, or a service (docs/reference/queue.md).

A pause is a row, so it outlives the node. The stamp looks at these rows (``dialling.stamp``): once a pause is on disk
nobody more is dialled for what it covers, whatever a dispatcher believes. Paused starts wait; their time goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from callwright.outbound.tables import pauses
from callwright.values.ids import AccountId, ServiceId


class Scope(StrEnum):
    """What a pause covers."""

    ALL = "all"
    ACCOUNT = "account"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """One pause: of the account or service ``of`` (0 for everything), since ``paused_at`` (epoch seconds)."""

    scope: Scope
    of: int
    paused_at: float


@dataclass(frozen=True, slots=True)
class Pauses:
    """All pauses there are."""

    each: tuple[Pause, ...] = ()

    def hold(self, account_id: AccountId, service_id: ServiceId) -> bool:
        """Return whether starts of a service wait for a pause to end."""
        if not self.each:
            return False
        covering = {(Scope.ALL, 0), (Scope.ACCOUNT, account_id), (Scope.SERVICE, service_id)}
        return any((pause.scope, pause.of) in covering for pause in self.each)


def pause(c: Connection, scope: Scope, of: int, *, now: float) -> bool:
    """Begin a pause; return False when it had begun already."""
    if c.execute(select(pauses.c.of).where(pauses.c.scope == scope, pauses.c.of == of)).first() is not None:
        return False
    c.execute(insert(pauses), {"scope": scope, "of": of, "paused_at": now})
    return True


def resume(c: Connection, scope: Scope, of: int) -> bool:
    """End a pause; return False when there was none. What another pause covers too goes on waiting."""
    return bool(c.execute(delete(pauses).where(pauses.c.scope == scope, pauses.c.of == of)).rowcount)


def read_pauses(c: Connection) -> Pauses:
    """Return what is paused, oldest first."""
    rows = c.execute(select(pauses).order_by(pauses.c.paused_at, pauses.c.scope, pauses.c.of))
    return Pauses(tuple(Pause(scope=Scope(row.scope), of=row.of, paused_at=row.paused_at) for row in rows))
