"""How a start is told of to clients: the words, the time and the instance of ``service_status``; in this place only."""

from __future__ import annotations

import math
from functools import lru_cache

from callwright.outbound.reasons import Reason
from callwright.outbound.start import StartState, StartStatus
from callwright.web.answers import StartStatusAnswer

UNKNOWN = StartStatusAnswer(status="unknown", application_status_eta=0, application_instance_id="")


def status_answer(found: StartStatus | None) -> StartStatusAnswer:
    """Return the documented object of one start; None is a reference that is not known."""
    if found is None:
        return UNKNOWN
    return StartStatusAnswer(
        status=status_text(found),
        application_status_eta=eta(found.state, found.finished_at),
        application_instance_id=found.instance_id,
    )


def status_text(found: StartStatus) -> str:
    """Return the words of one start."""
    return words(found.state.value, found.return_code, found.reason)


@lru_cache(maxsize=1024)
def words(state: str, return_code: int | None, reason: str | None) -> str:
    """Return the word clients see for a ``StartState``, with the return code or the reason where there is one."""
    match StartState(state):
        case StartState.QUEUED | StartState.CLAIMED:
            return "queued"
        case StartState.RUNNING:
            return "running"
        case StartState.FINISHED:
            return f"completed {return_code}"
        case StartState.FAILED:
            return f"couldnotrun {reason}"
        case StartState.EXPIRED:
            return f"couldnotrun {Reason.QUEUE_TIME_LIMIT}"
        case StartState.CANCELLED:
            return "cancelled"


def eta(state: str, finished_at: float | None) -> int:
    """Return when application_status is ready: the first whole second not before the end; 0 when there is none yet."""
    return math.ceil(finished_at) if state == StartState.FINISHED.value and finished_at is not None else 0
