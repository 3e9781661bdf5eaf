"""Exact amounts of money in US dollars and the one rounding rule: truncation."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import NewType

Money = NewType("Money", Decimal)

ZERO = Money(Decimal(0))

_PART = Decimal("0.0001")
_TOTAL = Decimal("0.001")


def money(text: str | int | Decimal) -> Money:
    """Make an amount from exact text, e.g. ``money("0.0072")``; floats are refused by type."""
    return Money(Decimal(text))


def part(amount: Decimal) -> Money:
    """Truncate one part of a cost to 4 decimals."""
    return Money(amount.quantize(_PART, rounding=ROUND_DOWN))


def total(amount: Decimal) -> Money:
    """Truncate a total to 3 decimals (0.0278 is shown as 0.027)."""
    return Money(amount.quantize(_TOTAL, rounding=ROUND_DOWN))


def wire(amount: Decimal) -> float:
    """Return the JSON number of an amount; the only place where money becomes a float."""
    return float(amount)
