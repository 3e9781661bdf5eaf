"""Caps on a real database: what is spent, what is set aside, and that no crowd gets past a cap."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select
from tests.support.ledger import T0, Ledger, begin_instance, open_ledger

from callwright.db.database import DATABASE_FILE, Database
from callwright.records import ledger, spending
from callwright.records.rating import Reservation
from callwright.records.settings import RateCard, RecordSettings
from callwright.records.spending import DAY_S, Caps
from callwright.records.tables import adrs
from callwright.values.ids import CallId, InstanceId
from callwright.values.money import ZERO, money

CENT = Reservation(at_start=money("0.01"), per_minute=money("0.01"))
PRICED = RecordSettings(rates=RateCard(platform=money("0.01")))


def instance(n: int) -> InstanceId:
    return InstanceId(f"{n:016x}.1")


def begin(c: Connection, at: Ledger, n: int, *, started_at: float = T0, reservation: Reservation = CENT) -> None:
    begin_instance(
        c,
        at.account,
        instance_id=instance(n),
        call_id=CallId(f"{n:016x}.1.1"),
        started_at=started_at,
        reservation=reservation,
    )


def close(c: Connection, n: int, *, stopped_at: float, valid: bool = True) -> bool:
    return ledger.close_adr(c, instance(n), stopped_at=stopped_at, exit_status=0, costs_valid=valid, settings=PRICED)


def test_what_closed_instances_came_to_is_spent_on_the_day_they_closed(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        midnight = (T0 // DAY_S + 1) * DAY_S

        def run(c: Connection) -> None:
            begin(c, at, 1)
            begin(c, at, 2, started_at=midnight - 30)
            begin(c, at, 3, started_at=midnight)
            assert close(c, 1, stopped_at=T0 + 61)
            assert close(c, 2, stopped_at=midnight)
            assert not close(c, 2, stopped_at=midnight + 500), "closing twice spends once"

        at.db.write_now(run)
        before = at.db.read_now(lambda c: spending.position(c, at.account.id, now=midnight - 1))
        assert (before.today, before.ever) == (Decimal("0.02"), Decimal("0.03"))
        after = at.db.read_now(lambda c: spending.position(c, at.account.id, now=midnight))
        assert (after.today, after.ever, after.set_aside) == (Decimal("0.01"), Decimal("0.03"), Decimal("0.01"))


def test_what_runs_counts_with_what_it_has_come_to_by_now(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        at.db.write_now(lambda c: begin(c, at, 1))
        set_aside = [
            at.db.read_now(partial(spending.position, account_id=at.account.id, now=now)).set_aside
            for now in (T0 - 3600, T0, T0 + 60, T0 + 90, T0 + 120)
        ]
        assert set_aside == [Decimal(amount) for amount in ("0.01", "0.01", "0.01", "0.015", "0.02")]


def test_costs_nobody_can_be_sure_of_are_not_spent(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        at.db.write_now(lambda c: begin(c, at, 1))
        assert at.db.write_now(lambda c: close(c, 1, stopped_at=T0 + 100_000, valid=False))
        stands = at.db.read_now(lambda c: spending.position(c, at.account.id, now=T0))
        assert (stands.ever, stands.set_aside) == (ZERO, ZERO)


@pytest.mark.parametrize("caps", [Caps(daily=money("0.10")), Caps(credit=money("0.10"))])
def test_a_hundred_starts_at_once_cannot_pass_a_cap_for_ten(tmp_path: Path, caps: Caps) -> None:
    with open_ledger(tmp_path) as at:

        def start(c: Connection, n: int) -> bool:
            if not spending.authorise(c, at.account.id, caps, CENT, now=T0):
                return False
            begin(c, at, n)
            return True

        async def all_at_once() -> list[bool]:
            return await asyncio.gather(*(at.db.write(partial(start, n=n)) for n in range(100)))

        assert sum(asyncio.run(all_at_once())) == 10
        assert not at.db.write_now(lambda c: start(c, 100))
        at.db.write_now(lambda c: close(c, 3, stopped_at=T0))  # it never lasted: nothing was spent
        assert at.db.write_now(lambda c: start(c, 101)), "what was set aside is free again"
        at.db.write_now(lambda c: close(c, 4, stopped_at=T0 + 1))
        assert not at.db.write_now(lambda c: start(c, 102)), "what was set aside is spent now"


def test_what_is_set_aside_survives_the_node_and_ends_with_its_record(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        account = at.account.id
        at.db.write_now(lambda c: begin(c, at, 1))
    with Database.open(tmp_path / DATABASE_FILE) as db:
        assert db.read_now(lambda c: spending.position(c, account, now=T0)).set_aside == Decimal("0.01")
        assert db.write_now(lambda c: ledger.close_for_recovery(c, instance(1), at=T0 + 5, settings=PRICED))
        stands = db.read_now(lambda c: spending.position(c, account, now=T0))
        assert (stands.set_aside, stands.ever) == (ZERO, ZERO)


def test_a_new_day_gives_a_new_daily_cap_and_no_new_credit(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        at.db.write_now(lambda c: begin(c, at, 1))
        at.db.write_now(lambda c: close(c, 1, stopped_at=T0 + 1))
        may = [
            at.db.read_now(partial(spending.authorise, account_id=at.account.id, caps=caps, wanted=CENT, now=now))
            for caps in (Caps(daily=money("0.01")), Caps(credit=money("0.01")))
            for now in (T0 + 2, T0 + 2 + DAY_S)
        ]
        assert may == [False, True, False, False]


def test_another_account_spends_from_its_own(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        at.db.write_now(lambda c: begin(c, at, 1))
        other = type(at.account.id)(at.account.id + 1)
        assert at.db.read_now(lambda c: spending.position(c, other, now=T0)).set_aside == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3 * DAY_S), st.integers(0, 7200)), max_size=12))
def test_what_is_spent_is_the_sum_of_the_records(
    tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[int, int]]
) -> None:
    with open_ledger(tmp_path_factory.mktemp("spending")) as at:

        def run(c: Connection) -> None:
            for n, (began, lasted) in enumerate(lives):
                begin(c, at, n, started_at=T0 + began)
                close(c, n, stopped_at=T0 + began + lasted)

        at.db.write_now(run)
        recorded = at.db.read_now(lambda c: c.scalar(select(func.sum(adrs.c.total_cost))))
        assert at.db.read_now(lambda c: spending.position(c, at.account.id, now=T0)).ever == (recorded or 0)
