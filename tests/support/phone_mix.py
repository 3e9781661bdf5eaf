"""Telephones of every kind for campaigns, by the last digits of their numbers, and what is still up among them."""

from __future__ import annotations

import math
from pathlib import Path

from callwright.sandbox.observations import read_observations, read_rings

ANSWERS, BUSY, LATE, HANGS_UP, NEVER, PASSWORD = "8001", "8002", "8003", "8004", "8005", "8006"


def mixed_personas(*, hang_up_after_s: float) -> str:
    """Return the persona file of these telephones; one of them hangs up so long after its answer."""
    return f"""
personas:
  - {{number: "{ANSWERS}", name: answers, answer_after: 0.3}}
  - {{number: "{BUSY}", name: busy, reject: {{code: 486, reason: Busy Here, after: 0.2}}}}
  - {{number: "{LATE}", name: answers late, answer_after: 2.5}}
  - {{number: "{HANGS_UP}", name: hangs up, answer_after: 0.3, hang_up_after: {hang_up_after_s}}}
  - {{number: "{NEVER}", name: never answers}}
  - {{number: "{PASSWORD}", name: wants a password, answer_after: 0.2, digest: {{user: sandbox, password: sandbox}}}}
"""


def still_up(phones: Path, *, but: str | tuple[str, ...] = (), before: float = math.inf) -> list[str]:
    """Return the numbers whose call arrived before an instant (epoch seconds) and is not over.

    Numbers that end in ``but`` are left out.
    """
    ended = {seen.call_id for seen in read_observations(phones)}
    return [
        ring.dialled
        for ring in read_rings(phones)
        if ring.call_id not in ended and ring.at < before and not ring.dialled.endswith(but)
    ]
