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
_OF_HEALTH = ("host", "port", "transport", "enabled", "check_every_s")
_OF_REGISTRATION = ("user", "password", "register", "expires_s", "from_domain")


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


def keeps_health(before: Trunk, after: Trunk) -> bool:
    """Whether what is known of a trunk's health still says something after a change of its set-up."""
    return all(getattr(before, name) == getattr(after, name) for name in _OF_HEALTH)


def keeps_registration(before: Trunk, after: Trunk) -> bool:
    """Whether a registration still holds after a change of its trunk's set-up."""
    return all(getattr(before, name) == getattr(after, name) for name in (*_OF_HEALTH, *_OF_REGISTRATION))


def changed_line(line: TrunkLine, trunk: Trunk, *, contact: str, chance: Callable[[], float], now: float) -> TrunkLine:
    """Return a trunk's line after a change of its set-up: calls and counts go on, the rest where it still holds."""
    new = open_line(trunk, contact=contact, chance=chance, now=now)
    new.calls = line.calls
    new.tally = line.tally
    if line.trunk.max_cps == trunk.max_cps:
        new.pace = line.pace
    if keeps_health(line.trunk, trunk):
        new.health = line.health
    if keeps_registration(line.trunk, trunk):
        new.registration, new.refused = line.registration, line.refused
    return new


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
