from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.records.number_rate import NumberRate
from callwright.values.errors import RequestError
from callwright.values.money import Money, money

amounts = st.decimals(min_value=0, max_value=100, places=6).map(lambda value: Money(abs(value)))
steps = st.integers(min_value=1, max_value=3600)


@pytest.mark.parametrize(
    ("first", "following", "seconds", "charged"),
    [
        (60, 60, 0.0, 0),
        (60, 60, 0.01, 60),
        (60, 60, 60.0, 60),
        (60, 60, 60.01, 120),
        (1, 1, 0.01, 1),
        (1, 1, 59.99, 60),
        (1, 1, 60.0, 60),
        (30, 6, 12.0, 30),
        (30, 6, 30.0, 30),
        (30, 6, 30.01, 36),
        (30, 6, 36.0, 36),
        (60, 1, 61.5, 62),
    ],
)
def test_seconds_are_charged_at_first_at_once_and_then_in_steps(
    first: int, following: int, seconds: float, charged: int
) -> None:
    assert NumberRate(first_s=first, next_s=following).charged_s(seconds) == charged


@pytest.mark.parametrize(
    ("rate", "seconds", "cost"),
    [
        (NumberRate(price=money("0.016")), 33.21, "0.016"),
        (NumberRate(price=money("0.016"), first_s=1, next_s=1), 7.0, "0.0018"),
        (NumberRate(price=money("0.016"), first_s=1, next_s=1, minimum=money("0.005")), 7.0, "0.005"),
        (NumberRate(price=money("0.016"), first_s=1, next_s=1, minimum=money("0.001")), 7.0, "0.0018"),
        (NumberRate(price=money("0.01"), fee=money("0.1")), 61.0, "0.12"),
        (NumberRate(price=money("0.01"), fee=money("0.1"), minimum=money("0.11")), 1.0, "0.11"),
        (NumberRate(price=money("0.01"), fee=money("0.1"), minimum=money("1")), 0.0, "0"),
        (NumberRate(price=money("0.019999")), 1.0, "0.0199"),
    ],
)
def test_a_call_costs_fee_and_price_but_no_less_than_the_minimum(rate: NumberRate, seconds: float, cost: str) -> None:
    assert rate.cost(seconds) == Decimal(cost)


@given(amounts, amounts, amounts, steps, steps, st.integers(min_value=0, max_value=2_000_000))
def test_every_cost_equals_that_of_exact_fractions(
    price: Money, minimum: Money, fee: Money, first: int, following: int, hundredths: int
) -> None:
    rate = NumberRate(price=price, minimum=minimum, fee=fee, first_s=first, next_s=following)
    duration = Fraction(hundredths, 100)
    charged = Fraction(0)
    while charged < duration:
        charged += first if charged == 0 else following * max(1, (duration - charged) // following)
    exact = max(Fraction(minimum), Fraction(fee) + charged * Fraction(price) / 60) if hundredths else Fraction(0)
    truncated = Fraction(exact.numerator * 10_000 // exact.denominator, 10_000)
    assert Fraction(rate.cost(hundredths / 100)) == truncated
    assert rate.cost(hundredths / 100) == rate.cost(hundredths / 100).quantize(Decimal("0.0001"), ROUND_FLOOR)


@pytest.mark.parametrize("prefix", ["0", "044", "4a", "+44", " 44", "1" * 16])
def test_a_prefix_that_begins_no_number_is_refused(prefix: str) -> None:
    with pytest.raises(RequestError, match="not the beginning"):
        NumberRate(prefix=prefix)


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_an_impossible_step_is_refused_by_name(seconds: int) -> None:
    with pytest.raises(RequestError, match="first_s"):
        NumberRate(first_s=seconds)
    with pytest.raises(RequestError, match="next_s"):
        NumberRate(next_s=seconds)


@pytest.mark.parametrize("field", ["price", "minimum", "fee"])
@pytest.mark.parametrize("amount", ["-1", "0.0000001", "NaN", "10001"])
def test_an_impossible_amount_is_refused_by_name(field: str, amount: str) -> None:
    with pytest.raises(RequestError, match=field):
        NumberRate(**{field: money(amount)})  # type: ignore[arg-type]
