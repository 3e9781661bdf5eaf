"""Whatever a link does to a call within reason, the call ends exactly once on both sides and nothing is left."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.sip_link import CALLED, CALLER, Link, Weather
from tests.support.sip_talk import ANSWER, make_core, plan

from callwright.sip.core import SipCore
from callwright.sip.event import (
    Acked,
    Answered,
    ByeDone,
    CancelledByPeer,
    Ended,
    Event,
    Failed,
    ForkEnded,
    Invited,
    Reoffered,
)

# Four lost datagrams, two a way, cannot defeat the seven INVITEs of timers A and B, nor any longer series.
weathers = st.builds(
    Weather,
    lost=st.frozensets(st.integers(0, 12), max_size=2),
    doubled=st.frozensets(st.integers(0, 20), max_size=6),
    delays=st.lists(st.sampled_from([0.0, 0.02, 0.3, 0.7, 1.6]), max_size=6).map(tuple),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What both people do. Times are seconds after the INVITE was made or received."""

    answers: tuple[tuple[float, int, str], ...]  # (when, code, To tag) of the called side
    cancel_at: float | None
    caller_hangs_up_at: float
    called_hangs_up_at: float | None
    caller_reoffers_at: float | None


answers = st.tuples(
    st.floats(0, 6), st.sampled_from([100, 180, 183, 200, 200, 200, 404, 486, 603]), st.sampled_from(["", "fork"])
)
scripts = st.builds(
    Script,
    answers=st.lists(answers, max_size=4).map(tuple),
    cancel_at=st.none() | st.floats(0, 8),
    caller_hangs_up_at=st.floats(0, 60),
    called_hangs_up_at=st.none() | st.floats(0, 60),
    caller_reoffers_at=st.none() | st.floats(0, 12),
)


@dataclass
class People:
    """Plays a script and keeps everything both sides heard."""

    script: Script
    heard: dict[str, list[Event]] = field(default_factory=lambda: {"caller": [], "called": []})
    answered: bool = False
    refused: bool = False
    link: Link = field(init=False)
    handle: str = ""

    def __post_init__(self) -> None:
        self.caller = make_core(CALLER, prefix=0xA)
        self.called = make_core(CALLED, prefix=0xB)

    def play(self, there: Weather, back: Weather) -> None:
        self.link = Link(caller=self.caller, called=self.called, there=there, back=back, on_event=self.hear)
        self.handle = self.caller.invite(plan(peer=CALLED), 0.0)
        script = self.script
        if script.cancel_at is not None:
            self.link.at(script.cancel_at, lambda now: self.caller.cancel(self.handle, now))
        if script.caller_reoffers_at is not None:
            self.link.at(script.caller_reoffers_at, self.reoffer)
        self.link.at(70.0 + script.caller_hangs_up_at, lambda now: self.caller.bye(self.handle, now))
        self.link.run(until=1000.0)

    def reoffer(self, now: float) -> None:
        up = any(isinstance(event, Answered) for event in self.heard["caller"])
        over = any(isinstance(event, Ended | ByeDone) for event in self.heard["caller"])
        if up and not over:
            self.caller.reoffer(self.handle, b"v=0 hold", now)

    def hear(self, core: SipCore, event: Event, now: float) -> None:
        side = "caller" if core is self.caller else "called"
        self.heard[side].append(event)
        if isinstance(event, Invited):
            for after, code, tag in self.script.answers:
                self.link.at(now + after, lambda at, code=code, tag=tag: self.answer(event.handle, code, tag, at))  # type: ignore[misc]
            if self.script.called_hangs_up_at is not None:
                self.link.at(now + self.script.called_hangs_up_at, lambda at: self.called_leaves(event.handle, at))
        elif isinstance(event, Reoffered):
            core.answer_reinvite(event.handle, ANSWER, now)

    def answer(self, handle: str, code: int, tag: str, now: float) -> None:
        done = self.called.respond(handle, code, body=ANSWER if code == 200 else b"", now=now, to_tag=tag)
        self.answered |= done and code == 200
        self.refused |= done and code >= 300

    def called_leaves(self, handle: str, now: float) -> None:
        self.refused |= not self.words("called") and not self.answered
        self.called.bye(handle, now)

    def words(self, side: str) -> list[Event]:
        return [e for e in self.heard[side] if isinstance(e, Failed | Ended | ByeDone | CancelledByPeer)]


@settings(max_examples=400, deadline=None)
@given(script=scripts, there=weathers, back=weathers)
def test_every_call_ends_exactly_once_on_both_sides_and_leaves_nothing(
    script: Script, there: Weather, back: Weather
) -> None:
    people = People(script)
    people.play(there, back)
    story = people.link.carried

    assert len(people.words("caller")) == 1, story
    last = people.words("caller")[0]
    assert isinstance(last, Failed | Ended | ByeDone), story
    answered = [event for event in people.heard["caller"] if isinstance(event, Answered)]
    assert len(answered) == (0 if isinstance(last, Failed) else 1), story

    invited = [event for event in people.heard["called"] if isinstance(event, Invited)]
    assert len(invited) == 1, story
    words = people.words("called")
    assert len(words) <= 1, story
    acked = [event for event in people.heard["called"] if isinstance(event, Acked)]
    if answered or acked:
        assert len(words) == 1, story
        assert isinstance(words[0], Ended | ByeDone), story
    else:
        assert (len(words) == 1) is not people.refused, story

    for core in (people.caller, people.called):
        assert core.calls() == 0, story
        assert core.dialogs() == 0, story
        assert core.wake_at() is None, story


@settings(max_examples=100, deadline=None)
@given(there=weathers, back=weathers, gap=st.floats(0, 3))
def test_of_two_telephones_that_answer_one_talks_and_the_other_is_hung_up(
    there: Weather, back: Weather, gap: float
) -> None:
    script = Script(
        answers=((0.5, 180, ""), (0.5, 180, "fork"), (1.0, 200, ""), (1.0 + gap, 200, "fork")),
        cancel_at=None,
        caller_hangs_up_at=0.0,
        called_hangs_up_at=None,
        caller_reoffers_at=None,
    )
    people = People(script)
    people.play(there, back)
    story = people.link.carried
    assert [type(event) for event in people.words("caller")] == [ByeDone], story
    assert [type(event) for event in people.words("called")] == [Ended], story
    assert len([event for event in people.heard["called"] if isinstance(event, ForkEnded)]) == 1, story
    assert people.caller.dialogs() == people.called.dialogs() == 0
