"""One leg: its few names, and how its end reaches whoever does something on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import pytest

from callwright.engine import call as call_module
from callwright.engine.call import OutgoingCall
from callwright.engine.interface import (
    Call,
    CallEnded,
    CallFacts,
    CallProgress,
    MediaUnavailable,
    RecordingOrder,
    Silence,
    Sound,
)
from callwright.engine.media_client import Digit, Leg, LegEvent, LegStats, MediaError, PlaybackEnded, RecordingEnded
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy, answered_outcome

# A Call offers the verbs of one leg and facts about it. What has a life of its own (a menu, a conference) uses a Call:
# a name more here needs a better reason than being handy.
NAMES_OF_A_CALL = {
    "call_id", "facts", "hang_up", "is_up", "keys", "last_recording", "play", "record", "stop_recording", "wait_ended",
}  # fmt: skip
NAMES_FOR_THE_ENGINE = {
    "close_media", "end", "finish_recording", "is_recording", "key_told", "over", "state", "wait_closed", "went_up",
}  # fmt: skip

HUNG_UP = answered_outcome(ended_by=EndedBy.FAR_END)
LIMIT = answered_outcome(ended_by=EndedBy.PLATFORM, detail="limit")
ORDER = RecordingOrder(path="x.wav", max_duration_s=1, max_silence_s=1, max_initial_silence_s=1)


class StubLeg:
    """A media leg that does nothing until it is told how it went."""

    def __init__(self) -> None:
        self.on_event: Callable[[LegEvent], None] = lambda event: None
        self.playing: asyncio.Future[PlaybackEnded] = asyncio.get_running_loop().create_future()
        self.recording: asyncio.Future[RecordingEnded] = asyncio.get_running_loop().create_future()
        self.closed = 0
        self.interrupted = False

    async def play(self, sounds: Sequence[Sound]) -> PlaybackEnded:
        return await self.playing

    async def record(self, path: str, **limits: object) -> RecordingEnded:
        return await self.recording

    def stop_recording(self) -> None:
        if not self.recording.done():
            self.recording.set_result(
                RecordingEnded(path="x.wav", duration_s=1.0, contains_sound=True, reason="stopped")
            )

    def interrupt(self) -> None:
        if not self.playing.done():
            self.interrupted = True
            self.playing.set_exception(MediaError("stopped"))
            self.playing.exception()

    def begin_close(self) -> asyncio.Future[LegStats]:
        self.closed += 1
        closed: asyncio.Future[LegStats] = asyncio.get_running_loop().create_future()
        closed.set_result(LegStats())
        return closed


class Stage:
    """A call on a stub leg with a clock that counts."""

    def __init__(self) -> None:
        self.leg = StubLeg()
        self.byes: list[str | None] = []
        self.progress: list[str] = []
        self.time = 100.0
        self.call = OutgoingCall(
            facts=CallFacts(call_id=CallId("0.1.1"), destination=parse_destination("sip:bob@example.com")),
            leg=cast("Leg", self.leg),
            send_bye=self.byes.append,
            clock=lambda: self.time,
            on_progress=self._progressed,
        )
        self.call.went_up()

    def _progressed(self, progress: CallProgress) -> None:
        self.progress.append(f"{progress.what} {progress.detail}")


def on_stage(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        await story(Stage())

    asyncio.run(main())


def public_names(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_a_call_has_ten_names_and_the_real_one_nine_more_for_the_engine() -> None:
    async def story(stage: Stage) -> None:
        assert public_names(Call) == NAMES_OF_A_CALL
        assert public_names(stage.call) == NAMES_OF_A_CALL | NAMES_FOR_THE_ENGINE

    on_stage(story)


def test_our_bye_fixes_the_outcome_and_the_end_and_stops_what_plays() -> None:
    async def story(stage: Stage) -> None:
        talking = asyncio.create_task(stage.call.play([Silence(ms=1)]))
        await asyncio.sleep(0)
        stage.call.end(LIMIT, reason="SIP;cause=1")
        stage.call.end(HUNG_UP)
        assert stage.byes == ["SIP;cause=1"]
        with pytest.raises(CallEnded) as ended:
            await talking
        assert ended.value.outcome is LIMIT
        assert stage.leg.interrupted
        stage.time = 132.0
        stage.call.over(HUNG_UP)
        assert await stage.call.wait_ended() is LIMIT
        assert (stage.call.facts.ended_at, stage.call.facts.outcome) == (100.0, LIMIT)

    on_stage(story)


def test_hang_up_waits_for_the_end_of_the_dialog_and_the_media() -> None:
    async def story(stage: Stage) -> None:
        left: list[OutgoingCall] = []
        hanging_up = asyncio.create_task(stage.call.hang_up())
        await asyncio.sleep(0)
        stage.call.over(HUNG_UP)
        assert not hanging_up.done()
        stage.call.close_media(left.append)
        await hanging_up
        assert left == [stage.call]
        await stage.call.hang_up()
        assert stage.leg.closed == 1
        assert stage.byes == [None]

    on_stage(story)


def test_media_lost_as_the_call_ends_are_its_end_and_no_fault_of_the_sound() -> None:
    async def story(stage: Stage) -> None:
        verbs = [asyncio.create_task(stage.call.play([Silence(ms=1)])), asyncio.create_task(stage.call.record(ORDER))]
        for _ in range(3):
            await asyncio.sleep(0)
        stage.leg.playing.set_exception(MediaError("the worker died"))
        stage.leg.recording.set_exception(MediaError("the worker died"))
        stage.call.end(LIMIT)
        for verb in verbs:
            with pytest.raises(CallEnded):
                await verb

    on_stage(story)


def test_sound_that_cannot_be_played_is_media_unavailable() -> None:
    async def story(stage: Stage) -> None:
        stage.leg.playing.set_exception(MediaError("no such file"))
        with pytest.raises(MediaUnavailable, match="no such file"):
            await stage.call.play([Silence(ms=1)])
        assert stage.call.is_up

    on_stage(story)


def test_recording_cut_short_by_the_end_is_kept_as_ended() -> None:
    async def story(stage: Stage) -> None:
        recording = asyncio.create_task(stage.call.record(ORDER))
        await asyncio.sleep(0)
        with pytest.raises(MediaUnavailable, match="one at a time"):
            await stage.call.record(ORDER)
        stage.call.over(HUNG_UP)
        with pytest.raises(CallEnded):
            await recording
        assert stage.call.last_recording is not None
        assert stage.call.last_recording.reason == "ended"

    on_stage(story)


def test_keys_are_told_and_wait_until_the_call_is_over() -> None:
    async def story(stage: Stage) -> None:
        stage.leg.on_event(Digit(key="4", duration_ms=40, at=1.0))
        assert stage.call.keys.peek() == "4"
        assert stage.progress == ["key 4"]
        stage.call.over(HUNG_UP)
        stage.leg.on_event(Digit(key="5", duration_ms=40, at=1.0))
        assert stage.call.keys.peek() == "4"

    on_stage(story)


def test_keys_sent_as_info_count_while_the_call_is_up() -> None:
    async def story(stage: Stage) -> None:
        stage.call.key_told("4")
        assert stage.call.keys.peek() == "4"
        stage.call.over(HUNG_UP)
        stage.call.key_told("5")
        assert stage.call.keys.peek() == "4"

    on_stage(story)


@pytest.mark.parametrize("info_first", [True, False])
def test_keys_sent_twice_count_once(info_first: bool) -> None:
    async def story(stage: Stage) -> None:
        for key in "112":
            if info_first:
                stage.call.key_told(key)
            stage.leg.on_event(Digit(key=key, duration_ms=40, at=1.0))
            if not info_first:
                stage.call.key_told(key)
        assert stage.call.keys.peek() == "112"

    on_stage(story)


def test_a_recording_whose_file_is_never_complete_holds_neither_its_asker_nor_the_end_of_the_call_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_module, "FILE_LIMIT_S", 0.05)

    async def story(stage: Stage) -> None:
        stage.leg.stop_recording = lambda: None  # type: ignore[method-assign]  # the disk stands still
        recording = asyncio.create_task(stage.call.record(ORDER))
        await asyncio.sleep(0)
        stage.call.over(HUNG_UP)
        async with asyncio.timeout(5):
            assert stage.call.is_recording
            await stage.call.finish_recording()
            stage.call.close_media(lambda call: None)
            await stage.call.wait_closed()
            with pytest.raises(CallEnded):
                await recording
        assert stage.leg.closed == 1

    on_stage(story)


def test_a_recording_whose_file_is_never_complete_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "FILE_LIMIT_S", 0.05)

    async def story(stage: Stage) -> None:
        stage.leg.stop_recording = lambda: None  # type: ignore[method-assign]
        recording = asyncio.create_task(stage.call.record(ORDER))
        await asyncio.sleep(0)
        recording.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait({recording})
        assert recording.cancelled()

    on_stage(story)
