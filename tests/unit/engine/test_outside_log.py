"""Lines that somebody outside causes: the first ones are written, then they are counted."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing
from tests.support.sip_sipp import until

from callwright.engine import outside_log as module
from callwright.engine.outside_log import MOST_LINES, WINDOW_S, OutsideLog


def test_the_first_lines_of_each_kind_are_written_and_the_others_counted_when_the_next_window_begins() -> None:
    now = 100.0
    log = OutsideLog(clock=lambda: now)

    async def story() -> None:
        nonlocal now
        for number in range(MOST_LINES + 5):
            log.warning("stray", action="stray_answer", number=number)
        log.info("another kind", action="sip_unreachable")
        now += WINDOW_S
        log.warning("stray", action="stray_answer", number=99)

    with structlog.testing.capture_logs() as lines:
        asyncio.run(story())
    assert [line["number"] for line in lines if line["action"] == "stray_answer"] == [*range(MOST_LINES), 99]
    assert [line["log_level"] for line in lines if line["action"] == "sip_unreachable"] == ["info"]
    counted = [line for line in lines if line["action"] == "log_lines_left_out"]
    assert [(line["of"], line["left_out"]) for line in counted] == [("stray_answer", 5)]


def test_the_count_is_told_even_when_nothing_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW_S", 0.05)
    log = OutsideLog()

    async def story() -> list[object]:
        with structlog.testing.capture_logs() as lines:
            for _ in range(MOST_LINES + 3):
                log.warning("stray", action="stray_answer")
            await until(lambda: lines[-1]["action"] == "log_lines_left_out")
        return [line["left_out"] for line in lines if line["action"] == "log_lines_left_out"]

    assert asyncio.run(story()) == [3]


def test_a_failure_is_written_with_its_exception() -> None:
    log = OutsideLog()

    async def story() -> None:
        try:
            raise ValueError("odd")
        except ValueError:
            log.exception("It failed", action="sip_step_failed", step="receive")

    with structlog.testing.capture_logs() as lines:
        asyncio.run(story())
    assert [(line["log_level"], line["exc_info"], line["step"]) for line in lines] == [("error", True, "receive")]
