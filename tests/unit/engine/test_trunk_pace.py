"""How fast a trunk gets calls, and how pushback lowers that and lets it grow again."""

from __future__ import annotations

import pytest

from callwright.engine.trunk_pace import FLOOR_CPS, GROW_S, HOLD_S, LONGEST_REST_S, Pace


def sent_evenly(pace: Pace, *, start: float, count: int, cps: float) -> float:
    """Send calls evenly; return when the last one left."""
    at = start
    for number in range(count):
        at = start + number / cps
        pace.sent(at)
    return at


def test_calls_are_evenly_spaced() -> None:
    pace = Pace(4)
    assert pace.may_send_at(10.0) == 10.0
    pace.sent(10.0)
    assert pace.may_send_at(10.1) == 10.25
    assert pace.may_send_at(10.5) == 10.5


def test_no_limit_lets_everything_go_at_once() -> None:
    pace = Pace()
    pace.sent(10.0)
    assert pace.may_send_at(10.0) == 10.0
    assert pace.rate(10.0) is None


def test_promised_moments_are_spaced_too() -> None:
    pace = Pace(2)
    moments = []
    for _ in range(3):
        moments.append(pace.promise(10.0))
        pace.keep_promise(moments[-1])
    assert moments == [10.0, 10.5, 11.0]
    assert pace.promise(20.0) == 20.0


def test_retry_after_halves_the_rate_and_it_grows_back_afterwards() -> None:
    pace = Pace(8)
    assert pace.pushed_back(100.0, 10)
    assert pace.rate(100.0) == 4
    assert pace.rate(110.0) == 4
    assert pace.is_lowered(110.0)
    assert pace.recovers_at(100.0) == pace.recovers_at(110.0) == 110.0 + GROW_S / 2
    assert pace.rate(110.0 + GROW_S / 4) == pytest.approx(6)
    assert pace.rate(110.0 + GROW_S / 2) == 8
    assert not pace.is_lowered(110.0 + GROW_S / 2)
    assert pace.recovers_at(110.0 + GROW_S / 2) is None


def test_one_overload_counts_once_and_the_next_halves_again() -> None:
    pace = Pace(8)
    assert pace.pushed_back(100.0, 5)
    assert not pace.pushed_back(100.5, 5)
    assert pace.rate(100.5) == 4
    assert pace.pushed_back(101.5, 5)
    assert pace.rate(101.5) == 2


def test_the_rate_never_falls_to_nothing() -> None:
    pace = Pace(8)
    for second in range(20):
        pace.pushed_back(100.0 + 2 * second, 60)
    assert pace.rate(138.0) == FLOOR_CPS


def test_a_slow_trunk_is_halved_too() -> None:
    pace = Pace(0.1)
    pace.pushed_back(100.0, 60)
    assert pace.rate(100.0) == pytest.approx(0.05)


def test_refusals_without_retry_after_count_from_the_third_within_ten_seconds() -> None:
    pace = Pace(8)
    assert not pace.pushed_back(100.0, None)
    assert not pace.pushed_back(101.0, None)
    assert pace.pushed_back(102.0, None)
    assert pace.rate(102.0 + HOLD_S) == 4
    slow = Pace(8)
    assert not any(slow.pushed_back(100.0 + 6 * number, None) for number in range(5))
    assert slow.rate(130.0) == 8


def test_a_trunk_without_limit_gets_one_from_what_it_was_sent_and_loses_it_again() -> None:
    pace = Pace()
    now = sent_evenly(pace, start=100.0, count=100, cps=20)
    pace.pushed_back(now, 0)
    assert pace.rate(now) == 10
    assert pace.rate(now + GROW_S / 4) == pytest.approx(15)
    assert pace.rate(now + GROW_S / 2 + 0.1) is None


def test_a_trunk_rests_for_its_retry_after_within_reason() -> None:
    pace = Pace(8)
    pace.pushed_back(100.0, 10)
    assert pace.is_resting(109.9)
    assert not pace.is_resting(110.0)
    pace.pushed_back(200.0, 10**8)
    assert not pace.is_resting(200.0 + LONGEST_REST_S)


def test_refusals_without_retry_after_bring_no_rest() -> None:
    pace = Pace(8)
    for second in range(3):
        pace.pushed_back(100.0 + second, None)
    assert pace.is_lowered(103.0)
    assert not pace.is_resting(103.0)
