"""When to ask again for a start that is not over, and until when its records may be missing."""

from __future__ import annotations

from collections.abc import Iterator

from callwright.client.results import Status

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0
LONGEST_WAIT_FOR_RECORDS_S = 5.0


def pauses() -> Iterator[float]:
    """Yield how long to wait before each next look: quick at first, then calm."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(LONGEST_PAUSE_S, pause * 1.5)


def records_wait_s(status: Status, now: float) -> float:
    """Return how long until the records of a completed start can be asked for; clocks that differ cost little."""
    return min(LONGEST_WAIT_FOR_RECORDS_S, max(0.0, status.application_status_eta - now))
