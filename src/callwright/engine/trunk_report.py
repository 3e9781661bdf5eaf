"""What people are told of a trunk: its set-up without its password, and how it does. Ready for JSON."""

from __future__ import annotations

from callwright.engine.trunk_line import TrunkLine
from callwright.engine.trunk_setup import Trunk


def setup_report(trunk: Trunk, source: str) -> dict[str, object]:
    """Return every field of a trunk; of the password only whether there is one. ``source`` is the configuration file
    that declares it, "" for a stored one.
    """
    return {
        "name": trunk.name,
        "source": source,
        "host": trunk.host,
        "port": trunk.port,
        "transport": trunk.transport.value,
        "enabled": trunk.enabled,
        "prefixes": [str(prefix) for prefix in trunk.prefixes],
        "user": trunk.user,
        "has_password": bool(trunk.password),
        "register": trunk.register,
        "expires_s": trunk.expires_s,
        "from_user": trunk.from_user,
        "from_domain": trunk.from_domain,
        "assert_identity": trunk.assert_identity,
        "withhold": trunk.withhold,
        "strip": trunk.strip,
        "add": trunk.add,
        "plus": trunk.plus,
        "codecs": list(trunk.codecs),
        "max_calls": trunk.max_calls,
        "max_cps": trunk.max_cps,
        "check_every_s": trunk.check_every_s,
    }


def state_report(line: TrunkLine, now: float) -> dict[str, object]:
    """Return how a trunk does at a moment of the loop's clock. ``rate`` is calls a second, None for any number."""
    registration = line.registration
    until = registration.until if registration is not None else None
    return {
        "state": line.state(now),
        "why_down": line.health.why_down,
        "calls": len(line.calls),
        "rate": line.pace.rate(now),
        "lowered": line.pace.is_lowered(now),
        "resting_for_s": round(line.pace.rest_left(now), 1) or None,
        "invites": line.tally.invites,
        "passed_on": line.tally.passed_on,
        "pushed_back": line.tally.pushed_back,
        "registered_for_s": round(until - now) if until is not None and until > now else None,
        "register_refused": line.refused.text if line.refused is not None else "",
    }
