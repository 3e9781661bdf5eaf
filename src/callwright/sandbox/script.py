"""How a simulated telephone takes a call: the machine that turns a persona and what happens into commands.

It is told the time with every call and has no other clock. A call goes through these stages:

    RINGING   180 and the final response come when their moments have come
    EARLY     the early steps run, heard before the answer
    UP        answered: the steps run, then `repeat` for ever
    OVER      nothing more is decided

Steps run one after the other. One that makes a sound is done when the shell says so (`sound_finished`); `Wait` is done
at its moment; `Listen` is done when its cue was heard since the `Listen` before it was done, so that a prompt which
begins while the persona still speaks is not missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never

from callwright.sandbox.persona import Cue, HangUp, Listen, Persona, PlayTone, Press, Reject, Say, Step, Wait
from callwright.sandbox.personas import DIGIT_WORDS

FRAME_S = 0.02
MIN_SPEECH_S = 0.2
"""Less is a click, not a prompt."""


class Hearing(Enum):
    """What one 20 ms frame of the caller's sound is; `BEEP` is said once, at the end of a beep."""

    QUIET = auto()
    SPEECH = auto()
    BEEP = auto()


class Stage(Enum):
    RINGING = auto()
    EARLY = auto()
    UP = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Send 180."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartEarlyMedia:
    """Send 183 with a description and start sending sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Send 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Send this final response."""

    reject: Reject


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeSound:
    """Say, play or press, after whatever is sounding already."""

    sound: Say | PlayTone | Press


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall:
    """Send BYE. `why` is for the record."""

    why: str


Command = Ring | StartEarlyMedia | Answer | Refuse | MakeSound | EndCall


class Script:
    """One run of one persona. Call `begin` at the INVITE, then `advance` every 20 ms or so."""

    def __init__(self, persona: Persona) -> None:
        self._persona = persona
        self._stage = Stage.RINGING
        self._commands: list[Command] = []
        self._ring_at: float | None = None
        self._final_at: float | None = None
        self._answered_at = 0.0
        self._steps: list[Step] = []
        self._step: Step | None = None
        self._step_began = 0.0
        self._sounding = False
        self._speech_s = 0.0
        self._last_speech_at = 0.0
        self._beep = False
        self._key = False
        self._listened_s = 0.0

    @property
    def stage(self) -> Stage:
        return self._stage

    def begin(self, now: float) -> None:
        """The INVITE arrived (for a persona that asks for a password: the one that knew it)."""
        persona = self._persona
        self._ring_at = None if persona.ring_after_s is None else now + persona.ring_after_s
        self._final_at = None if persona.final_after_s is None else now + persona.final_after_s
        self.advance(now)

    def advance(self, now: float) -> None:
        """Time passed."""
        if self._stage is Stage.RINGING:
            self._advance_ringing(now)
        if self._stage is Stage.EARLY:
            self._run_steps(now)
            if self._step is None and not self._steps:
                self._answer(now)
        if self._stage is Stage.UP:
            self._run_steps(now)
            self._lose_patience(now)

    def cancelled(self, now: float) -> None:
        """The caller gave up before the answer. A persona that answers just then does so."""
        if self._stage in (Stage.RINGING, Stage.EARLY):
            if self._persona.answers_cancel:
                self._answer(now)
            else:
                self.over()

    def heard(self, hearing: Hearing, now: float) -> None:
        """One frame of the caller's sound arrived."""
        if hearing is Hearing.SPEECH:
            self._speech_s += FRAME_S
            self._listened_s += FRAME_S
            self._last_speech_at = now
        elif hearing is Hearing.BEEP:
            self._beep = True

    def key(self, key: str, now: float) -> None:
        """The caller pressed a key."""
        self._key = True
        if self._persona.says_keys and self._stage is Stage.UP:
            self._make(Say(text=DIGIT_WORDS[key]))

    def sound_finished(self, now: float) -> None:
        """Everything it was told to sound has been sent."""
        self._sounding = False
        self.advance(now)

    def over(self) -> None:
        """The call is over, whoever ended it."""
        self._stage = Stage.OVER

    def take_commands(self) -> list[Command]:
        """What to do since the last time."""
        commands, self._commands = self._commands, []
        return commands

    def _advance_ringing(self, now: float) -> None:
        if self._ring_at is not None and now >= self._ring_at:
            self._ring_at = None
            self._commands.append(Ring())
        if self._final_at is None or now < self._final_at:
            return
        if self._persona.reject is not None:
            self._commands.append(Refuse(reject=self._persona.reject))
            self.over()
        elif self._persona.early_steps:
            self._stage = Stage.EARLY
            self._commands.append(StartEarlyMedia())
            self._steps = list(self._persona.early_steps)
            self._forget()
        else:
            self._answer(now)

    def _answer(self, now: float) -> None:
        self._stage = Stage.UP
        self._answered_at = now
        self._commands.append(Answer())
        self._steps, self._step = list(self._persona.steps), None
        self._forget()

    def _run_steps(self, now: float) -> None:
        while self._stage is not Stage.OVER:
            if self._step is not None:
                if not self._done(self._step, now):
                    return
                if isinstance(self._step, Listen):
                    self._forget()
                self._step = None
            if not self._steps:
                if self._stage is not Stage.UP or not self._persona.repeat:
                    return
                self._steps = list(self._persona.repeat)
            self._step = self._steps.pop(0)
            self._begin_step(self._step, now)

    def _begin_step(self, step: Step, now: float) -> None:
        self._step_began = now
        match step:
            case Say() | PlayTone() | Press():
                self._make(step)
            case HangUp():
                self._end("its script ended")
            case Wait() | Listen():
                pass
            case _:
                assert_never(step)

    def _done(self, step: Step, now: float) -> bool:
        match step:
            case Say() | PlayTone() | Press():
                return not self._sounding
            case Wait():
                return now >= self._step_began + step.seconds
            case Listen():
                timed_out = step.timeout_s is not None and now >= self._step_began + step.timeout_s
                return timed_out or self._cue_heard(step, now)
            case HangUp():
                return True
            case _:
                assert_never(step)

    def _cue_heard(self, step: Listen, now: float) -> bool:
        prompt_ended = self._speech_s >= MIN_SPEECH_S and now - self._last_speech_at >= step.silence_s
        match step.cue:
            case Cue.PROMPT_END:
                return prompt_ended
            case Cue.BEEP:
                return self._beep
            case Cue.BEEP_OR_PROMPT_END:
                return self._beep or prompt_ended
            case Cue.KEY:
                return self._key
            case _:
                assert_never(step.cue)

    def _forget(self) -> None:
        """Cues count from here on: what was heard before has had its reaction."""
        self._speech_s, self._beep, self._key = 0.0, False, False

    def _make(self, sound: Say | PlayTone | Press) -> None:
        self._sounding = True
        self._listened_s = 0.0
        self._commands.append(MakeSound(sound=sound))

    def _lose_patience(self, now: float) -> None:
        limit, patience = self._persona.hang_up_after_s, self._persona.patience_s
        if limit is not None and now >= self._answered_at + limit:
            self._end(f"hangs up {limit:g} s after the answer")
        elif patience is not None and self._listened_s >= patience:
            self._end(f"was spoken to for {patience:g} s")

    def _end(self, why: str) -> None:
        if self._stage is Stage.UP:
            self._commands.append(EndCall(why=why))
            self.over()
