"""Slow down whoever guesses: pure, time is an argument (docs/reference/accounts.md, guessing).

A few failures are free; each further one doubles the pause before the next try is looked at. A success forgets them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

FREE_FAILURES = 10  # also how many different passwords of one account may be looked at for the first time at once
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
FORGET_AFTER_S = 900.0
MAX_REMEMBERED = 10_000


@dataclass(slots=True)
class _Record:
    failures: int
    last_at: float


class Throttle:
    """Remembers failures of the latest ``MAX_REMEMBERED`` guessers, by account and address. ``now`` in seconds."""

    def __init__(self) -> None:
        self._records: OrderedDict[Hashable, _Record] = OrderedDict()

    def wait_s(self, who: Hashable, now: float) -> float:
        """Return how long ``who`` must wait before the next try, 0.0 when it may try now."""
        record = self._records.get(who)
        if record is None or record.failures < FREE_FAILURES:
            return 0.0
        doublings = min(record.failures - FREE_FAILURES, 16)  # bounded: a day of failures must not overflow a float
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**doublings)
        return max(0.0, record.last_at + pause - now)

    def failed(self, who: Hashable, now: float) -> None:
        """Count a failure of ``who``."""
        record = self._records.pop(who, None)
        if record is None or now - record.last_at > FORGET_AFTER_S:
            record = _Record(failures=0, last_at=now)
        record.failures += 1
        record.last_at = now
        self._records[who] = record
        if len(self._records) > MAX_REMEMBERED:
            self._records.popitem(last=False)

    def succeeded(self, who: Hashable) -> None:
        """Forget the failures of ``who``."""
        self._records.pop(who, None)
