"""What happens to a start, told as it happens: for the log, for ``call --watch`` and for tests that end a node at a
named step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from callwright.values.ids import InstanceId, ServiceReference


class Step(StrEnum):
    CLAIMED = "claimed"
    """Taken from the queue."""
    REFUSED = "refused"
    """Could not run: the detail is the reason."""
    STAMPED = "stamped"
    """The stamp and the open records are on disk; nothing was sent yet."""
    DIALLING = "dialling"
    """Its slot has come: the INVITE leaves in this turn of the event loop."""
    RELEASED = "released"
    """Put back in the queue, not dialled."""
    WITHDRAWN = "withdrawn"
    """Cancelled or purged after it was claimed and before it was dialled."""
    FINISHED = "finished"
    """The instance is over and all of it is on disk: the detail is the return code."""
    QUEUED_AGAIN = "queued again"
    """The instance is over, reached nobody, and its start waits for the next attempt: the detail is the return code."""
    EXPIRED = "expired"
    """Waited too long in the queue."""


@dataclass(slots=True, kw_only=True)
class StartEvent:
    """One step of one start; ``at`` is epoch seconds, ``instance_id`` None while there is none."""

    reference: ServiceReference
    step: Step
    at: float
    instance_id: InstanceId | None = None
    detail: str = ""
