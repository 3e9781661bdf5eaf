"""The telephones every sandbox has, and how a dialled number finds its own (docs/reference/sandbox.md)."""

from __future__ import annotations

from collections.abc import Iterable

from callwright.sandbox.persona import (
    Cue,
    Digest,
    HangUp,
    Listen,
    Persona,
    PlayTone,
    Press,
    Reject,
    Say,
    Wait,
)

HELLO = "Hello, this is the simulated telephone."
MESSAGE = "This is my message. Everything I heard was clear. Thank you, and goodbye."
GREETING = "You have reached the answering machine. Nobody is here. Please leave a message after the tone."
EARLY = "The telephone you are calling will be answered in a moment."
DIGIT_WORDS = {
    "0": "zero",
    "1": "one",
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
    "*": "star",
    "#": "hash",
    "A": "letter A",
    "B": "letter B",
    "C": "letter C",
    "D": "letter D",
}

UNKNOWN_NUMBER = Reject(code=404, reason="Not Found")
_BEEP = PlayTone(frequencies=(1000.0,), ms=300)

BUILT_IN: tuple[Persona, ...] = (
    Persona(
        number="0001",
        name="answers and takes part",
        final_after_s=1.0,
        steps=(
            Say(text=HELLO),
            Listen(cue=Cue.PROMPT_END),
            Press(keys="1"),
            Listen(cue=Cue.BEEP_OR_PROMPT_END, silence_s=1.5),
            Say(text=MESSAGE),
        ),
        repeat=(Listen(cue=Cue.BEEP), Say(text=MESSAGE)),
        patience_s=30.0,
    ),
    Persona(
        number="0002",
        name="busy",
        ring_after_s=None,
        final_after_s=0.0,
        reject=Reject(code=486, reason="Busy Here"),
    ),
    Persona(number="0003", name="declines", final_after_s=0.5, reject=Reject(code=603, reason="Decline")),
    Persona(number="0004", name="never answers"),
    Persona(number="0005", name="unknown number", ring_after_s=None, final_after_s=0.0, reject=UNKNOWN_NUMBER),
    Persona(
        number="0006",
        name="network fault",
        ring_after_s=None,
        final_after_s=0.0,
        reject=Reject(code=503, reason="Service Unavailable", headers=(("Retry-After", "30"),)),
    ),
    Persona(
        number="0007",
        name="answering machine",
        final_after_s=1.0,
        steps=(
            Say(text=GREETING),
            _BEEP,
            Listen(cue=Cue.PROMPT_END, silence_s=4.0, timeout_s=60.0),
            _BEEP,
            HangUp(),
        ),
    ),
    Persona(
        number="0008",
        name="fax machine",
        final_after_s=1.0,
        # The answer tone of a fax machine (ITU-T T.30, section 4.1.1): 2100 Hz for 2.6 to 4 s.
        steps=(Wait(seconds=1.0), PlayTone(frequencies=(2100.0,), ms=3000)),
        hang_up_after_s=35.0,
    ),
    Persona(number="0009", name="answers, says nothing", final_after_s=0.5),
    Persona(number="0010", name="answers and hangs up after 2 s", final_after_s=0.5, hang_up_after_s=2.0),
    Persona(number="0011", name="early media, then answers", final_after_s=1.0, early_steps=(Say(text=EARLY),)),
    Persona(number="0012", name="speaks every key it hears", ring_after_s=None, final_after_s=0.0, says_keys=True),
    Persona(
        number="0013",
        name="asks for digest authentication",
        final_after_s=0.5,
        digest=Digest(user="sandbox", password="sandbox"),
    ),
    Persona(
        number="0014",
        name="redirects to 0001",
        ring_after_s=None,
        final_after_s=0.0,
        reject=Reject(code=302, reason="Moved Temporarily", redirect_to="0001"),
    ),
    Persona(number="0015", name="answers twice, as two forks", final_after_s=0.5, forks=2),
    Persona(number="0016", name="answers while being cancelled", answers_cancel=True),
)


def find_persona(dialled: str, personas: Iterable[Persona]) -> Persona | None:
    """Return the persona that owns a dialled number: the longest ending wins, and of equal ones the later."""
    best: Persona | None = None
    for persona in personas:
        if dialled.endswith(persona.number) and (best is None or len(persona.number) >= len(best.number)):
            best = persona
    return best
