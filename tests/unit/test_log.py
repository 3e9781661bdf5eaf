from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from callwright.log import MASK, mask_secrets, setup_log


@pytest.fixture(autouse=True)
def former_logging() -> Iterator[None]:
    """Give the logging of the test run back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("uvicorn.access", "aiohttp.access", "alembic")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)
    structlog.reset_defaults()


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_sentence_action_time_and_level() -> None:
    stream = io.StringIO()
    setup_log(format="auto", stream=stream)
    structlog.get_logger().info("A start was queued", action="web.queued", reference="2e891aea_0.1.2")
    (line,) = _lines(stream)
    assert line["event"] == "A start was queued"
    assert line["action"] == "web.queued"
    assert line["reference"] == "2e891aea_0.1.2"
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


def test_standard_library_loggers_take_the_same_way_and_are_named() -> None:
    stream = io.StringIO()
    setup_log(stream=stream)
    logging.getLogger("aiohttp.server").error("it broke at %s", "noon")
    (line,) = _lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("it broke at noon", "aiohttp.server", "error")


def test_less_important_lines_are_left_out() -> None:
    stream = io.StringIO()
    setup_log(level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    logging.getLogger("anything").info("quiet")
    assert [line["event"] for line in _lines(stream)] == ["loud"]


def test_every_request_of_the_web_server_is_not_a_line() -> None:
    stream = io.StringIO()
    setup_log(stream=stream)
    logging.getLogger("uvicorn.access").info("GET /health")
    assert stream.getvalue() == ""


def test_the_console_form_is_for_people() -> None:
    stream = io.StringIO()
    setup_log(format="console", stream=stream)
    structlog.get_logger().info("A start was queued", action="web.queued")
    assert "A start was queued" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())


def test_an_exception_is_part_of_its_line() -> None:
    stream = io.StringIO()
    setup_log(stream=stream)
    structlog.get_logger().error("It failed", exc_info=ValueError("because"))
    (line,) = _lines(stream)
    assert "ValueError: because" in str(line["exception"])


def test_setting_up_twice_does_not_write_twice() -> None:
    first, second = io.StringIO(), io.StringIO()
    setup_log(stream=first)
    setup_log(stream=second)
    structlog.get_logger().info("once")
    assert first.getvalue() == ""
    assert len(_lines(second)) == 1


@pytest.mark.parametrize(
    "name", ["password", "Authorization", "access_key", "api-key", "token", "page_token", "set-cookie", "client_secret"]
)
def test_the_value_of_a_secret_field_never_reaches_the_log(name: str) -> None:
    stream = io.StringIO()
    setup_log(stream=stream)
    structlog.get_logger().info("A login", **{name: "hunter2hunter2"}, nested={name: "hunter2hunter2"})
    assert "hunter2" not in stream.getvalue()
    assert _lines(stream)[0][name] == MASK


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("header was Basic dXNlcjpwYXNz", f"header was Basic {MASK}"),
        ("asked https://bob:hunter2@example.com/page", f"asked https://bob:{MASK}@example.com/page"),
        ("a basic mistake", "a basic mistake"),
        ("http://127.0.0.1:8080/first", "http://127.0.0.1:8080/first"),
    ],
)
def test_credentials_inside_texts_are_masked_and_nothing_else(text: str, shown: str) -> None:
    event = mask_secrets(None, "info", {"event": text, "more": [text], "keys": "12#"})
    assert event == {"event": shown, "more": [shown], "keys": "12#"}
