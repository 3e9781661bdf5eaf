"""A start and its states: one request to invoke an outbound service, one row of the queue (docs/reference/queue.md).

``queued``     waits its turn, its first one or, as its retry plan says, another. Left by a claim, a cancellation, a
               purge or expiry; a crash leaves it as it is. One that was dialled before has the instance of its last
               attempt, and if it is given up while it waits it is ``finished`` as that attempt was.
``claimed``    a dispatcher holds it; nobody was dialled. Left by the stamp, by going back to the queue (drain, crash)
               or by a verdict (policy, cancellation, purge).
``running``    stamped: an instance exists and somebody was, or may have been, dialled. It ends as ``finished``, or
               waits again if it reached nobody and its retry plan says so; after a crash it is closed, never queued.
``finished``   the instance ended with a return code.
``failed``     it could not run; nobody was dialled and the reason says why.
``cancelled``  taken back by its owner or purged before anybody was dialled.
``expired``    waited longer than a start may wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callwright.outbound.calling_hours import CallingHours
from callwright.values.ids import AccountId, InstanceId, ServiceId, ServiceReference, StartId


class StartState(StrEnum):
    QUEUED = "queued"
    CLAIMED = "claimed"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


MAY_FOLLOW: dict[StartState, frozenset[StartState]] = {
    StartState.QUEUED: frozenset({StartState.CLAIMED, StartState.CANCELLED, StartState.EXPIRED, StartState.FINISHED}),
    StartState.CLAIMED: frozenset(
        {StartState.QUEUED, StartState.RUNNING, StartState.FAILED, StartState.CANCELLED, StartState.FINISHED}
    ),
    StartState.RUNNING: frozenset({StartState.FINISHED, StartState.QUEUED}),
    StartState.FINISHED: frozenset(),
    StartState.FAILED: frozenset(),
    StartState.CANCELLED: frozenset(),
    StartState.EXPIRED: frozenset(),
}
"""Which states may follow which. Every statement of the queue names the state it leaves; the tests compare the two."""

OVER = frozenset(state for state, following in MAY_FOLLOW.items() if not following)
NOT_DIALLED = frozenset({StartState.QUEUED, StartState.CLAIMED})
"""The states in which nobody is being dialled: a cancellation keeps every telephone silent from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A start as its dispatcher holds it. Times are epoch seconds; ``attempt`` numbers the attempt it is due for;
    ``may_retry`` says that it has a retry plan, which is read again when the attempt is over.
    """

    id: StartId
    reference: ServiceReference
    account_id: AccountId
    service_id: ServiceId
    given_to: str | None
    given_from: str
    token: str | None
    outbound_parameters: str | None
    extra_sip_headers: tuple[tuple[str, str], ...]
    queued_at: float
    due_at: float
    expires_at: float
    attempt: int
    priority: int = 0
    ring_timeout_s: float | None = None
    max_duration_s: float | None = None
    calling_hours: CallingHours | None = None
    may_retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartStatus:
    """What is known of a start. ``instance_id`` is "" before one exists; ``reason`` is "" unless it could not run."""

    state: StartState
    instance_id: InstanceId
    return_code: int | None
    reason: str
    finished_at: float | None
