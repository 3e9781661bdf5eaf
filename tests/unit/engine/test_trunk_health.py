"""Health checks: when they are due and how the state follows them."""

from __future__ import annotations

import pytest

from callwright.engine.trunk_health import DOUBT_S, Health, HealthState


def after(*codes: int | None) -> Health:
    health = Health(every_s=30, now=0.0)
    for code in codes:
        at = health.wake_at()
        assert at is not None
        health.checked(code, at)
    return health


def test_the_first_check_is_due_at_once_and_the_next_after_the_period() -> None:
    health = Health(every_s=30, now=7.0)
    assert health.wake_at() == 7.0
    assert health.checked(200, 8.0)
    assert health.wake_at() == 38.0


@pytest.mark.parametrize(
    ("codes", "state"),
    [
        ((), HealthState.UNKNOWN),
        ((200,), HealthState.UP),
        ((None,), HealthState.UNKNOWN),
        ((None, None), HealthState.DOWN),
        ((200, None), HealthState.UP),
        ((200, None, 200, None), HealthState.UP),
        ((200, None, 503), HealthState.DOWN),
        ((None, None, 200), HealthState.DOWN),
        ((None, None, 200, None, 200), HealthState.DOWN),
        ((None, None, 200, 200), HealthState.UP),
    ],
)
def test_the_state_follows_only_when_the_answers_agree(codes: tuple[int | None, ...], state: HealthState) -> None:
    assert after(*codes).state is state


@pytest.mark.parametrize("code", [200, 401, 403, 404, 405, 481, 501, 603])
def test_any_answer_of_somebody_who_is_there_is_good(code: int) -> None:
    assert after(code).state is HealthState.UP


@pytest.mark.parametrize("code", [408, 500, 503, 504])
def test_answers_that_say_calls_would_fail_are_bad(code: int) -> None:
    assert after(code, code).is_down


def test_a_check_that_speaks_against_the_state_is_soon_repeated() -> None:
    health = after(200)
    at = health.wake_at() or 0.0
    assert not health.checked(None, at)
    assert health.wake_at() == at + DOUBT_S
    assert health.checked(None, at + DOUBT_S)
    assert health.wake_at() == at + DOUBT_S + 30


def test_period_zero_never_checks_and_counts_as_usable() -> None:
    health = Health(every_s=0, now=0.0)
    assert health.wake_at() is None
    assert health.state is HealthState.UNCHECKED
    assert not health.is_down


@pytest.mark.parametrize(
    ("codes", "why"),
    [
        ((200,), ""),
        ((None,), ""),
        ((None, None), "no answer to OPTIONS"),
        ((200, None, 503), "answers OPTIONS with 503"),
        ((None, None, 200), "answers again with 200"),
        ((None, None, 200, 200), ""),
    ],
)
def test_why_a_trunk_is_down_is_told(codes: tuple[int | None, ...], why: str) -> None:
    assert after(*codes).why_down == why
