from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.values import times

clock = st.floats(min_value=0, max_value=4_000_000_000, allow_nan=False)
seconds = st.floats(min_value=0, max_value=1_000_000, allow_nan=False)


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        (1366725535.11, 1366725535.1099),
        (1366725525.86, 1366725525.8599),
        (1366725525.81, 1366725525.81),
        (1552572916.39, 1552572916.39),
        (0.0, 0.0),
    ],
)
def test_times_of_the_documented_examples_come_out(measured: float, shown: float) -> None:
    assert times.epoch(measured) == shown


@pytest.mark.parametrize(
    ("start", "stop", "shown"),
    [
        (1552572916.21, 1552572949.42, 33.21),
        (1552572916.97, 1552572949.07, 32.09),
        (1366725525.81, 1366725536.67, 10.86),
        (1366725535.11, 1366725536.31, 1.2),
        (5.0, 4.0, 0.0),
    ],
)
def test_durations_of_the_documented_examples_come_out(start: float, stop: float, shown: float) -> None:
    assert times.duration(start, stop) == shown


@given(clock)
def test_a_time_is_truncated_as_exact_arithmetic_on_the_double_says(value: float) -> None:
    # the product of two doubles is the exact product rounded once
    product = float(Decimal(value) * 10_000)
    assert times.epoch(value) == float(Decimal(int(product)) / 10_000)


@given(clock, seconds)
def test_a_duration_is_truncated_as_exact_arithmetic_on_the_doubles_says(start: float, length: float) -> None:
    stop = start + length
    difference = float(Decimal(stop) - Decimal(start))
    product = float(Decimal(difference) * 100)
    assert times.duration(start, stop) == float(Decimal(int(product)) / 100)


@given(clock)
def test_cutting_loses_less_than_one_step_and_adds_nothing_one_can_see(value: float) -> None:
    lost = Decimal(value) - Decimal(times.epoch(value))
    assert Decimal("-0.000001") < lost < Decimal("0.000101")


@given(clock)
def test_the_text_of_a_time_is_its_whole_second_in_utc(value: float) -> None:
    read = datetime.strptime(times.datetime_text(value), "%Y-%m-%d_%H:%M:%S").replace(tzinfo=UTC)
    assert 0 <= value - read.timestamp() < 1


def test_the_log_of_an_instance_is_named_by_its_time() -> None:
    name = times.rest_log_name(1552572949.42, "100d73cb12cbf845.8089")
    assert name == "2019/03/14/rest_14_15_49_100d73cb12cbf845.8089.log"
