"""An instance against a real web server and a real database, with a fake engine."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
from tests.support.instances import Scene, scene

from callwright.apps import return_codes
from callwright.apps.events import EventKind
from callwright.apps.instance import ask_final_page_later, run_instance
from callwright.engine.interface import Call, CallFacts, CallFailed
from callwright.records import ledger
from callwright.testing.web_application import Reply, action_list, say
from callwright.values.outcome import EndedBy, answered_outcome, failed_outcome
from callwright.values.times import rest_log_name

DEADLINE_S = 20.0

Story = Callable[[Scene], Awaitable[None]]


def play_out(tmp_path: Path, story: Story, **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S), scene(tmp_path, **options) as here:
            await story(here)

    asyncio.run(main(), debug=True)


# --- the order of pages


def test_first_next_and_final_page_are_asked_in_this_order_with_results_and_tokens(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        menu = {"menu_options": [{"digit": "1", "next_page": {"url": "pages/chosen"}}], "prompt": say("Press one.")}
        here.web.page("/first", say("Welcome."), {"run_menu": menu}, token="t-2")
        here.web.page("/pages/chosen", {"record": {"next_page": {"url": "recorded"}, "id": "r1"}})
        here.web.page("/pages/recorded", say("Goodbye."))
        order = here.order("999005550001")
        result = await here.run(order)

        assert result.return_code == return_codes.COMPLETED
        assert here.web.paths() == ["/first", "/pages/chosen", "/pages/recorded", "/final"]
        first, chosen, recorded, final = (one.info for one in here.web.asked)
        assert first is not None
        assert list(first) == ["application_instance_id", "token", "log_filename", "is_notification", "this_call"]
        assert first["application_instance_id"] == order.instance_id
        assert first["token"] == "order-7"
        assert first["log_filename"] == rest_log_name(order.started_at, order.instance_id)
        call = first["this_call"]
        assert 0.0 <= call.pop("seconds_call_duration") < 5.0
        assert call == {
            "call_id": order.call_id,
            "call_direction": "out",
            "call_from": "441908273800",
            "call_to": "999005550001",
            "call_target": "999005550001",
            "call_divert": "",
            "call_state": "answered",
            "application_parameters": "campaign=7",
            "outbound_parameters": "customer=991",
        }
        assert chosen is not None
        assert chosen["token"] == "t-2"
        assert chosen["action_result"] == {"action": "run_menu", "result": {"digit": "1"}}
        assert recorded is not None
        said = recorded["action_result"]["result"]
        assert said["contains_sound"] is True
        assert said["id"] == "r1"
        assert said["filename"].endswith(f"_{order.instance_id}.wav")
        assert final is not None
        assert final["token"] == "t-2"
        assert "action_result" not in final
        assert final["this_call"]["call_state"] == "idle"
        assert final["this_call"]["call_cause"] == "completed"
        assert final["this_call"]["call_raw_cause"] == "200"
        assert (here.tones.spoken[0], here.tones.spoken[-1]) == ("Welcome.", "Goodbye.")

    play_out(tmp_path, story)


def test_recording_is_a_sound_file_in_the_media_store_of_the_account(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"record": {"next_page": {"url": "/recorded"}, "format": "ulaw"}})
        order = here.order("999005550001")
        await here.run(order)
        filename = here.web.infos("/recorded")[0]["action_result"]["result"]["filename"]
        path = here.media_root / "1" / filename.lstrip("/")
        info = soundfile.info(str(path))
        assert (info.samplerate, info.subtype) == (8000, "ULAW")
        assert info.duration > 1.0

    play_out(tmp_path, story)


def test_page_with_method_get_gets_its_info_behind_its_own_query(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"redirect": {"next_page": {"url": "/second?a=1%202", "method": "GET"}}})
        await here.run(here.order(method="GET"))
        first, second = here.web.asked[:2]
        assert (first.method, second.method) == ("GET", "GET")
        assert first.info is not None
        assert second.query["a"] == "1 2"
        assert second.info is not None
        assert "action_result" not in second.info
        assert "Content-Type" not in second.headers

    play_out(tmp_path, story)


def test_post_has_the_documented_headers_and_no_other_credentials(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        await here.run(here.order())
        headers = here.web.asked[0].headers
        assert headers["Content-Type"] == "application/json; charset=UTF-8"
        assert headers["Accept"] == "application/json"
        assert headers["User-Agent"].startswith("callwright")
        assert "Authorization" not in headers

    play_out(tmp_path, story)


@pytest.mark.parametrize(
    ("number", "cause", "raw", "hangup"),
    [
        ("999005550002", "busy", "486", "BUSY(486)"),
        ("999005550003", "failed", "603", "REJECTED(603)"),
        ("999005550004", "no_answer", "487", "NOANSWER(487)"),
        ("999005550005", "unobtainable", "404", "UNOBTAINABLE(404)"),
    ],
)
def test_call_that_is_not_answered_asks_the_final_page_only(
    tmp_path: Path, number: str, cause: str, raw: str, hangup: str
) -> None:
    async def story(here: Scene) -> None:
        order = here.order(number)
        result = await here.run(order)
        assert result.return_code == return_codes.COMPLETED
        assert here.web.paths() == ["/final"]
        call = here.web.infos("/final")[0]["this_call"]
        assert (call["call_state"], call["call_cause"], call["call_raw_cause"]) == ("idle", cause, raw)
        assert call["seconds_call_duration"] == 0.0
        status = await here.status(order)
        assert status["adr"]["exit_status"] == 0
        cdr = status["cdrs"][order.call_id]
        assert cdr["hangup_cause"] == hangup
        assert cdr["duration"] == 0.0
        assert status["errs"] == {}

    play_out(tmp_path, story, speed=300.0)


def test_far_end_that_hangs_up_during_a_prompt_ends_with_hung_up_and_no_next_page(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", say("One."), {"sleep": {"seconds": 600}}, {"redirect": {"next_page": {"url": "/no"}}})
        order = here.order("999005550010")
        result = await here.run(order)
        assert result.return_code == return_codes.COMPLETED
        assert here.web.paths() == ["/first", "/final"]
        call = here.web.infos("/final")[0]["this_call"]
        assert (call["call_cause"], call["call_raw_cause"]) == ("hung_up", "200")
        assert (await here.status(order))["cdrs"][order.call_id]["hangup_cause"] == "NORMAL(200)"

    play_out(tmp_path, story)


def test_answer_of_a_page_that_comes_after_the_hang_up_is_discarded(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.reply("/first", Reply(delay_s=None, body=action_list(say("Too late."))))
        order = here.order("999005550009")
        running = asyncio.create_task(here.run(order))
        await here.web.wait_for("/first")
        here.engine.calls[-1].far_end_hangs_up()
        assert (await running).return_code == return_codes.COMPLETED
        assert here.web.paths() == ["/first", "/final"]
        assert here.tones.spoken == []

    play_out(tmp_path, story)


def test_recording_cut_short_by_a_hang_up_is_kept_and_its_page_notified(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        record = {"next_page": {"url": "/next"}, "recording_available_page": {"url": "/there"}, "id": "x"}
        here.web.page("/first", {"record": record | {"milliseconds_max_initial_silence": 60000}})
        running = asyncio.create_task(here.run(here.order("999005550009")))
        await here.wait_for(EventKind.ANSWERED)
        call = here.engine.calls[-1]
        await call.recording_begun.wait()
        call.far_end_hangs_up()
        await running
        assert "/next" not in here.web.paths()
        assert sorted(here.web.paths()) == ["/final", "/first", "/there"]
        told = here.web.infos("/there")[0]
        assert told["is_notification"] is True
        assert "this_call" not in told
        assert told["action_result"]["action"] == "record"
        assert told["action_result"]["result"]["id"] == "x"

    play_out(tmp_path, story)


def test_notification_is_sent_beside_the_next_page(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        record = {"next_page": {"url": "/next"}, "recording_available_page": {"url": "/there"}}
        here.web.page("/first", {"record": record})
        here.web.reply("/there", Reply(status=500))
        result = await here.run(here.order("999005550001"))
        assert result.return_code == return_codes.COMPLETED
        assert sorted(here.web.paths()) == ["/final", "/first", "/next", "/there"]
        assert here.web.infos("/there")[0]["action_result"] == here.web.infos("/next")[0]["action_result"]

    play_out(tmp_path, story)


def test_empty_action_list_hangs_up(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first")
        order = here.order()
        await here.run(order)
        assert here.web.paths() == ["/first", "/final"]
        assert not here.engine.calls[-1].is_up
        assert here.web.infos("/final")[0]["this_call"]["call_cause"] == "completed"

    play_out(tmp_path, story)


def test_hang_up_drops_the_rest_of_the_list(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"hang_up": {}}, say("Never."))
        await here.run(here.order())
        assert here.web.paths() == ["/first", "/final"]
        assert here.tones.spoken == []

    play_out(tmp_path, story)


def test_service_without_final_and_error_page_asks_neither(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.reply("/first", Reply(status=500))
        result = await here.run(here.order(final=False, error=False))
        assert result.return_code == return_codes.PAGE_REQUEST_FAILED
        assert here.web.paths() == ["/first"]

    play_out(tmp_path, story)


def test_token_null_clears_and_omitted_keeps(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"redirect": {"next_page": {"url": "/two"}}}, token="a")
        here.web.page("/two", {"redirect": {"next_page": {"url": "/three"}}})
        here.web.page("/three", {"redirect": {"next_page": {"url": "/four"}}}, token=None)
        await here.run(here.order(token=None))
        tokens = [here.web.infos(path)[0]["token"] for path in ("/first", "/two", "/three", "/four", "/final")]
        assert tokens == [None, "a", "a", None, None]

    play_out(tmp_path, story)


def test_cookies_live_as_long_as_the_instance(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        body = action_list({"redirect": {"next_page": {"url": "/two"}}})
        here.web.reply("/first", Reply(body=body, headers={"Set-Cookie": "session=s1; Path=/; HttpOnly"}))
        await here.run(here.order())
        await here.run(here.order())
        sent = [(asked.path, asked.cookies.get("session")) for asked in here.web.asked]
        assert sent == [("/first", None), ("/two", "s1"), ("/final", "s1")] * 2

    play_out(tmp_path, story)


# --- what goes wrong

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


# --- beginning and ending


def test_call_that_can_never_be_placed_is_passed_on_and_leaves_no_trace(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        order = here.order()

        async def place(*_: object, **__: object) -> Call:
            facts = CallFacts(call_id=order.call_id, destination=order.destination)
            facts.outcome = failed_outcome(400, detail="impossible")
            raise CallFailed(facts)

        here.engine.place = place  # type: ignore[method-assign]
        stamped = False

        async def stamp(saved: bytes) -> None:
            nonlocal stamped
            stamped = True

        with pytest.raises(CallFailed, match="impossible"):
            await run_instance(order, stamp, around=here.around)
        assert not stamped
        assert here.web.asked == []
        assert list(here.logs_root.rglob("*.log")) == []

    play_out(tmp_path, story)


def test_refused_stamp_is_passed_on_and_nothing_is_dialled_asked_or_logged(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        async def refuse(saved: bytes) -> None:
            raise LookupError("withdrawn")

        with pytest.raises(LookupError, match="withdrawn"):
            await run_instance(here.order(), refuse, around=here.around)
        assert here.engine.orders == []
        assert here.web.asked == []
        assert list(here.logs_root.rglob("*.log")) == []

    play_out(tmp_path, story)


def test_cancelled_instance_hangs_up_asks_the_final_page_and_closes_its_records(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"sleep": {"seconds": 100000}})
        order = here.order()
        running = asyncio.create_task(here.run(order))
        await here.web.wait_for("/first")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not here.engine.calls[-1].is_up
        assert here.web.paths() == ["/first", "/final"]
        assert (await here.status(order))["adr"]["exit_status"] == return_codes.CANCELLED

    play_out(tmp_path, story, speed=1.0)


def test_instance_cancelled_again_and_again_still_ends_in_order(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"sleep": {"seconds": 100000}})
        here.web.reply("/final", Reply(delay_s=0.3))
        order = here.order()
        running = asyncio.create_task(here.run(order))
        await here.web.wait_for("/first")
        running.cancel()
        await here.web.wait_for("/final")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await here.status(order))["adr"]["exit_status"] == return_codes.CANCELLED

    play_out(tmp_path, story, speed=1.0)


def test_instance_cancelled_while_it_rings_is_recorded_as_given_up(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        order = here.order("999005550004")
        running = asyncio.create_task(here.run(order))
        await here.wait_for(EventKind.DIALLING)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert here.web.paths() == ["/final"]
        assert (await here.status(order))["cdrs"][order.call_id]["hangup_cause"] == "NOANSWER(487)"

    play_out(tmp_path, story, speed=1.0)


def test_final_page_that_was_asked_before_is_not_asked_again(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"sleep": {"seconds": 1}})
        order = here.order()
        running = asyncio.create_task(here.run(order))
        await here.web.wait_for("/first")
        await here.around.database.write(lambda c: ledger.stamp_final_asked(c, order.instance_id, 1.0))
        assert (await running).return_code == return_codes.COMPLETED
        assert here.web.paths() == ["/first"]

    play_out(tmp_path, story, speed=1.0)


def test_final_page_of_an_instance_left_behind_is_asked_once(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        order = here.order()
        await here.opening(order)(b"")
        facts = CallFacts(call_id=order.call_id, destination=order.destination, answered_at=100.0, ended_at=107.5)
        outcome = answered_outcome(ended_by=EndedBy.PLATFORM)
        assert await ask_final_page_later(order, facts, outcome, around=here.around)
        assert not await ask_final_page_later(order, facts, outcome, around=here.around)
        assert here.web.paths() == ["/final"]
        call = here.web.infos("/final")[0]["this_call"]
        assert (call["call_state"], call["call_cause"], call["seconds_call_duration"]) == ("idle", "completed", 7.5)

    play_out(tmp_path, story)


def test_log_of_an_instance_left_behind_is_carried_on_and_gets_its_second_name(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        order = here.order()
        await here.opening(order)(b"")
        folder = here.around.log_folder(order.account_id)
        begun = folder / rest_log_name(order.started_at, order.instance_id)
        begun.parent.mkdir(parents=True)
        begun.write_text("before the crash\n")
        ended_at = order.started_at + 7.5
        facts = CallFacts(call_id=order.call_id, destination=order.destination, ended_at=ended_at)
        later = replace(order, started_at=order.started_at + 2.0)  # as the records know it
        await ask_final_page_later(later, facts, answered_outcome(ended_by=EndedBy.PLATFORM), around=here.around)
        second = folder / rest_log_name(ended_at, order.instance_id)
        assert second.samefile(begun)
        lines = second.read_text().splitlines()
        assert lines[0] == "before the crash"
        assert "the platform restarted" in lines[1]
        assert here.web.infos("/final")[0]["log_filename"] == str(begun.relative_to(folder))

    play_out(tmp_path, story)


# --- records, log and events


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
