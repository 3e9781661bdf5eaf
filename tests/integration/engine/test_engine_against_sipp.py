"""The call engine calls SIPp, an independent telephone: what it reports is what SIPp saw and did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from tests.support.engine_calls import Air, Told, on_the_air, order_to
from tests.support.sip_sipp import sipp, until
from tests.support.sipp import Sipp, SippResult, answering, needs_sipp

from callwright.engine.interface import CallFacts
from callwright.sip.auth import Credentials
from callwright.values.outcome import Cause, EndedBy, RestCause

pytestmark = needs_sipp

CLOSE_S = 0.05  # how far our instants may be from SIPp's
TRIES = 3  # a busy machine may delay one run; a wrong instant is wrong every time

Story = Callable[[Sipp], Awaitable[CallFacts]]


@pytest.fixture(scope="module")
def air() -> Iterator[Air]:
    with on_the_air() as opened:
        yield opened


def play(
    air: Air, scenario: str, story: Story, *, pause_ms: int = 0, repeats: bool = True
) -> tuple[CallFacts, SippResult]:
    """Run a story against a scenario; SIPp must have seen all of it."""

    async def run() -> tuple[CallFacts, SippResult]:
        with answering(scenario, pause_ms=pause_ms, repeats=repeats) as far:
            facts = await story(far)
            return facts, await asyncio.to_thread(far.finish)

    facts, seen = air.run(run())
    assert seen.all_succeeded, seen.why
    return facts, seen


def hang_up_at_once(air: Air) -> Story:
    async def story(far: Sipp) -> CallFacts:
        call = await air.place(order_to((far.host, far.port)))
        await call.hang_up()
        return call.facts

    return story


def not_answered(air: Air, *, ring_timeout_s: float = 10.0) -> Story:
    async def story(far: Sipp) -> CallFacts:
        told = Told()
        failed = await air.fail(order_to((far.host, far.port), ring_timeout_s=ring_timeout_s), told)
        assert told.steps == ["before_invite"]
        return failed.facts

    return story


def instants_agree(facts: CallFacts, seen: SippResult, *, ringing: str, answered: str, ended: str) -> str:
    """Say which instant of ours is too far from the SIPp message that made it, "" when none is."""
    for name, ours, gist in (
        ("initiated", facts.initiated_at, "> INVITE"),
        ("ringing", facts.ringing_at, ringing),
        ("answered", facts.answered_at, answered),
        ("ended", facts.ended_at, ended),
    ):
        theirs = next((message.at for message in seen.messages if message.gist == gist), None)
        if (ours is None) is not (theirs is None):
            return f"{name}: {ours} here, {theirs} there"
        if ours is not None and theirs is not None and abs(ours - theirs) > CLOSE_S:
            return f"{name}: {(ours - theirs) * 1000:.0f} ms apart"
    return ""


# --- answered


def test_call_we_hang_up_is_completed(air: Air) -> None:
    facts, seen = play(air, "answer", hang_up_at_once(air))
    outcome = facts.outcome
    assert outcome is not None
    assert (outcome.hangup_cause, outcome.rest_cause) == ("NORMAL(200)", RestCause.COMPLETED)
    assert outcome.ended_by is EndedBy.APPLICATION
    assert seen.gists == ["> INVITE", "< 180", "< 200", "> ACK", "> BYE", "< 200"]
    assert (facts.codec, facts.originating) == ("PCMA", "441908273800@sip-0-0-0.callwright.test")
    assert facts.media is not None


def test_call_goes_by_tcp_when_its_address_says_so(air: Air, tmp_path: Path) -> None:
    async def story() -> None:
        async with sipp("uas_we_hang_up", tmp_path, "-t", "t1") as far:
            call = await air.place(order_to("sip:1000@{}:{};transport=tcp".format(*far.address)))
            assert call.facts.remote == "{}:{}".format(*far.address)
            await call.hang_up()
            await far.succeeds()
            assert call.facts.outcome is not None
            assert call.facts.outcome.hangup_cause == "NORMAL(200)"

    air.run(story())


def test_keys_sent_as_info_reach_the_call(air: Air, tmp_path: Path) -> None:
    async def story() -> None:
        async with sipp("uas_sends_keys", tmp_path) as far:
            call = await air.place(order_to(far.address))
            assert [await call.keys.next(5.0), await call.keys.next(5.0)] == ["7", "#"]
            await call.hang_up()
            await far.succeeds()

    air.run(story())


@pytest.mark.parametrize(
    ("headers", "said"), [((), "11"), ((("Expires", "90"),), "90")], ids=["by us", "by the application"]
)
def test_invite_says_how_long_it_counts(air: Air, headers: tuple[tuple[str, str], ...], said: str) -> None:
    async def story(far: Sipp) -> CallFacts:
        call = await air.place(order_to((far.host, far.port), ring_timeout_s=10.2, headers=headers))
        await call.hang_up()
        return call.facts

    _, seen = play(air, "answer", story)
    assert [line for line in seen.messages[0].text.splitlines() if line.startswith("Expires:")] == [f"Expires: {said}"]


def test_call_the_far_end_hangs_up_keeps_its_reason(air: Air) -> None:
    async def story(far: Sipp) -> CallFacts:
        call = await air.place(order_to((far.host, far.port)))
        await call.wait_ended()
        await call.hang_up()
        return call.facts

    facts, _ = play(air, "uas_they_hang_up", story)
    outcome = facts.outcome
    assert outcome is not None
    assert (outcome.rest_cause, outcome.ended_by) == (RestCause.HUNG_UP, EndedBy.FAR_END)
    assert outcome.detail == 'Q.850;cause=16;text="Normal"'


@pytest.mark.parametrize(("scenario", "ended"), [("answer", "> BYE"), ("answer_hang_up", "< BYE")])
def test_instants_of_an_answered_call_are_those_the_far_end_saw(air: Air, scenario: str, ended: str) -> None:
    async def story(far: Sipp) -> CallFacts:
        call = await air.place(order_to((far.host, far.port)))
        if scenario == "answer":
            await asyncio.sleep(0.2)
            await call.hang_up()
        await call.wait_ended()
        return call.facts

    wrong = "not tried"
    for _ in range(TRIES):
        facts, seen = play(air, scenario, story, pause_ms=200)
        if not (wrong := instants_agree(facts, seen, ringing="< 180", answered="< 200", ended=ended)):
            break
    assert wrong == ""


@pytest.mark.parametrize("scenario", ["ring_without_tag", "early_media", "answer_in_183"])
def test_odd_ways_to_answer_are_answers(air: Air, scenario: str) -> None:
    facts, _ = play(air, scenario, hang_up_at_once(air), pause_ms=100)
    assert facts.outcome is not None
    assert facts.outcome.rest_cause is RestCause.COMPLETED
    assert facts.ringing_at is not None
    assert facts.codec == "PCMA"


def test_call_is_dialled_until_somebody_answers_without_a_word_before(air: Air) -> None:
    facts, seen = play(air, "slow_without_100", hang_up_at_once(air), pause_ms=700)
    assert facts.ringing_at is None
    assert seen.gists.count("> INVITE") >= 2
    assert facts.outcome is not None
    assert facts.outcome.was_answered


def test_repeated_answer_is_acknowledged_again(air: Air) -> None:
    async def story(far: Sipp) -> CallFacts:
        call = await air.place(order_to((far.host, far.port)))
        await until(lambda: far.result().gists.count("> ACK") == 3)
        assert call.is_up
        await call.hang_up()
        return call.facts

    play(air, "repeat_answer", story, pause_ms=50, repeats=False)


def test_answer_that_describes_no_sound_is_hung_up_as_an_error(air: Air) -> None:
    async def story(far: Sipp) -> CallFacts:
        told = Told()
        failed = await air.fail(order_to((far.host, far.port)), told)
        assert told.steps == ["before_invite"]
        return failed.facts

    facts, seen = play(air, "answer_without_sound", story)
    assert facts.outcome is not None
    assert facts.outcome.hangup_cause == "ERROR(488)"
    assert "sound" in facts.outcome.detail
    assert facts.answered_at is not None
    bye = next(message for message in seen.messages if message.gist == "> BYE")
    assert bye.header("Reason") == "SIP;cause=488"


def test_reinvite_without_an_offer_gets_ours_and_its_answer_counts(air: Air) -> None:
    async def story(far: Sipp) -> CallFacts:
        call = await air.place(order_to((far.host, far.port)))
        await until(lambda: call.facts.codec == "PCMU")
        await call.hang_up()
        return call.facts

    _, seen = play(air, "reinvite_without_offer", story)
    origins = [line.split() for m in seen.messages for line in m.text.splitlines() if not m.sent and line[:2] == "o="]
    assert [origin[2] for origin in origins] == ["1", "2"]
    assert origins[0][1] == origins[1][1]


# --- not answered


@pytest.mark.parametrize(
    ("scenario", "cause", "rest_cause"),
    [
        ("busy", "BUSY(486)", RestCause.BUSY),
        ("decline", "REJECTED(603)", RestCause.FAILED),
        ("unavailable", "NOCHANNELS(503)", RestCause.FAILED),
    ],
)
def test_refusal_is_the_far_end_s_and_keeps_its_code(
    air: Air, scenario: str, cause: str, rest_cause: RestCause
) -> None:
    facts, _ = play(air, scenario, not_answered(air))
    outcome = facts.outcome
    assert outcome is not None
    assert (outcome.hangup_cause, outcome.rest_cause, outcome.ended_by) == (cause, rest_cause, EndedBy.FAR_END)
    assert facts.answered_at is None
    assert facts.ended_at is not None


def test_what_a_refusal_says_about_later_and_why_is_kept(air: Air) -> None:
    facts, _ = play(air, "unavailable_later", not_answered(air))
    assert facts.outcome is not None
    assert facts.outcome.detail == "Service Unavailable; Q.850;cause=34"
    assert facts.retry_after_s == 30


def test_call_nobody_answers_is_cancelled_at_the_ring_timeout(air: Air) -> None:
    wrong = "not tried"
    for _ in range(TRIES):
        facts, seen = play(air, "no_answer", not_answered(air, ring_timeout_s=0.4))
        assert facts.outcome is not None
        assert (facts.outcome.hangup_cause, facts.outcome.ended_by) == ("NOANSWER(487)", EndedBy.PLATFORM)
        assert "0.4 s" in facts.outcome.detail
        assert seen.gists == ["> INVITE", "< 180", "> CANCEL", "< 200", "< 487", "> ACK"]
        if not (wrong := instants_agree(facts, seen, ringing="< 180", answered="none", ended="> CANCEL")):
            break
    assert wrong == ""


@pytest.mark.parametrize("scenario", ["answer_crosses_cancel", "uas_late_200"])
def test_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up(air: Air, scenario: str) -> None:
    facts, seen = play(air, scenario, not_answered(air, ring_timeout_s=0.3))
    assert facts.outcome is not None
    assert facts.outcome.hangup_cause == "NOANSWER(487)"
    assert facts.answered_at is None
    assert [gist for gist in seen.gists if gist[0] == ">"] == ["> INVITE", "> CANCEL", "> ACK", "> BYE"]


def test_far_end_that_asks_for_a_password_gets_it_from_the_route(air: Air) -> None:
    air.routes.credentials = Credentials(user="alice", password="open sesame")
    try:
        facts, seen = play(air, "digest", hang_up_at_once(air))
    finally:
        air.routes.credentials = None
    assert facts.outcome is not None
    assert facts.outcome.was_answered
    assert seen.gists[:4] == ["> INVITE", "< 401", "> ACK", "> INVITE"]


def test_far_end_that_asks_for_a_password_we_do_not_have_is_a_failure(air: Air) -> None:
    async def run() -> CallFacts:
        with answering("digest") as far:
            return (await air.fail(order_to((far.host, far.port)))).facts

    facts = air.run(run())
    assert facts.outcome is not None
    assert (facts.outcome.cause, facts.outcome.code) == (Cause.FAILED, 401)


# --- many


def test_a_hundred_calls_at_once_all_succeed_and_leave_nothing(air: Air) -> None:
    async def run() -> SippResult:
        with answering("answer", calls=100) as far:

            async def one() -> None:
                call = await air.place(order_to((far.host, far.port)))
                await asyncio.sleep(0.5)
                assert call.is_up
                await call.hang_up()
                assert call.facts.outcome is not None
                assert call.facts.outcome.rest_cause is RestCause.COMPLETED

            async with asyncio.TaskGroup() as calls:
                for _ in range(100):
                    calls.create_task(one())
            return await asyncio.to_thread(far.finish)

    seen = air.run(run())
    assert seen.all_succeeded, seen.why
    assert seen.succeeded == 100
