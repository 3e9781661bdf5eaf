from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import soundfile
from tests.support.stages import INSTANCE, Acting, act, read_fields

from callwright.accounts.service import Page
from callwright.apps.events import EventKind
from callwright.apps.rest.actions.record import Record, RecordResult
from callwright.apps.rest.document import ActionResult
from callwright.engine.interface import CallEnded, RecordingFormat
from callwright.testing.personas import Persona

SPEAKER = Persona(speaks_s=4.0)
NAME = f"/rest_api/recordings/2026/02/02/02_40_00_{INSTANCE}.wav"  # second 0 of the stage's clock


def record(**properties: Any) -> Record:
    fields, findings = read_fields({"next_page": {"url": "done"}} | properties)
    action = Record.read(fields)
    fields.finish()
    assert findings.problems == []
    return action


def test_recording_ends_on_silence_and_its_result_goes_to_the_next_page(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        done = await record(id="m1").run(here.stage)
        result = RecordResult(filename=NAME, contains_sound=True, seconds_duration=7.0, id="m1")
        assert done.page == Page(url="done")
        assert done.result == ActionResult(action="record", result=result)
        assert soundfile.info(str(tmp_path / NAME.lstrip("/"))).duration == pytest.approx(7.0)
        assert here.told(EventKind.RECORDING) == [f"{NAME} {tmp_path}{NAME}"]

    act(story, folder=tmp_path, persona=SPEAKER)


def test_second_recording_of_the_same_second_gets_a_number(tmp_path: Path) -> None:
    (tmp_path / NAME.lstrip("/")).parent.mkdir(parents=True)
    (tmp_path / NAME.lstrip("/")).touch()

    async def story(here: Acting) -> None:
        done = await record().run(here.stage)
        assert done.result is not None
        assert isinstance(done.result.result, RecordResult)
        assert done.result.result.filename == NAME.replace(".wav", "_1.wav")

    act(story, folder=tmp_path, persona=SPEAKER)


def test_stop_key_ends_the_recording_and_other_keys_do_not(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        here.at(1.0, lambda: here.call.press("5"))
        here.at(2.3, lambda: here.call.press("#"))
        await record().run(here.stage)
        assert here.call.recordings[0].reason == "stopped"
        assert here.now() == pytest.approx(2.3)
        assert here.told(EventKind.DIGIT) == ["#"]

    act(story, folder=tmp_path, persona=SPEAKER)


def test_without_stop_keys_every_key_is_ignored(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        here.at(1.0, lambda: here.call.press("#*1"))
        await record(barge_in_digits="").run(here.stage)
        assert here.call.recordings[0].reason == "silence"

    act(story, folder=tmp_path, persona=SPEAKER)


def test_key_typed_before_the_recording_does_not_stop_it(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        here.call.press("#")
        await record().run(here.stage)
        assert here.call.recordings[0].reason == "silence"
        assert here.stage.keys.take_waiting() == ""

    act(story, folder=tmp_path, persona=SPEAKER)


def test_longest_duration_ends_the_recording(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        await record(seconds_max_duration=2).run(here.stage)
        assert here.call.recordings[0].reason == "max_duration"
        assert here.call.recordings[0].duration_s == pytest.approx(2.0)

    act(story, folder=tmp_path, persona=SPEAKER)


def test_silent_far_end_ends_after_the_initial_silence_and_the_page_is_still_asked(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        done = await record(milliseconds_max_initial_silence=9000).run(here.stage)
        assert here.now() == 9.0
        assert done.page == Page(url="done")
        assert done.result is not None
        assert isinstance(done.result.result, RecordResult)
        assert not done.result.result.contains_sound

    act(story, folder=tmp_path)


def test_without_initial_silence_the_silence_limit_counts(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        await record(milliseconds_max_silence=2500).run(here.stage)
        assert here.now() == 2.5

    act(story, folder=tmp_path)


def test_format_is_that_of_the_action(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        await record(format="ulaw").run(here.stage)
        assert soundfile.info(here.call.recordings[0].path).subtype == "ULAW"

    act(story, folder=tmp_path, persona=SPEAKER)


def test_available_page_is_notified_with_the_result(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        done = await record(recording_available_page={"url": "there"}).run(here.stage)
        assert here.notified == [(Page(url="there"), done.result)]

    act(story, folder=tmp_path, persona=SPEAKER)


def test_hang_up_in_the_middle_keeps_the_recording_and_notifies(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        here.at(2.3, here.call.far_end_hangs_up)
        with pytest.raises(CallEnded):
            await record(recording_available_page={"url": "there"}).run(here.stage)
        assert soundfile.info(str(tmp_path / NAME.lstrip("/"))).duration == pytest.approx(2.0, abs=0.01)
        [(page, told)] = here.notified
        assert page == Page(url="there")
        assert isinstance(told.result, RecordResult)
        assert told.result.filename == NAME
        assert told.result.contains_sound

    act(story, folder=tmp_path, persona=SPEAKER)


def test_cancellation_leaves_a_valid_file(tmp_path: Path) -> None:
    async def story(here: Acting) -> None:
        running = asyncio.create_task(record().run(here.stage))
        here.at(1.3, running.cancel)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert soundfile.info(str(tmp_path / NAME.lstrip("/"))).duration == pytest.approx(1.0, abs=0.01)
        assert here.notified == []
        assert here.call.is_up

    act(story, folder=tmp_path, persona=SPEAKER)


def test_defaults_are_those_of_the_reference() -> None:
    action = record()
    assert action == Record(next_page=Page(url="done"))
    assert (action.max_duration_s, action.max_silence_ms, action.max_initial_silence_ms) == (60, 3000, 0)
    assert (action.barge_in_digits, action.format, action.beep) == ("#", None, False)
    assert record(format="alaw").format is RecordingFormat.ALAW
