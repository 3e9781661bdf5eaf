"""Pages that fail, answer nonsense or never: what the far end hears, the error page is told and the log keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.instances import Scene, play_out

from callwright.apps import return_codes
from callwright.apps.events import EventKind
from callwright.testing.web_application import Reply, action_list, say

NONSENSE = Reply(body=b"<html>It works!</html>")
WRONG = Reply(body=action_list({"play": {"play_list": [{"text_to_say": 5}]}}))


@pytest.mark.parametrize(
    ("reply", "code", "begins"),
    [
        (Reply(status=500), return_codes.PAGE_REQUEST_FAILED, "page request failed: POST http://127.0.0.1"),
        (Reply(status=404), return_codes.PAGE_REQUEST_FAILED, "page request failed: POST http://127.0.0.1"),
        (Reply(breaks=True), return_codes.PAGE_REQUEST_FAILED, "page request failed: POST http://127.0.0.1"),
        (NONSENSE, return_codes.INVALID_RESPONSE, "invalid response: is not JSON"),
        (Reply(body=b'{"actions": []}'), return_codes.INVALID_RESPONSE, "invalid response: api_version: is missing"),
        (
            WRONG,
            return_codes.INVALID_ACTION,
            "invalid action: actions[0].play.play_list[0].text_to_say: must be a string",
        ),
        (
            Reply(body=action_list({"connect": {"destinations": ["tel:1"]}})),
            return_codes.INVALID_ACTION,
            "invalid action: actions[0].connect: the action is known, but not available in this version",
        ),
        (
            Reply(body=action_list({"play": {"play_list": [{"file_to_play": "not/there.wav"}]}})),
            return_codes.MEDIA_NOT_AVAILABLE,
            "media not available: there is no file 'not/there.wav' in the media store",
        ),
    ],
)
def test_failing_first_page_asks_the_error_page_then_the_final_page(
    tmp_path: Path, reply: Reply, code: int, begins: str
) -> None:
    async def story(here: Scene) -> None:
        here.web.reply("/first", reply)
        order = here.order()
        result = await here.run(order)
        assert result.return_code == code
        assert here.web.paths() == ["/first", "/error", "/final"]
        told = here.web.infos("/error")[0]
        assert told["is_notification"] is True
        assert told["error_result"]["result"].startswith(begins)
        assert told["this_call"]["call_state"] == "answered"
        assert here.web.infos("/final")[0]["this_call"]["call_cause"] == "completed"
        status = await here.status(order)
        assert status["adr"]["exit_status"] == code
        assert [error["error_code"] for error in status["errs"].values()] == ["2008"]
        assert status["errs"]["0"]["error_text"] == return_codes.error_text("reminder", code)
        assert begins.partition(":")[0] in here.log_text(order)

    play_out(tmp_path, story)


def test_problem_in_an_action_names_the_action(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", say("Hello."), {"play": {"play_list": [{"file_to_play": "gone.wav"}]}})
        await here.run(here.order())
        assert here.web.infos("/error")[0]["error_result"]["action"] == "play"

    play_out(tmp_path, story)


def test_page_that_never_answers_fails_after_the_time_out(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.reply("/first", Reply(delay_s=None))
        result = await here.run(here.order())
        assert result.return_code == return_codes.PAGE_REQUEST_FAILED
        assert "no complete answer within 0.3 s" in here.web.infos("/error")[0]["error_result"]["result"]

    play_out(tmp_path, story, total_timeout_s=0.3)


def test_failing_error_and_final_pages_change_nothing(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.reply("/first", Reply(status=500))
        here.web.reply("/error", Reply(status=500))
        here.web.reply("/final", NONSENSE)
        order = here.order()
        result = await here.run(order)
        assert result.return_code == return_codes.PAGE_REQUEST_FAILED
        assert here.web.paths() == ["/first", "/error", "/final"]
        assert len(here.told(EventKind.PAGE_FAILED)) == 2

    play_out(tmp_path, story)


def test_failing_final_page_after_a_good_call_is_no_error_of_the_instance(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.reply("/final", Reply(status=503))
        order = here.order()
        assert (await here.run(order)).return_code == return_codes.COMPLETED
        assert (await here.status(order))["errs"] == {}

    play_out(tmp_path, story)


def test_actions_of_the_final_page_are_skipped_with_a_warning(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/final", say("Nobody hears this."))
        order = here.order()
        assert (await here.run(order)).return_code == return_codes.COMPLETED
        assert here.tones.spoken == []
        assert "WARNING the final page's action play is skipped" in here.log_text(order)

    play_out(tmp_path, story)


def test_final_page_is_not_blamed_for_actions_that_need_no_reading(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/final", {"delete_file": {"filename": "/rest_api/x.wav"}}, {"play": 5}, {"connect": {}})
        order = here.order()
        await here.run(order)
        log = here.log_text(order)
        for name in ("delete_file", "play", "connect"):
            assert f"WARNING the final page's action {name} is skipped" in log
        assert "page failed" not in log

    play_out(tmp_path, story)


def test_log_has_every_mistake_of_a_page_as_an_error(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"play": {"play_list": [{"text_to_say": 5}]}}, {"dance": {}})
        order = here.order()
        await here.run(order)
        log = here.log_text(order)
        assert "ERROR problem: invalid action: actions[0].play.play_list[0].text_to_say: must be a string" in log
        assert "ERROR also: actions[1].dance: there is no such action" in log

    play_out(tmp_path, story)


def test_log_shows_what_a_failing_page_answered(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.reply("/first", Reply(status=500, body=b"Traceback: no module named shop"))
        order = here.order()
        await here.run(order)
        log = here.log_text(order)
        assert "/first 500 (" in log
        assert "Traceback: no module named shop" in log

    play_out(tmp_path, story)


def test_endless_redirects_are_an_error_after_one_hundred(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"redirect": {"next_page": {"url": "/first"}}})
        result = await here.run(here.order())
        assert result.return_code == return_codes.INVALID_ACTION
        assert here.web.paths().count("/first") == 101
        assert "100 redirects" in here.web.infos("/error")[0]["error_result"]["result"]

    play_out(tmp_path, story)


def test_bug_in_the_platform_hangs_up_and_closes_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(here: Scene) -> None:
        async def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(type(here.around.speech), "render", broken)
        here.web.page("/first", say("Hello."))
        order = here.order()
        result = await here.run(order)
        assert result.return_code == return_codes.INTERNAL
        assert not here.engine.calls[-1].is_up
        assert here.web.paths() == ["/first", "/final"]
        assert (await here.status(order))["adr"]["exit_status"] == return_codes.INTERNAL

    play_out(tmp_path, story)
