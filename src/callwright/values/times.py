"""Times as records and answers show them (docs/reference/web-services.md, units).

Records keep the binary double of the clock; only these functions cut it, always by truncation, never by rounding.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache


def epoch(value: float) -> float:
    """Return an epoch time truncated to 4 decimals, on the binary double."""
    return math.trunc(value * 10_000) / 10_000


def duration(start: float, stop: float) -> float:
    """Return ``stop - start`` in seconds truncated to 2 decimals, on the binary doubles; never negative."""
    return max(0.0, math.trunc((stop - start) * 100) / 100)


def datetime_text(value: float) -> str:
    """Return ``YYYY-MM-DD_hh:mm:ss`` in UTC, whole seconds, truncated."""
    return datetime.fromtimestamp(math.floor(value), UTC).strftime("%Y-%m-%d_%H:%M:%S")


def rest_log_name(at: float, instance: str) -> str:
    """Return the name of an instance's REST log, e.g. ``2019/03/14/rest_14_15_49_<instance>.log`` (UTC)."""
    return f"{_log_second(math.floor(at))}{instance}.log"


@lru_cache(maxsize=64)
def _log_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y/%m/%d/rest_%H_%M_%S_")
