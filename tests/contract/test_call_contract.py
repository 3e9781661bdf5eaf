"""The contract of ``Engine`` and ``Call``: every implementation in ``tests.support.call_contract.WORLDS`` keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import soundfile
from tests.support.call_contract import WORLDS, Told, World, order_to, reach

from callwright.engine.interface import (
    Call,
    CallEnded,
    CallFacts,
    CallFailed,
    Keys,
    MediaUnavailable,
    RecordingFormat,
    RecordingOrder,
    Silence,
    SoundFile,
    Tone,
)
from callwright.values.destination import parse_destination
from callwright.values.outcome import Cause, EndedBy, RestCause

InWorld = Callable[[Callable[[World], Awaitable[None]]], None]

LONG = Silence(ms=20_000)
SHORT = Tone(frequencies=(440.0,), ms=200)


@pytest.fixture(params=WORLDS)
def in_world(request: pytest.FixtureRequest) -> InWorld:
    open_world = WORLDS[request.param]

    def run(story: Callable[[World], Awaitable[None]]) -> None:
        async def main() -> None:
            async with open_world() as world:
                async with asyncio.timeout(world.deadline_s):
                    await story(world)

        asyncio.run(main())

    return run


def recording(path: Path, *, beep: bool = False, **changes: float) -> RecordingOrder:
    limits = {"max_duration_s": 10.0, "max_silence_s": 1.0, "max_initial_silence_s": 2.0} | changes
    return RecordingOrder(
        path=str(path),
        max_duration_s=limits["max_duration_s"],
        max_silence_s=limits["max_silence_s"],
        max_initial_silence_s=limits["max_initial_silence_s"],
        beep=beep,
        format=RecordingFormat.ALAW,
    )


async def do(verb: str, call: Call, folder: Path) -> None:
    """Do something on a call that would take 20 s, or for ever."""
    match verb:
        case "play":
            await call.play([LONG])
        case "record":
            await call.record(recording(folder / "x.wav", max_initial_silence_s=20.0))
        case "next":
            await call.keys.next(None)
        case _:
            await call.keys.arrived()


# --- placing


def test_answered_call_tells_before_invite_then_on_answered_then_is_up(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        told = Told()
        order = order_to("0009")
        call = await world.engine.place(order, before_invite=told.before_invite, on_answered=told.on_answered)
        assert told.steps == ["before_invite", "on_answered"]
        assert told.saved
        assert call.is_up
        assert call.call_id == order.call_id
        facts = call.facts
        assert facts.initiated_at is not None
        assert facts.answered_at is not None
        assert facts.initiated_at <= facts.answered_at
        assert told.answered_at == facts.answered_at
        assert facts.outcome is None
        assert facts.ended_at is None
        await call.hang_up()

    in_world(story)


@pytest.mark.parametrize(
    ("persona", "cause", "code", "rest_cause"),
    [
        ("0002", Cause.BUSY, 486, RestCause.BUSY),
        ("0003", Cause.REJECTED, 603, RestCause.FAILED),
        ("0005", Cause.UNOBTAINABLE, 404, RestCause.UNOBTAINABLE),
        ("0006", Cause.NOCHANNELS, 503, RestCause.FAILED),
    ],
)
def test_refused_call_fails_with_the_code_of_the_far_end(
    in_world: InWorld, persona: str, cause: Cause, code: int, rest_cause: RestCause
) -> None:
    async def story(world: World) -> None:
        told = Told()
        with pytest.raises(CallFailed) as failed:
            await world.engine.place(order_to(persona), before_invite=told.before_invite, on_answered=told.on_answered)
        outcome, facts = failed.value.outcome, failed.value.facts
        assert (outcome.cause, outcome.code, outcome.rest_cause) == (cause, code, rest_cause)
        assert outcome.ended_by is EndedBy.FAR_END
        assert told.steps == ["before_invite"]
        assert facts.initiated_at is not None
        assert facts.answered_at is None
        assert facts.ended_at is not None
        assert facts.ended_at >= facts.initiated_at

    in_world(story)


def test_call_nobody_answers_fails_with_no_answer_after_the_ring_timeout(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        told = Told()
        with pytest.raises(CallFailed) as failed:
            await world.engine.place(
                order_to("0004", ring_timeout_s=1.0), before_invite=told.before_invite, on_answered=told.on_answered
            )
        assert failed.value.outcome.rest_cause is RestCause.NO_ANSWER
        assert failed.value.outcome.ended_by is EndedBy.PLATFORM
        assert failed.value.facts.ringing_at is not None

    in_world(story)


def test_exception_of_before_invite_is_passed_on_and_nothing_is_dialled(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        told = Told()

        async def refuse(saved: bytes) -> None:
            raise LookupError("the stamp was refused")

        with pytest.raises(LookupError, match="the stamp was refused"):
            await world.engine.place(order_to("0009"), before_invite=refuse, on_answered=told.on_answered)
        assert told.steps == []

    in_world(story)


def test_exception_of_on_answered_is_passed_on(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        told = Told()

        async def break_down(*_: object) -> None:
            raise LookupError("the answer could not be written")

        with pytest.raises(LookupError, match="the answer could not be written"):
            await world.engine.place(order_to("0009"), before_invite=told.before_invite, on_answered=break_down)

    in_world(story)


def test_cancelled_place_ends_with_cancellation_and_its_facts_tell_how(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        told = Told()
        order = order_to("0004", ring_timeout_s=60.0)
        facts = CallFacts(call_id=order.call_id, destination=order.destination)
        placing = asyncio.create_task(
            world.engine.place(order, before_invite=told.before_invite, on_answered=told.on_answered, facts=facts)
        )
        await told.inviting.wait()
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing
        assert facts.initiated_at is not None
        assert facts.ended_at is not None
        assert facts.outcome is not None
        assert (facts.outcome.code, facts.outcome.ended_by) == (487, EndedBy.PLATFORM)

    in_world(story)


def test_unreachable_number_is_refused_with_a_reason_and_a_reachable_one_is_not(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        assert world.engine.refusal(parse_destination("tel:999005550009")) is None
        refusal = world.engine.refusal(parse_destination("con:room"))
        assert refusal is not None
        assert "not available" in refusal.reason

    in_world(story)


# --- how a call ends


def test_hang_up_ends_the_call_as_completed_and_may_be_repeated(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009")
        await call.hang_up()
        await call.hang_up()
        outcome = await call.wait_ended()
        assert not call.is_up
        assert outcome.cause is Cause.NORMAL
        assert outcome.rest_cause is RestCause.COMPLETED
        assert outcome.ended_by is EndedBy.APPLICATION
        facts = call.facts
        assert facts.outcome == outcome
        assert facts.ended_at is not None
        assert facts.answered_at is not None
        assert facts.ended_at >= facts.answered_at

    in_world(story)


def test_far_end_hanging_up_ends_the_call_as_hung_up(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0010")
        outcome = await call.wait_ended()
        assert outcome.rest_cause is RestCause.HUNG_UP
        assert outcome.ended_by is EndedBy.FAR_END
        await call.hang_up()
        assert call.facts.outcome == outcome

    in_world(story)


def test_longest_duration_ends_the_call_by_the_platform(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009", max_duration_s=1.0)
        outcome = await call.wait_ended()
        assert outcome.ended_by is EndedBy.PLATFORM
        assert outcome.rest_cause is RestCause.COMPLETED

    in_world(story)


def test_several_may_wait_for_the_end_and_one_giving_up_disturbs_nobody(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009")
        patient = asyncio.create_task(call.wait_ended())
        impatient = asyncio.create_task(call.wait_ended())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait({impatient})
        assert call.is_up
        await call.hang_up()
        assert (await patient).rest_cause is RestCause.COMPLETED

    in_world(story)


@pytest.mark.parametrize("verb", ["play", "record", "next", "arrived"])
def test_far_end_hanging_up_ends_a_running_verb_with_call_ended(in_world: InWorld, verb: str, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0010")
        with pytest.raises(CallEnded) as ended:
            await do(verb, call, tmp_path)
        assert ended.value.outcome.ended_by is EndedBy.FAR_END

    in_world(story)


@pytest.mark.parametrize("verb", ["play", "record", "next"])
def test_verbs_after_the_end_raise_call_ended(in_world: InWorld, verb: str, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009")
        await call.hang_up()
        with pytest.raises(CallEnded):
            await do(verb, call, tmp_path)

    in_world(story)


# --- sound


def test_play_returns_when_all_sounds_were_played(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009")
        await call.play([SHORT, Silence(ms=100), Keys(digits="12")])
        assert call.is_up
        await call.hang_up()

    in_world(story)


def test_cancelled_play_leaves_the_call_up_and_usable(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009")
        playing = asyncio.create_task(call.play([LONG]))
        await asyncio.sleep(0.02)
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
        assert call.is_up
        await call.play([SHORT])
        await call.hang_up()

    in_world(story)


def test_missing_sound_is_media_unavailable_and_names_the_file(in_world: InWorld, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009")
        with pytest.raises(MediaUnavailable, match=r"nowhere\.wav"):
            await call.play([SoundFile(path=str(tmp_path / "nowhere.wav"))])
        assert call.is_up
        await call.hang_up()

    in_world(story)


def test_file_without_sound_is_media_unavailable(in_world: InWorld, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is no sound")

    async def story(world: World) -> None:
        call = await reach(world, "0009")
        with pytest.raises(MediaUnavailable, match=r"text\.wav"):
            await call.play([SoundFile(path=str(tmp_path / "text.wav"))])
        await call.hang_up()

    in_world(story)


# --- keys


def test_key_pressed_after_the_first_prompt_waits_until_it_is_taken(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0001")
        await call.play(world.prompt)
        await call.keys.arrived()
        assert call.keys.peek() == "1"
        assert await call.keys.next(0.0) == "1"
        assert call.keys.peek() == ""
        await call.hang_up()

    in_world(story)


def test_taking_all_keys_leaves_none(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0001")
        await call.play(world.prompt)
        await call.keys.arrived()
        assert call.keys.take_all() == "1"
        assert call.keys.take_all() == ""
        await call.hang_up()

    in_world(story)


def test_waiting_for_a_key_that_does_not_come_gives_none(in_world: InWorld) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009")
        assert await call.keys.next(0.5) is None
        await call.hang_up()

    in_world(story)


# --- recordings


def test_recording_keeps_what_the_far_end_says_and_ends_on_its_silence(in_world: InWorld, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0001")
        await call.play(world.prompt)
        recorded = await call.record(recording(tmp_path / "said.wav", max_initial_silence_s=5.0, beep=True))
        assert recorded.reason == "silence"
        assert recorded.contains_sound
        assert call.last_recording == recorded
        info = soundfile.info(recorded.path)
        assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "ALAW")
        assert info.frames > 0
        await call.hang_up()

    in_world(story)


def test_recording_of_silence_contains_no_sound(in_world: InWorld, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009")
        recorded = await call.record(recording(tmp_path / "nothing.wav", max_initial_silence_s=1.0))
        assert not recorded.contains_sound
        assert recorded.reason == "silence"
        assert soundfile.info(recorded.path).samplerate == 8000
        await call.hang_up()

    in_world(story)


def test_stopped_recording_ends_normally(in_world: InWorld, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0009")
        running = asyncio.create_task(call.record(recording(tmp_path / "x.wav", max_initial_silence_s=30.0)))
        await asyncio.sleep(0.05)
        call.stop_recording()
        recorded = await running
        assert recorded.reason == "stopped"
        assert call.is_up
        await call.hang_up()

    in_world(story)


def test_recording_cut_short_by_the_end_of_the_call_is_kept(in_world: InWorld, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        call = await reach(world, "0010")
        with pytest.raises(CallEnded):
            await call.record(recording(tmp_path / "cut.wav", max_initial_silence_s=30.0))
        kept = call.last_recording
        assert kept is not None
        assert kept.reason == "ended"
        assert soundfile.info(kept.path).samplerate == 8000

    in_world(story)
