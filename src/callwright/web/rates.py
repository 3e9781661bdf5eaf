"""How often somebody may ask: a limit per second with room for a second's worth at once; time is an argument.

Each key has one number, the time at which its debt of requests is paid (the generic cell rate algorithm): a request
adds what one costs, and is held back while the debt is more than the burst. Being held back costs nothing, so a client
that waits as told is served.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache

MAX_REMEMBERED = 50_000  # of the keys seen last; who is forgotten begins with no debt


class RateLimit:
    """At most ``per_second`` requests a second for each key; 0.0 means no limit. Belongs to one event loop."""

    def __init__(self, per_second: float) -> None:
        self._cost_s = 1.0 / per_second if per_second > 0 else 0.0
        self._burst_s = max(1.0, self._cost_s)
        self._paid_at: OrderedDict[Hashable, float] = OrderedDict()

    @property
    def is_on(self) -> bool:
        return self._cost_s > 0

    def wait_s(self, key: Hashable, now: float) -> float:
        """Count a request and return 0.0, or return in how many seconds one would be taken. ``now`` is in seconds."""
        if not self.is_on:
            return 0.0
        paid_at = max(now, self._paid_at.pop(key, now)) + self._cost_s
        late = paid_at - now - self._burst_s
        # A hair of tolerance: sums of fractions of a second are not exact.
        self._paid_at[key] = paid_at if late <= 1e-9 else paid_at - self._cost_s
        if len(self._paid_at) > MAX_REMEMBERED:
            self._paid_at.popitem(last=False)
        return late if late > 1e-9 else 0.0


@lru_cache(maxsize=4096)
def address_key(address: str) -> str:
    """Return whom an address stands for: itself, or for IPv6 its /64, which one customer has for himself alone."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
