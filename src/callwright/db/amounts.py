"""How exact amounts of money are stored: whole millionths of a dollar, which every database can add up exactly."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import TypeDecorator

from callwright.values.errors import InternalError
from callwright.values.money import Money

_MICRO = 1_000_000


class Amount(TypeDecorator[Money]):
    """A ``Money`` with at most 6 decimals; more would be lost, so they are refused (``InternalError``)."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Money | None, dialect: Dialect) -> int | None:
        if not value:
            return None if value is None else 0
        micro = value * _MICRO
        whole = int(micro)
        if whole != micro:
            raise InternalError(f"the amount {value} has more than 6 decimals")
        return whole

    def process_result_value(self, value: int | None, dialect: Dialect) -> Money | None:
        return None if value is None else Money(Decimal(value).scaleb(-6))
