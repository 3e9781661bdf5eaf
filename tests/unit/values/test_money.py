from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.values import money

amounts = st.decimals(min_value=0, max_value=100_000, places=9)


@pytest.mark.parametrize(
    ("amount", "part", "total"),
    [("0.0278", "0.0278", "0.027"), ("0.00019999", "0.0001", "0"), ("0.0719", "0.0719", "0.071"), ("1", "1", "1")],
)
def test_amounts_are_truncated_never_rounded(amount: str, part: str, total: str) -> None:
    assert money.part(Decimal(amount)) == Decimal(part)
    assert money.total(Decimal(amount)) == Decimal(total)


@given(amounts)
def test_truncation_keeps_whole_steps_and_loses_less_than_one(amount: Decimal) -> None:
    for cut, step in ((money.part(amount), Fraction(1, 10_000)), (money.total(amount), Fraction(1, 1000))):
        assert Fraction(cut) % step == 0
        assert 0 <= Fraction(amount) - Fraction(cut) < step


@given(amounts)
def test_the_json_number_of_a_part_reads_back_exactly(amount: Decimal) -> None:
    part = money.part(amount)
    assert Decimal(repr(money.wire(part))) == part


def test_an_amount_is_made_from_exact_text() -> None:
    assert money.money("0.0072") == Decimal("0.0072")
