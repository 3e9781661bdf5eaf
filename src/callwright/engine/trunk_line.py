"""One trunk at work: its calls, its pace, its health and its registration.

Pure; times are loop seconds given as ``now``. Capacity is the set of the calls that are there, not a counter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from callwright.engine.trunk_health import Health
from callwright.engine.trunk_pace import Pace
from callwright.engine.trunk_setup import Trunk
from callwright.sip.registration import Registration
from callwright.values.ids import CallId

_PUSHBACK = (503, 429)


@dataclass(slots=True)
class Tally:
    """What a trunk did since this node knows it."""

    invites: int = 0
    passed_on: int = 0
    pushed_back: int = 0


@dataclass(slots=True)
class Refused:
    """Why the last REGISTER failed, and when it is tried again (loop seconds)."""

    text: str
    retry_at: float


@dataclass(slots=True, kw_only=True)
class TrunkLine:
    """A trunk and its state. ``calls`` are those it carries or that are about to be sent to it."""

    trunk: Trunk
    pace: Pace
    health: Health
    registration: Registration | None = None
    refused: Refused | None = None
    calls: set[CallId] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)

    @property
    def name(self) -> str:
        return self.trunk.name

    def blocked(self, now: float) -> str:
        """Return why the trunk cannot take one more call now, "" when it can."""
        if not self.trunk.enabled:
            return "disabled"
        if self.health.is_down:
            return "down"
        if self.registration is not None and not self.registration.is_registered(now):
            return "not registered"
        if self.trunk.max_calls is not None and len(self.calls) >= self.trunk.max_calls:
            return f"full ({self.trunk.max_calls} calls)"
        return ""

    def state(self, now: float) -> str:
        """Return one word (or two) for people: ``up``, ``down``, ``unchecked``, ``not registered`` …"""
        return self.blocked(now) or self.health.state.value

    def leaves(self, now: float) -> None:
        """Note that an INVITE leaves now."""
        self.pace.sent(now)
        self.tally.invites += 1

    def refusal(self, code: int, retry_after_s: int | None, now: float) -> bool:
        """Note a final response of this trunk; return whether its pace was lowered for it."""
        if code not in _PUSHBACK:
            return False
        self.tally.pushed_back += 1
        return self.pace.pushed_back(now, retry_after_s)


def open_line(trunk: Trunk, *, contact: str, chance: Callable[[], float], now: float) -> TrunkLine:
    """Return a trunk as it begins; ``contact`` is our address there, host and port as a URI writes them."""
    registers = trunk.enabled and trunk.register
    return TrunkLine(
        trunk=trunk,
        pace=Pace(trunk.max_cps),
        health=Health(every_s=trunk.check_every_s if trunk.enabled else 0, now=now),
        registration=Registration(
            contact=f"sip:{trunk.user}@{contact}", expires_s=trunk.expires_s, chance=chance, now=now
        )
        if registers
        else None,
    )
