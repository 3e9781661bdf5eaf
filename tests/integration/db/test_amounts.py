from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, MetaData, Table, create_engine, func, insert, select
from sqlalchemy.exc import StatementError

from callwright.db.amounts import Amount
from callwright.values.errors import InternalError
from callwright.values.money import Money, money

prices = Table("prices", MetaData(), Column("price", Amount))


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as opened:
        prices.create(opened)
        yield opened
    engine.dispose()


@given(st.lists(st.decimals(min_value=0, max_value=1_000_000, places=6).map(Money), min_size=1, max_size=5))
def test_amounts_come_back_exactly_and_the_database_adds_them_exactly(
    connection: Connection, amounts: list[Money]
) -> None:
    connection.execute(prices.delete())
    connection.execute(insert(prices), [{"price": amount} for amount in amounts])
    assert list(connection.scalars(select(prices.c.price))) == amounts
    assert connection.scalar(select(func.sum(prices.c.price))) == sum(amounts, Decimal(0))


def test_nothing_is_kept_as_nothing(connection: Connection) -> None:
    connection.execute(prices.delete())
    connection.execute(insert(prices).values(price=None))
    assert connection.scalar(select(prices.c.price)) is None


def test_an_amount_that_would_lose_decimals_is_refused(connection: Connection) -> None:
    with pytest.raises((InternalError, StatementError), match="more than 6 decimals"):
        connection.execute(insert(prices).values(price=money("0.0000001")))
