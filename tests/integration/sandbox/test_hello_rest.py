"""The sample application in examples/hello_rest, asked for its pages as the platform asks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest

APP = Path(__file__).resolve().parents[3] / "examples" / "hello_rest" / "app.py"
CALL = {"call_to": "999005550001", "call_state": "idle", "call_cause": "completed", "seconds_call_duration": 21.4}
INFO = {"application_instance_id": "1.1", "token": None, "is_notification": False, "this_call": CALL}


@pytest.fixture
def app() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(APP), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def first_page(app: subprocess.Popen[str]) -> str:
    assert app.stdout is not None
    return app.stdout.readline().strip()


def ask(url: str, info: object = INFO) -> dict[str, object]:
    with urlopen(Request(url, data=json.dumps(info).encode()), timeout=10) as answer:
        page = json.loads(answer.read())
    assert page["api_version"] == "2.0"
    assert isinstance(page, dict)
    return page


def actions(page: dict[str, object]) -> list[str]:
    """The names of a page's actions; each is an object with one key."""
    listed = page["actions"]
    assert isinstance(listed, list)
    assert all(len(action) == 1 for action in listed)
    return [next(iter(action)) for action in listed]


def test_it_stays_under_a_hundred_lines() -> None:
    assert len(APP.read_text().splitlines()) < 100


def test_the_first_page_greets_and_offers_a_menu_whose_pages_exist(first_page: str) -> None:
    page = ask(first_page)

    assert actions(page) == ["play", "run_menu"]
    listed = page["actions"]
    assert isinstance(listed, list)
    menu = listed[1]["run_menu"]
    assert [option["digit"] for option in menu["menu_options"]] == ["1", "2"]
    assert actions(ask(urljoin(first_page, menu["menu_options"][0]["next_page"]["url"]))) == ["play", "record"]
    assert actions(ask(urljoin(first_page, menu["menu_options"][1]["next_page"]["url"]))) == ["play"]


def test_a_message_is_recorded_and_confirmed(first_page: str) -> None:
    listed = ask(urljoin(first_page, "message"))["actions"]
    assert isinstance(listed, list)
    record = listed[1]["record"]
    assert record["beep_on_start"] is True
    result = {"filename": "/rest_api/recordings/x.wav", "contains_sound": True, "seconds_duration": 5.8}

    page = ask(
        urljoin(first_page, record["next_page"]["url"]),
        INFO | {"action_result": {"action": "record", "result": result}},
    )

    assert page["actions"] == [
        {"play": {"play_list": [{"text_to_say": "Thank you. Your message is 6 seconds long. Goodbye."}]}}
    ]


def test_silence_is_told_apart_from_a_message(first_page: str) -> None:
    result = {"filename": "x", "contains_sound": False, "seconds_duration": 0.0}

    page = ask(urljoin(first_page, "thanks"), INFO | {"action_result": {"action": "record", "result": result}})

    assert "could not hear" in json.dumps(page)


def test_the_final_page_prints_how_the_call_went(app: subprocess.Popen[str], first_page: str) -> None:
    assert ask(urljoin(first_page, "final"))["actions"] == []

    assert app.stdout is not None
    assert app.stdout.readline() == "call to 999005550001: completed after 21.4 s\n"


def test_the_error_page_prints_what_went_wrong(app: subprocess.Popen[str], first_page: str) -> None:
    info = {"is_notification": True, "error_result": {"action": "play", "result": "media not available"}}

    assert ask(urljoin(first_page, "error"), info)["actions"] == []

    assert app.stderr is not None
    assert app.stderr.readline() == "error: media not available\n"


@pytest.mark.parametrize(
    ("page", "body", "status"), [("nothing", b"{}", 404), ("final", b"{}", 400), ("first", b"x", 400)]
)
def test_nonsense_is_refused(first_page: str, page: str, body: bytes, status: int) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(urljoin(first_page, page), data=body), timeout=10)

    assert refused.value.code == status
    refused.value.close()


def test_a_taken_port_is_explained(first_page: str) -> None:
    port = first_page.rsplit(":", 1)[1].partition("/")[0]

    second = subprocess.run(
        [sys.executable, str(APP), "--port", port], capture_output=True, text=True, timeout=20, check=False
    )

    assert second.returncode == 1
    assert f"cannot serve on port {port}" in second.stderr
