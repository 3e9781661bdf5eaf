"""What a customer may wish of one call beyond the published properties: when, how long, how urgently, whether again.

Every member is optional, and a call without any is treated exactly as if they did not exist. Times are epoch seconds.
(docs/reference/queue.md, wishes)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from callwright.outbound.calling_hours import CallingHours, parse_calling_hours
from callwright.outbound.retry import RetryPlan, parse_retry
from callwright.values.errors import RequestError

T = TypeVar("T")

MAX_RING_S = 600.0
MAX_DURATION_S = 86400.0
MOST_URGENT = 10
EARLIEST, LATEST = 946_684_800.0, 4_102_444_800.0  # the years 2000 to 2099: milliseconds by mistake are none of them

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:[Zz]|[+-]\d{2}:?\d{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The wishes of one call; the defaults are none."""

    start_after: float | None = None
    expires_at: float | None = None
    ring_timeout_s: float | None = None
    max_duration_s: float | None = None
    priority: int = 0
    calling_hours: CallingHours | None = None
    retry: RetryPlan | None = None

    def due_at(self, now: float) -> float:
        """Return when a start queued now is first due."""
        earliest = now if self.start_after is None else max(now, self.start_after)
        return earliest if self.calling_hours is None else self.calling_hours.next_opening(earliest)

    def wait_until(self, *, now: float, due_at: float, max_wait_s: float) -> float:
        """Return until when a start queued now may wait: ``expires_at``, or ``max_wait_s`` after it is due."""
        return due_at + max_wait_s if self.expires_at is None else max(now, self.expires_at)


NO_WISHES: Final = Wishes()


def parse_wishes(call: Mapping[str, object], refuse: Callable[[str, str], None]) -> Wishes:
    """Parse the wishes of a call object; ``refuse`` is told the member at fault and what is wrong, for each mistake."""

    def read(name: str, parse: Callable[[object], T]) -> T | None:
        value = call.get(name)
        if value is None:
            return None
        try:
            return parse(value)
        except RequestError as error:
            refuse(f"{name}.{error.field}" if error.field else name, str(error))
            return None

    if call.keys().isdisjoint(_MEMBERS):
        return NO_WISHES
    wishes = Wishes(
        start_after=read("start_after", _instant),
        expires_at=read("expires_at", _instant),
        ring_timeout_s=read("ring_timeout", lambda value: _seconds(value, MAX_RING_S)),
        max_duration_s=read("max_duration", lambda value: _seconds(value, MAX_DURATION_S)),
        priority=read("priority", _priority) or 0,
        calling_hours=read("calling_hours", parse_calling_hours),
        retry=read("retry", parse_retry),
    )
    if wishes.start_after is not None and wishes.expires_at is not None and wishes.expires_at <= wishes.start_after:
        refuse("expires_at", "must be later than start_after")
    return wishes


_MEMBERS = frozenset(
    {"start_after", "expires_at", "ring_timeout", "max_duration", "priority", "calling_hours", "retry"}
)


def _instant(value: object) -> float:
    """Return epoch seconds from a number, or from ISO 8601 with a zone."""
    if isinstance(value, str) and _ISO.fullmatch(value):
        try:
            at = datetime.fromisoformat(value.upper()).timestamp()
        except (ValueError, OverflowError) as error:
            raise RequestError(f"is not a time: {error}", field="") from error
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        at = float(value)
    else:
        raise RequestError("must be epoch seconds, or a time such as 2030-01-31T09:00:00Z with its zone", field="")
    if not EARLIEST <= at < LATEST:
        raise RequestError("must lie in the years 2000 to 2099; numbers are seconds", field="")
    return at


def _seconds(value: object, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= most:
        raise RequestError(f"must be 1 to {most:g} seconds", field="")
    return float(value)


def _priority(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -MOST_URGENT <= value <= MOST_URGENT:
        raise RequestError(f"must be a whole number from -{MOST_URGENT} to {MOST_URGENT}", field="")
    return value
