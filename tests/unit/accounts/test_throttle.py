from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callwright.accounts.throttle import (
    FORGET_AFTER_S,
    FREE_FAILURES,
    LONGEST_PAUSE_S,
    MAX_REMEMBERED,
    Throttle,
)


def failing(times: int, *, now: float = 0.0) -> Throttle:
    throttle = Throttle()
    for _ in range(times):
        throttle.failed("mallory", now)
    return throttle


def test_a_few_failures_are_free() -> None:
    assert failing(FREE_FAILURES - 1).wait_s("mallory", 0.0) == 0.0


def test_pauses_double_and_have_a_limit() -> None:
    pauses = [failing(FREE_FAILURES + n).wait_s("mallory", 0.0) for n in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert failing(5_000).wait_s("mallory", 0.0) == LONGEST_PAUSE_S


def test_a_pause_passes() -> None:
    throttle = failing(FREE_FAILURES + 2)
    assert throttle.wait_s("mallory", 3.0) == 1.0
    assert throttle.wait_s("mallory", 4.0) == 0.0


def test_others_are_not_held_back() -> None:
    assert failing(100).wait_s("alice", 0.0) == 0.0


def test_a_success_forgets_failures() -> None:
    throttle = failing(100)
    throttle.succeeded("mallory")
    assert throttle.wait_s("mallory", 0.0) == 0.0


def test_failures_of_long_ago_are_forgotten() -> None:
    throttle = failing(100)
    later = FORGET_AFTER_S + 1
    throttle.failed("mallory", later)
    assert throttle.wait_s("mallory", later) == 0.0


def test_memory_is_bounded_and_keeps_the_latest() -> None:
    throttle = failing(100)
    for n in range(MAX_REMEMBERED):
        throttle.failed(n, 0.0)
    assert throttle.wait_s("mallory", 0.0) == 0.0
    for _ in range(FREE_FAILURES):
        throttle.failed(MAX_REMEMBERED - 1, 0.0)
    assert throttle.wait_s(MAX_REMEMBERED - 1, 0.0) > 0.0


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=200))
def test_guessing_as_fast_as_allowed_gets_few_tries(gaps: list[float]) -> None:
    throttle, now, tries, last = Throttle(), 0.0, 0, 0.0
    for gap in gaps:
        now += gap
        if throttle.wait_s("mallory", now) == 0.0:
            throttle.failed("mallory", now)
            tries += 1
            last = now
    assert tries <= FREE_FAILURES + 7 + last / LONGEST_PAUSE_S
