from __future__ import annotations

from typing import Any

import pytest

from callwright.outbound.retry import Again, RetryPlan, Unreached, next_retry, parse_retry, stored_plan, unreached
from callwright.values.errors import RequestError
from callwright.values.outcome import EndedBy, answered_outcome, failed_outcome

PLAN = RetryPlan(busy=Again(after_s=300.0, times=2), no_answer=Again(after_s=60.0, times=1))


def test_a_plan_is_parsed_with_one_time_unless_it_says_how_often() -> None:
    given = {"busy": {"after": 300, "times": 2}, "no_answer": {"after": 60}, "unreachable": None}
    assert parse_retry(given) == PLAN
    assert stored_plan(PLAN.as_text()) == PLAN


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (486, Unreached.BUSY),
        (600, Unreached.BUSY),
        (480, Unreached.NO_ANSWER),
        (408, Unreached.NO_ANSWER),
        (487, Unreached.NO_ANSWER),
        (404, Unreached.UNREACHABLE),
        (502, Unreached.UNREACHABLE),
        (503, Unreached.UNREACHABLE),
        (504, Unreached.UNREACHABLE),
        (403, None),
        (603, None),
        (500, None),
    ],
)
def test_the_way_a_call_failed_decides_what_applies(code: int, how: Unreached | None) -> None:
    assert unreached(failed_outcome(code)) is how


@pytest.mark.parametrize("ended_by", list(EndedBy))
def test_an_answered_call_reached_somebody(ended_by: EndedBy) -> None:
    assert unreached(answered_outcome(ended_by=ended_by)) is None


def test_the_clock_starts_when_the_attempt_ended_and_each_way_is_counted_by_itself() -> None:
    assert next_retry(PLAN, Unreached.BUSY, seen={"busy": 1}, ended_at=1000.0) == 1300.0
    assert next_retry(PLAN, Unreached.BUSY, seen={"busy": 2, "no_answer": 1}, ended_at=1000.0) == 1300.0
    assert next_retry(PLAN, Unreached.NO_ANSWER, seen={"busy": 2, "no_answer": 1}, ended_at=1000.0) == 1060.0


def test_after_the_last_time_there_is_no_other() -> None:
    assert next_retry(PLAN, Unreached.BUSY, seen={"busy": 3}, ended_at=0.0) is None
    assert next_retry(PLAN, Unreached.NO_ANSWER, seen={"no_answer": 2}, ended_at=0.0) is None


def test_what_the_plan_does_not_name_is_not_tried_again() -> None:
    assert next_retry(PLAN, Unreached.UNREACHABLE, seen={"unreachable": 1}, ended_at=0.0) is None


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], ""),
        ({}, ""),
        ("busy", ""),
        ({"after_restart": {"after": 1}}, "after_restart"),
        ({"busy": 300}, "busy"),
        ({"busy": {"after": 300, "time": 2}}, "busy.time"),
        ({"busy": {"times": 2}}, "busy.after"),
        ({"busy": {"after": 0}}, "busy.after"),
        ({"busy": {"after": True}}, "busy.after"),
        ({"busy": {"after": 1e9}}, "busy.after"),
        ({"busy": {"after": float("nan")}}, "busy.after"),
        ({"busy": {"after": 5, "times": 0}}, "busy.times"),
        ({"busy": {"after": 5, "times": 1.5}}, "busy.times"),
        ({"busy": {"after": 5, "times": 101}}, "busy.times"),
    ],
)
def test_each_mistake_names_its_member(value: Any, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_retry(value)
    assert caught.value.field == field
