"""Whether and when a call that reached nobody is tried again, as its customer asked.

A plan says for each way of not reaching somebody how long after the attempt ended the next one is due, and how often.
Only an attempt that came to its end on this node counts: what a crash or a stop cut off is never tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import msgspec

from callwright.values.errors import RequestError
from callwright.values.outcome import Cause, Outcome, RestCause

MIN_AFTER_S = 1.0
MAX_AFTER_S = 7 * 86400.0
MAX_TIMES = 100


class Unreached(StrEnum):
    """How an attempt reached nobody: the members of ``retry``."""

    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    """No such number or no way to it just now, as the network said: unobtainable, no channels, congestion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Try again ``after_s`` seconds after the end of the attempt, at most ``times`` times."""

    after_s: float
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlan:
    """What to do after each way of reaching nobody; None: nothing."""

    busy: Again | None = None
    no_answer: Again | None = None
    unreachable: Again | None = None

    def of(self, how: Unreached) -> Again | None:
        match how:
            case Unreached.BUSY:
                return self.busy
            case Unreached.NO_ANSWER:
                return self.no_answer
            case Unreached.UNREACHABLE:
                return self.unreachable

    def as_text(self) -> str:
        """Return the form in which the plan is stored."""
        return msgspec.json.encode(self).decode()


@lru_cache(maxsize=4096)
def stored_plan(text: str) -> RetryPlan:
    """Return the plan that ``as_text`` wrote."""
    return msgspec.json.decode(text, type=RetryPlan)


def unreached(outcome: Outcome) -> Unreached | None:
    """Return how a call that was placed reached nobody; None when it did, or when trying again is no use."""
    if outcome.was_answered:
        return None
    match outcome.rest_cause:
        case RestCause.BUSY:
            return Unreached.BUSY
        case RestCause.NO_ANSWER:
            return Unreached.NO_ANSWER
        case RestCause.UNOBTAINABLE:
            return Unreached.UNREACHABLE
        case _:
            return Unreached.UNREACHABLE if outcome.cause in (Cause.NOCHANNELS, Cause.CONGESTION) else None


def next_retry(plan: RetryPlan, how: Unreached, *, seen: Mapping[str, int], ended_at: float) -> float | None:
    """Return when the next attempt is due, None when there is none.

    ``seen`` counts the attempts so far by how they reached nobody, the one that just ended (at ``ended_at``) included.
    """
    again = plan.of(how)
    if again is None or seen.get(how, 0) > again.times:
        return None
    return ended_at + again.after_s


def parse_retry(value: object) -> RetryPlan:
    """Parse the ``retry`` of a call; raise ``RequestError`` whose field is the path of the member at fault."""
    names = [how.value for how in Unreached]
    if not isinstance(value, dict) or not value:
        raise RequestError(f"must be an object with one or more of {', '.join(names)}", field="")
    if unknown := sorted(str(name) for name in value.keys() - set(names)):
        raise RequestError(f"is not known: the members are {', '.join(names)}", field=unknown[0][:40])
    return RetryPlan(**{name: _again(value[name], name) for name in names if value.get(name) is not None})


def _again(value: object, name: str) -> Again:
    if not isinstance(value, dict):
        raise RequestError("must be an object with after and times", field=name)
    if unknown := sorted(str(member) for member in value.keys() - {"after", "times"}):
        raise RequestError("is not known: the members are after and times", field=f"{name}.{unknown[0][:40]}")
    after, times = value.get("after"), value.get("times", 1)
    if not isinstance(after, int | float) or isinstance(after, bool) or not MIN_AFTER_S <= after <= MAX_AFTER_S:
        raise RequestError(f"must be {MIN_AFTER_S:g} to {MAX_AFTER_S:g} seconds", field=f"{name}.after")
    if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= MAX_TIMES:
        raise RequestError(f"must be a whole number from 1 to {MAX_TIMES}", field=f"{name}.times")
    return Again(after_s=float(after), times=times)
