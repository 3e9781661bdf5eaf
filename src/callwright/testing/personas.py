"""The people the fake engine reaches, chosen by the last four digits of the number.

The numbers are those of the simulated phone network, so a test or a demonstration behaves alike on both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from callwright.values.destination import Destination

SUFFIX_DIGITS = 4
TEST_NUMBER_PREFIX = "99900"  # an unassigned country code: such a number can never reach a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """What the far end does; all times in seconds.

    ``answers_after_s`` None means it never answers; ``refuses_with`` is a SIP code sent instead of an answer;
    ``presses`` are keys pressed ``presses_after_s`` after the first prompt that was played to its end; ``speaks_s`` is
    how long it talks into a recording; ``patience_s`` how much it listens to before it hangs up;
    ``redirects_to`` is the number ending it points to, followed where that is allowed.
    """

    rings_after_s: float | None = 0.1
    answers_after_s: float | None = 0.1
    refuses_with: int | None = None
    hangs_up_after_s: float | None = None
    presses: str = ""
    presses_after_s: float = 0.5
    speaks_s: float = 0.0
    patience_s: float | None = None
    redirects_to: str = ""


LISTENER = Persona()

PERSONAS: dict[str, Persona] = {
    "0001": Persona(answers_after_s=1.0, presses="1", speaks_s=2.0, patience_s=30.0),
    "0002": Persona(rings_after_s=None, refuses_with=486),
    "0003": Persona(refuses_with=603),
    "0004": Persona(answers_after_s=None),
    "0005": Persona(rings_after_s=None, refuses_with=404),
    "0006": Persona(rings_after_s=None, refuses_with=503),
    "0007": Persona(answers_after_s=1.0, speaks_s=6.0),
    "0009": LISTENER,
    "0010": Persona(answers_after_s=0.5, hangs_up_after_s=2.0),
    "0011": Persona(answers_after_s=2.0),
    "0012": Persona(rings_after_s=None, answers_after_s=0.0),
    "0013": LISTENER,
    "0014": Persona(rings_after_s=None, refuses_with=302, redirects_to="0001"),
    "0016": Persona(answers_after_s=None),
}


def persona_of(destination: Destination) -> Persona:
    """Return who answers at this destination: its last four digits choose, anyone else just listens."""
    digits = re.sub(r"\D", "", destination.address.partition("@")[0])
    return PERSONAS.get(digits[-SUFFIX_DIGITS:], LISTENER)
