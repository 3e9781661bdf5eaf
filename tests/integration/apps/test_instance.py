"""An instance against a real web server and a real database, with a fake engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import soundfile
from tests.support.instances import Scene, play_out

from callwright.apps import return_codes
from callwright.apps.events import EventKind
from callwright.testing.web_application import Reply, action_list, say
from callwright.values.times import rest_log_name


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
