from __future__ import annotations

from callwright.sandbox.persona import (
    Cue,
    HangUp,
    Listen,
    Persona,
    PlayTone,
    Press,
    Reject,
    Say,
    Wait,
)
from callwright.sandbox.script import (
    Answer,
    Command,
    EndCall,
    Hearing,
    MakeSound,
    Refuse,
    Ring,
    Script,
    Stage,
    StartEarlyMedia,
)

FRAME_S = 0.02


class Run:
    """A script that is told the time every 20 ms from 100.0 on; sounds last `sound_s` seconds."""

    def __init__(self, persona: Persona, *, sound_s: float = 0.5) -> None:
        self.script = Script(persona)
        self.frame = 0
        self.sound_s = sound_s
        self.sound_ends: float | None = None
        self.done: list[tuple[float, Command]] = []
        self.script.begin(self.now)
        self.take()

    @property
    def now(self) -> float:
        return 100.0 + self.frame * FRAME_S

    def take(self) -> None:
        for command in self.script.take_commands():
            self.done.append((round(self.now - 100.0, 2), command))
            if isinstance(command, MakeSound):
                self.sound_ends = self.now + self.sound_s

    def hear(self, hearing: Hearing, seconds: float) -> Run:
        for _ in range(round(seconds / FRAME_S)):
            self.frame += 1
            self.script.heard(hearing, self.now)
            if self.sound_ends is not None and self.now >= self.sound_ends - 1e-9:
                self.sound_ends = None
                self.script.sound_finished(self.now)
            self.script.advance(self.now)
            self.take()
        return self

    def speech(self, seconds: float) -> Run:
        return self.hear(Hearing.SPEECH, seconds)

    def quiet(self, seconds: float) -> Run:
        return self.hear(Hearing.QUIET, seconds)

    def beep(self) -> Run:
        return self.hear(Hearing.BEEP, FRAME_S)

    def key(self, key: str) -> Run:
        self.script.key(key, self.now)
        self.take()
        return self

    def commands(self) -> list[Command]:
        return [command for _, command in self.done]

    def sounds(self) -> list[str]:
        found = []
        for command in self.commands():
            match command:
                case MakeSound(sound=Say(text=text)):
                    found.append(text)
                case MakeSound(sound=Press(keys=keys)):
                    found.append(keys)
                case MakeSound():
                    found.append("tone")
        return found


def persona(**fields: object) -> Persona:
    return Persona(**{"number": "1", "name": "test", "final_after_s": 0.0, "ring_after_s": None} | fields)  # type: ignore[arg-type]


def test_rings_at_once_and_answers_when_its_time_has_come() -> None:
    run = Run(persona(ring_after_s=0.0, final_after_s=1.0)).quiet(2.0)

    assert run.done == [(0.0, Ring()), (1.0, Answer())]


def test_rings_late_when_told_to() -> None:
    assert Run(persona(ring_after_s=0.4, final_after_s=0.6)).quiet(1.0).done == [(0.4, Ring()), (0.6, Answer())]


def test_never_answers_without_a_moment_for_it() -> None:
    run = Run(persona(ring_after_s=0.0, final_after_s=None)).quiet(600.0)

    assert run.commands() == [Ring()]


def test_refuses_instead_of_answering() -> None:
    reject = Reject(code=486, reason="Busy Here")
    run = Run(persona(reject=reject, final_after_s=0.2)).quiet(1.0)

    assert run.done == [(0.2, Refuse(reject=reject))]
    assert run.script.stage is Stage.OVER


def test_a_cancelled_call_is_over() -> None:
    run = Run(persona(final_after_s=1.0)).quiet(0.5)

    run.script.cancelled(run.now)

    assert run.quiet(2.0).commands() == []


def test_a_telephone_that_answers_while_being_cancelled_answers_then() -> None:
    run = Run(persona(final_after_s=None, answers_cancel=True)).quiet(0.5)

    run.script.cancelled(run.now)
    run.take()

    assert run.commands() == [Answer()]


def test_steps_run_one_after_the_other() -> None:
    run = Run(
        persona(steps=(Say(text="a"), Wait(seconds=0.3), Press(keys="1"), PlayTone(frequencies=(440.0,), ms=100))),
        sound_s=0.5,
    ).quiet(3.0)

    assert [at for at, command in run.done if isinstance(command, MakeSound)] == [0.0, 0.8, 1.3]
    assert run.sounds() == ["a", "1", "tone"]


def test_hang_up_step_ends_the_call_once() -> None:
    run = Run(persona(steps=(Wait(seconds=0.5), HangUp(), Say(text="never")))).quiet(2.0)

    assert run.done == [(0.0, Answer()), (0.5, EndCall(why="its script ended"))]


def test_a_prompt_has_ended_after_the_silence_asked_for() -> None:
    run = Run(persona(steps=(Listen(cue=Cue.PROMPT_END, silence_s=1.0), Press(keys="1")))).speech(1.0)

    assert run.quiet(0.9).sounds() == []
    assert run.quiet(0.2).sounds() == ["1"]


def test_a_pause_within_a_prompt_is_not_its_end() -> None:
    run = Run(persona(steps=(Listen(cue=Cue.PROMPT_END), Press(keys="1"))))

    run.speech(1.0).quiet(0.8).speech(1.0).quiet(0.8)

    assert run.sounds() == []


def test_a_click_is_not_a_prompt() -> None:
    run = Run(persona(steps=(Listen(cue=Cue.PROMPT_END), Press(keys="1"))))

    assert run.speech(0.1).quiet(5.0).sounds() == []


def test_a_prompt_that_begins_while_it_speaks_itself_is_heard() -> None:
    run = Run(persona(steps=(Say(text="hello"), Listen(cue=Cue.PROMPT_END), Press(keys="1"))), sound_s=2.0)

    run.speech(0.5).quiet(1.6)

    assert run.sounds() == ["hello", "1"]


def test_each_prompt_counts_once() -> None:
    listen = Listen(cue=Cue.PROMPT_END)
    run = Run(persona(steps=(listen, Press(keys="1"), listen, Press(keys="2"))))

    run.speech(1.0).quiet(10.0)
    assert run.sounds() == ["1"]
    run.speech(1.0).quiet(1.2)
    assert run.sounds() == ["1", "2"]


def test_beep_is_waited_for() -> None:
    run = Run(persona(steps=(Listen(cue=Cue.BEEP), Say(text="message"))))

    run.speech(1.0).quiet(5.0)
    assert run.sounds() == []
    run.beep().quiet(0.1)
    assert run.sounds() == ["message"]


def test_beep_or_prompt_takes_whichever_comes_first() -> None:
    steps = (Listen(cue=Cue.BEEP_OR_PROMPT_END, silence_s=1.5), Say(text="message"))

    assert Run(persona(steps=steps)).speech(1.0).quiet(0.3).beep().quiet(0.1).sounds() == ["message"]
    assert Run(persona(steps=steps)).speech(1.0).quiet(1.6).sounds() == ["message"]
    assert Run(persona(steps=steps)).speech(1.0).quiet(1.2).sounds() == []


def test_a_key_is_waited_for() -> None:
    run = Run(persona(steps=(Listen(cue=Cue.KEY), Say(text="thanks")))).quiet(3.0)

    assert run.sounds() == []
    assert run.key("5").quiet(0.1).sounds() == ["thanks"]


def test_listening_goes_on_without_its_cue_after_the_timeout() -> None:
    run = Run(persona(steps=(Listen(cue=Cue.BEEP, timeout_s=2.0), Say(text="well"))))

    assert run.quiet(1.9).sounds() == []
    assert run.quiet(0.2).sounds() == ["well"]


def test_repeated_steps_run_as_often_as_their_cue_comes() -> None:
    run = Run(persona(steps=(Say(text="hello"),), repeat=(Listen(cue=Cue.BEEP), Say(text="again"))))

    run.quiet(1.0).beep().quiet(1.0).beep().quiet(1.0)

    assert run.sounds() == ["hello", "again", "again"]


def test_every_key_is_spoken() -> None:
    run = Run(persona(says_keys=True)).quiet(0.1).key("1").key("#").quiet(1.0).key("D")

    assert run.sounds() == ["one", "hash", "letter D"]


def test_keys_before_the_answer_are_not_spoken() -> None:
    assert Run(persona(says_keys=True, final_after_s=1.0)).key("1").quiet(2.0).sounds() == []


def test_hangs_up_when_spoken_to_for_too_long() -> None:
    run = Run(persona(patience_s=30.0)).speech(29.9)
    assert run.commands() == [Answer()]

    run.speech(0.2)

    assert run.commands()[-1] == EndCall(why="was spoken to for 30 s")


def test_patience_returns_whenever_it_may_say_something_itself() -> None:
    run = Run(persona(patience_s=30.0, repeat=(Listen(cue=Cue.BEEP), Say(text="yes"))))

    for _ in range(4):
        run.speech(20.0).beep()

    assert not any(isinstance(command, EndCall) for command in run.commands())


def test_hangs_up_some_time_after_the_answer() -> None:
    run = Run(persona(final_after_s=0.5, hang_up_after_s=2.0)).quiet(4.0)

    assert run.done == [(0.5, Answer()), (2.5, EndCall(why="hangs up 2 s after the answer"))]


def test_early_steps_are_heard_before_the_answer() -> None:
    run = Run(
        persona(final_after_s=0.2, early_steps=(Say(text="soon"),), steps=(Say(text="hello"),)), sound_s=1.0
    ).quiet(3.0)

    assert run.done == [
        (0.2, StartEarlyMedia()),
        (0.2, MakeSound(sound=Say(text="soon"))),
        (1.2, Answer()),
        (1.2, MakeSound(sound=Say(text="hello"))),
    ]


def test_nothing_happens_after_the_call_is_over() -> None:
    run = Run(persona(steps=(Wait(seconds=1.0), Say(text="never")), hang_up_after_s=2.0)).quiet(0.5)

    run.script.over()

    assert run.quiet(5.0).commands() == [Answer()]
