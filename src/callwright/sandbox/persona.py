"""What a simulated telephone does with a call, as data (docs/reference/sandbox.md).

A persona decides the call first (ring, answer, refuse), then runs its steps one after the other, then its `repeat`
steps again and again until the call ends. All durations are seconds unless the name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cue(StrEnum):
    """What a `Listen` step waits for."""

    PROMPT_END = "prompt"
    BEEP = "beep"
    BEEP_OR_PROMPT_END = "beep_or_prompt"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Speak a text. The sound is a rendered phrase, or a tone sequence when nobody rendered it."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayTone:
    """Play a tone of `frequencies` (Hz) for `ms` milliseconds."""

    frequencies: tuple[float, ...]
    ms: int
    level_dbm0: float = -13.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Press keys out of `0123456789*#ABCD`."""

    keys: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Wait for a cue heard since the answer or the `Listen` before; go on without it after `timeout_s` (None: wait on).

    `silence_s` is how long it must be quiet after speech before a prompt counts as ended.
    """

    cue: Cue
    silence_s: float = 1.0
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """End the call."""


Step = Say | PlayTone | Press | Wait | Listen | HangUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A final response instead of an answer. `redirect_to` is the number ending a 302 points to."""

    code: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    redirect_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The user and password a caller must know."""

    user: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """One kind of simulated telephone. `number` is the end of the numbers it owns, or a full number.

    `ring_after_s` None: no 180. `final_after_s` counts from the INVITE to the answer or rejection; None: never.
    `early_steps` are heard before the answer (183 with a description) and delay it until they are done.
    `patience_s`: hang up after hearing so much speech since it last spoke or pressed a key itself.
    `hang_up_after_s` counts from the answer. `on_hold`: it answers and neither sends sound nor wants any.
    """

    number: str
    name: str
    ring_after_s: float | None = 0.0
    final_after_s: float | None = None
    reject: Reject | None = None
    early_steps: tuple[Step, ...] = ()
    steps: tuple[Step, ...] = ()
    repeat: tuple[Step, ...] = ()
    says_keys: bool = False
    patience_s: float | None = None
    hang_up_after_s: float | None = None
    digest: Digest | None = None
    forks: int = 1
    answers_cancel: bool = False
    on_hold: bool = False

    @property
    def listens(self) -> bool:
        """Whether what is said to it matters, so that the sound must be looked at."""
        steps = (*self.early_steps, *self.steps, *self.repeat)
        return self.patience_s is not None or any(isinstance(step, Listen) for step in steps)
