"""What an instance leaves behind: records, its log, its files and what a watcher is told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.support.instances import Scene, play_out

from callwright.apps.events import EventKind
from callwright.testing.web_application import say
from callwright.values.times import rest_log_name


def test_records_have_the_times_and_the_seconds_of_speech(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        def spoken_by(voice: str) -> dict[str, object]:
            return {"play": {"play_list": [{"text_to_say": "Hello.", "tts_voice": voice}]}}

        standard = spoken_by("English US Male Cepstral David")
        here.web.page("/first", standard, standard, spoken_by("English US Female Polly Ruth"))
        order = here.order()
        await here.run(order)
        status = await here.status(order)
        facts = here.engine.calls[-1].facts
        cdr = status["cdrs"][order.call_id]
        assert cdr["destination_address"] == "tel:999005550009"
        assert cdr["call_connected_time"] == pytest.approx(facts.answered_at, abs=0.001)
        assert cdr["call_hangup_time"] == pytest.approx(facts.ended_at, abs=0.001)
        assert cdr["call_initiated_time"] == pytest.approx(facts.initiated_at, abs=0.001)
        assert status["adr"]["tts_seconds"] == pytest.approx(2.0, abs=0.3)
        assert status["adr"]["tts_neural_seconds"] == pytest.approx(1.0, abs=0.2)

    play_out(tmp_path, story)


def test_log_has_both_names_tells_the_story_and_hides_secrets(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        private = {"text_to_say": "Your code is 4711.", "text_is_private": True}
        here.web.page("/first", say("Hello.\nYou."), {"play": {"play_list": [private]}}, token="geheim")
        order = here.order()
        await here.run(order)
        status = await here.status(order)
        names = {str(path.relative_to(here.logs_root / "rest" / "1")) for path in here.logs_root.rglob("*.log")}
        assert names == {rest_log_name(order.started_at, order.instance_id), status["adr"]["rest_log_filename"]}
        text = here.log_text(order)
        assert "asking page: POST http://127.0.0.1" in text
        assert "action begun: play" in text
        assert "call ended: NORMAL(200)" in text
        assert "ended: 0 (completed)" in text
        for secret in ("4711", "geheim", "order-7"):
            assert secret not in text
        assert "[private]" in text
        assert all(line[:4].isdigit() for line in text.splitlines())
        assert not any("4711" in event.text for event in here.events)

    play_out(tmp_path, story)


def test_logs_and_recordings_lie_in_folders_that_only_we_may_open(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"record": {"next_page": {"url": "next"}, "seconds_max_duration": 1}})
        await here.run(here.order())
        kept = [*here.logs_root.rglob("*.log"), *here.media_root.rglob("*.wav")]
        assert {path.suffix for path in kept} == {".log", ".wav"}
        assert {stat.S_IMODE(path.parent.stat().st_mode) for path in kept} == {0o700}

    play_out(tmp_path, story)


def test_watcher_is_told_the_story_in_order(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        menu = {"menu_options": [{"digit": "1", "next_page": {"url": "/end"}}]}
        here.web.page("/first", say("Press one."), {"run_menu": menu})
        order = here.order("999005550001")
        await here.run(order)
        assert [event.kind for event in here.events] == [
            EventKind.DIALLING,
            EventKind.ANSWERED,
            EventKind.PAGE,
            EventKind.ACTION_BEGUN,
            EventKind.PROMPT,
            EventKind.ACTION_ENDED,
            EventKind.ACTION_BEGUN,
            EventKind.DIGIT,
            EventKind.ACTION_ENDED,
            EventKind.PAGE,
            EventKind.CALL_ENDED,
            EventKind.PAGE,
            EventKind.ENDED,
        ]
        assert here.told(EventKind.PROMPT) == ["text 'Press one.'"]
        assert here.told(EventKind.DIGIT) == ["1"]
        assert here.told(EventKind.PAGE)[0].endswith("/first 200")
        assert all(event.instance_id == order.instance_id for event in here.events)

    play_out(tmp_path, story)
