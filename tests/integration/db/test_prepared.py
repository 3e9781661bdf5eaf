"""Prepared statements do what the same statement does by ``Connection.execute``."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    create_engine,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from callwright.db.amounts import Amount
from callwright.db.prepared import Prepared
from callwright.values.money import Money

things = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("price", Amount),
    Column("sold", Boolean),
    Column("notes", JSON),
    Column("count", Integer, nullable=False, server_default="7"),
)
ADD = Prepared(insert(things))
GIVEN = {"name": "bell", "price": Money(Decimal("1.25")), "sold": True, "notes": ["loud"]}


@pytest.fixture
def c() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    things.metadata.create_all(engine)
    with engine.connect() as connection, connection.begin():
        yield connection
    engine.dispose()


def test_values_come_back_in_their_types_and_unnamed_columns_get_their_defaults(c: Connection) -> None:
    assert ADD.change(c, GIVEN) == 1
    by_name = Prepared(select(things).where(things.c.name == bindparam("called")))
    expected = dict(c.execute(select(things)).mappings().one())
    assert by_name.first(c, {"called": "bell"}) == expected
    assert by_name.rows(c, {"called": "bell"}) == [expected]
    assert expected["price"] == Money(Decimal("1.25"))
    assert (expected["sold"], expected["notes"], expected["count"]) == (True, ["loud"], 7)
    assert by_name.first(c, {"called": "whistle"}) is None


def test_change_tells_how_many_rows_met_the_condition_and_keeps_constants(c: Connection) -> None:
    ADD.change(c, GIVEN)
    sell = Prepared(
        update(things).where(things.c.name == bindparam("called")).values(sold=False, price=bindparam("for"))
    )
    assert [sell.change(c, {"called": name, "for": Money(Decimal(2))}) for name in ("bell", "whistle")] == [1, 0]
    price = Prepared(select(things.c.price).where(things.c.sold.is_(False), things.c.id > bindparam("above")))
    assert price.scalar(c, {"above": 0}) == Money(Decimal(2))
    assert price.scalar(c, {"above": 9}) is None


def test_what_the_driver_refuses_is_raised_as_from_any_other_statement(c: Connection) -> None:
    ADD.change(c, GIVEN)
    with pytest.raises(IntegrityError, match=r"things\.name"):
        ADD.change(c, GIVEN)
