"""To which numbers a call may be redirected: those its account might have dialled, at no more than it pays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.support import outbound_node as node

from callwright.accounts import do_not_call, store
from callwright.accounts.account import Account
from callwright.accounts.rules import Rules
from callwright.db.database import Database
from callwright.outbound.reasons import Reason
from callwright.outbound.redirects import DEARER, NOT_CANONICAL, may_follow
from callwright.records import rates
from callwright.records.number_rate import NumberRate
from callwright.records.settings import RateCard, RecordSettings
from callwright.values.destination import parse_destination
from callwright.values.money import money

DIALLED = "447911123456"
SETTINGS = RecordSettings()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with node.open_database(tmp_path) as opened:
        yield opened


@pytest.fixture
def account(database: Database) -> Account:
    return database.write_now(lambda c: node.add_account(c, max_cps=1000.0))


def why_not(database: Database, account: Account, to: str, dialled: str = DIALLED) -> str:
    return database.read_now(
        lambda c: may_follow(
            c,
            account.id,
            dialled=parse_destination(f"tel:{dialled}"),
            to=parse_destination(f"tel:{to}"),
            settings=SETTINGS,
        )
    )


def test_another_ordinary_number_at_the_same_price_may_be_called(database: Database, account: Account) -> None:
    assert why_not(database, account, "447911123457") == ""


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("112", Reason.EMERGENCY_NUMBER),
        ("449090123456", Reason.PREMIUM_NUMBER),
        ("870772001234", Reason.UNKNOWN_NUMBER),
        ("999005550001", Reason.UNKNOWN_NUMBER),
    ],
)
def test_kinds_of_numbers_the_account_may_not_dial_are_not_reached_by_a_redirection(
    database: Database, account: Account, to: str, reason: Reason
) -> None:
    assert why_not(database, account, to) == reason


def test_rules_of_the_account_count_for_the_new_number(database: Database, account: Account) -> None:
    rules = Rules(allow_premium=True, allow_unknown=True)
    database.write_now(lambda c: store.update_account(c, replace(account, rules=rules)))
    assert why_not(database, account, "870772001234") == ""
    assert why_not(database, account, "112") == Reason.EMERGENCY_NUMBER


def test_a_number_on_the_do_not_call_list_is_not_reached(database: Database, account: Account) -> None:
    database.write_now(lambda c: do_not_call.add(c, account.id, [("447911123457", "")], now=0.0))
    assert why_not(database, account, "447911123457") == Reason.DO_NOT_CALL


@pytest.mark.parametrize(
    "dearer",
    [
        NumberRate(prefix="353", price=money("0.02")),
        NumberRate(prefix="353", price=money("0.01"), fee=money("0.5")),
        NumberRate(prefix="353", price=money("0.01"), minimum=money("0.5")),
        NumberRate(prefix="353", price=money("0.01"), first_s=120),
    ],
)
def test_a_number_that_costs_more_in_any_way_is_not_called(
    database: Database, account: Account, dearer: NumberRate
) -> None:
    own = NumberRate(prefix="44", price=money("0.01"))

    def set_prices(c: Connection) -> None:
        rates.store_card(c, None, RateCard(), now=0.0)
        rates.store_number_rates(c, None, [own, dearer], now=0.0)

    database.write_now(set_prices)
    assert why_not(database, account, "353861234567") == DEARER
    assert why_not(database, account, DIALLED, dialled="353861234567") == ""


def test_test_numbers_lead_to_test_numbers_only(database: Database, account: Account) -> None:
    assert why_not(database, account, "999005550001", dialled="999005550014") == ""
    assert why_not(database, account, "449090123456", dialled="999005550014") == Reason.PREMIUM_NUMBER


def test_a_number_that_could_be_read_as_another_is_not_called(database: Database, account: Account) -> None:
    assert why_not(database, account, "490449098790123", dialled="49301234567") == NOT_CANONICAL
