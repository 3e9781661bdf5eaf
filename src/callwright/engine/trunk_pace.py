"""How fast calls may go to one trunk: its own limit, lowered by itself while the trunk pushes back.

Pure; times are seconds of any one clock. Calls are evenly spaced. A 503 or 429 with Retry-After, or the third one
without within ten seconds, halves the rate (at most once a second: one overload brings many refusals). Retry-After
later, or after five seconds, the rate grows again by a thirtieth of its normal height a second (additive increase,
multiplicative decrease). A trunk without a limit of its own gets one at its last second's rate, which goes away when
it has grown back to that.
"""

from __future__ import annotations

from collections import deque

FLOOR_CPS = 0.2  # the lowest rate pushback leads to, so that recovery is always noticed
GROW_S = 30.0  # how long a rate takes from nothing to its normal height
HOLD_S = 5.0  # how long a lowered rate stays without a Retry-After
LONGEST_REST_S = 300.0  # what is believed of a Retry-After
STRIKES = 3  # how many refusals without Retry-After within STRIKE_S make pushback
STRIKE_S = 10.0
SAME_OVERLOAD_S = 1.0


class Pace:
    """The pace of one trunk. ``max_cps`` None is no limit."""

    def __init__(self, max_cps: float | None = None) -> None:
        self._max_cps = max_cps
        self._lowered: tuple[float, float] | None = None  # the rate after the last cut, and what it grows back to
        self._cut_at = float("-inf")
        self._grow_at = 0.0
        self._rest_until = 0.0
        self._strikes: deque[float] = deque(maxlen=STRIKES)
        self._last_sent: float | None = None
        self._promised: float | None = None
        self._recent: deque[float] = deque()

    def rate(self, now: float) -> float | None:
        """Return how many calls a second may go now, None for any number."""
        if self._lowered is None:
            return self._max_cps
        rate, ceiling = self._lowered
        grown = rate + max(0.0, now - self._grow_at) * ceiling / GROW_S
        if grown < ceiling:
            return grown
        self._lowered = None
        return self._max_cps

    def is_lowered(self, now: float) -> bool:
        """Whether the trunk gets fewer calls than it may because it pushed back."""
        self.rate(now)
        return self._lowered is not None

    def recovers_at(self, now: float) -> float | None:
        """Return when a lowered rate will have grown back unless more pushback comes, None when it is not lowered."""
        self.rate(now)
        if self._lowered is None:
            return None
        rate, ceiling = self._lowered
        return self._grow_at + (ceiling - rate) * GROW_S / ceiling

    def is_resting(self, now: float) -> bool:
        """Whether the trunk asked to be left alone (Retry-After): others go first (RFC 3261 section 21.5.4)."""
        return self.rest_left(now) > 0

    def rest_left(self, now: float) -> float:
        """Return for how many seconds more the trunk wants to be left alone, 0 when it does not."""
        return max(0.0, self._rest_until - now)

    def promise(self, now: float) -> float:
        """Return when one more call may go, counting those that were promised a moment before; not yet a promise."""
        return max(self.may_send_at(now), now if self._promised is None else self._promised + self._gap(now))

    def keep_promise(self, at: float) -> None:
        """Note that a call will go at a moment that ``promise`` returned."""
        self._promised = at

    def may_send_at(self, now: float) -> float:
        """Return the earliest moment, ``now`` or later, at which an INVITE may leave."""
        return now if self._last_sent is None else max(now, self._last_sent + self._gap(now))

    def sent(self, now: float) -> None:
        """Note that an INVITE left."""
        self._last_sent = now
        self._recent.append(now)
        while self._recent[0] <= now - 1.0:
            self._recent.popleft()

    def pushed_back(self, now: float, retry_after_s: int | None) -> bool:
        """Note a 503 or 429; return whether the rate was lowered for it."""
        if retry_after_s is None:
            self._strikes.append(now)
            if len(self._strikes) < STRIKES or now - self._strikes[0] > STRIKE_S:
                return False
            hold_s = HOLD_S
        else:
            hold_s = min(float(retry_after_s), LONGEST_REST_S)
            self._rest_until = max(self._rest_until, now + hold_s)
        self._grow_at = max(self._grow_at, now + hold_s)
        if now - self._cut_at < SAME_OVERLOAD_S:
            return False
        self._cut(now)
        return True

    def _cut(self, now: float) -> None:
        rate = self.rate(now)
        if self._lowered is not None:
            ceiling = self._lowered[1]
        elif self._max_cps is not None:
            ceiling = self._max_cps
        else:
            ceiling = max(1.0, float(sum(1 for at in self._recent if at > now - 1.0)))
        before = ceiling if rate is None else rate
        self._lowered = (max(before / 2, min(FLOOR_CPS, ceiling / 2)), ceiling)
        self._cut_at = now
        self._strikes.clear()

    def _gap(self, now: float) -> float:
        rate = self.rate(now)
        return 0.0 if rate is None else 1.0 / rate
