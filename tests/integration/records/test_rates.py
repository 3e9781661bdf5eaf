"""Rate cards in a real database: which price is in force, and that a record keeps the one it began with."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.support.ledger import CALL, INSTANCE, T0, Ledger, begin_instance, open_ledger

from callwright.records import ledger, rates
from callwright.records.number_rate import NumberRate
from callwright.records.rates import Change, Prices
from callwright.records.settings import RateCard, RecordSettings
from callwright.values.ids import AccountId
from callwright.values.money import money
from callwright.values.outcome import EndedBy, answered_outcome

CARD = RateCard(
    platform=money("0.01"),
    pstn=money("0.02"),
    tollfree=money("0.03"),
    tollfree_prefixes=("44800",),
    features=(("sr_", money("0.04")),),
)
OTHER = RateCard(pstn=money("0.5"))


def rate(prefix: str, price: str, *, first_s: int = 60, next_s: int = 60) -> NumberRate:
    return NumberRate(prefix=prefix, price=money(price), first_s=first_s, next_s=next_s)


def price_of(c: Connection, account_id: AccountId, number: str) -> Decimal | None:
    found = rates.prices(c, account_id, number).number
    return None if found is None else found.price


def test_without_a_card_the_settings_of_the_node_have_the_prices(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        assert at.db.read_now(lambda c: rates.prices(c, at.account.id, "443069990123")) == Prices()


def test_the_card_of_the_account_is_whole_and_wins_over_the_default_one(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        mine = at.account.id

        def prepare(c: Connection) -> None:
            rates.store_card(c, None, CARD, now=T0)
            rates.store_number_rates(c, None, [rate("44", "0.1")], now=T0)

        at.db.write_now(prepare)
        assert at.db.read_now(lambda c: price_of(c, mine, "443069990123")) == Decimal("0.1")
        assert at.db.read_now(lambda c: price_of(c, mine, "33123456789")) == Decimal("0.02")
        assert at.db.read_now(lambda c: price_of(c, mine, "448001234567")) == Decimal("0.1")
        at.db.write_now(lambda c: rates.store_card(c, mine, OTHER, now=T0))
        assert at.db.read_now(lambda c: price_of(c, mine, "443069990123")) == Decimal("0.5")
        assert at.db.read_now(lambda c: price_of(c, AccountId(mine + 1), "443069990123")) == Decimal("0.1")
        assert at.db.write_now(lambda c: rates.drop_card(c, mine))
        assert not at.db.write_now(lambda c: rates.drop_card(c, mine))
        assert at.db.read_now(lambda c: price_of(c, mine, "443069990123")) == Decimal("0.1")


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.text("123", min_size=1, max_size=6), max_size=12),
    st.lists(st.text("123", min_size=2, max_size=8), min_size=1, max_size=8),
)
def test_the_longest_prefix_of_a_number_has_its_price(prefixes: set[str], numbers: list[str]) -> None:
    priced = {prefix: NumberRate(prefix=prefix, price=money(n)) for n, prefix in enumerate(sorted(prefixes), start=1)}
    at = _shared_ledger()

    def store(c: Connection) -> None:
        rates.store_card(c, None, RateCard(), now=T0)
        rates.store_number_rates(c, None, list(priced.values()), now=T0, replace=True)

    at.db.write_now(store)
    for number in numbers:
        longest = max((p for p in prefixes if number.startswith(p)), key=len, default=None)
        expected = Decimal(0) if longest is None else priced[longest].price
        assert at.db.read_now(partial(price_of, account_id=at.account.id, number=number)) == expected


_ledgers: list[Ledger] = []


@pytest.fixture(autouse=True, scope="module")
def _one_ledger(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Hypothesis runs many examples in one test: they share a database."""
    with open_ledger(tmp_path_factory.mktemp("rates")) as at:
        _ledgers.append(at)
        yield
        _ledgers.clear()


def _shared_ledger() -> Ledger:
    return _ledgers[0]


def test_storing_a_list_says_what_it_changes_and_can_replace_the_rest(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:

        def store(replace_all: bool, *given: NumberRate) -> Change:
            return at.db.write_now(
                lambda c: rates.store_number_rates(c, at.account.id, given, now=T0, replace=replace_all, card=CARD)
            )

        first = store(False, rate("44", "0.1"), rate("33", "0.2"))
        assert first == Change(added=2, changed=0, unchanged=0, removed=0)
        second = store(False, rate("44", "0.1"), rate("33", "0.3", first_s=1, next_s=1), rate("1", "0.4"))
        assert second == Change(added=1, changed=1, unchanged=1, removed=0)
        third = store(True, rate("33", "0.3", first_s=1, next_s=1))
        assert third == Change(added=0, changed=0, unchanged=1, removed=2)
        assert list(at.db.read_now(lambda c: rates.number_rates_of(c, at.account.id))) == ["33"]
        assert at.db.read_now(lambda c: rates.card_of(c, at.account.id)) == CARD
        assert at.db.read_now(lambda c: rates.card_of(c, None)) is None
        assert at.db.write_now(lambda c: rates.remove_number_rates(c, at.account.id, ["33", "7"])) == 1


def test_a_rate_that_changes_during_a_call_has_no_effect_on_it(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        db, account = at.db, at.account
        node = RecordSettings(rates=RateCard(platform=money("9"), pstn=money("9")))

        def run(c: Connection) -> None:
            rates.store_number_rates(c, account.id, [rate("443", "0.06", first_s=1, next_s=1)], now=T0, card=CARD)
            fixed = rates.prices(c, account.id, "443069990123")
            begin_instance(c, account, rates=fixed.card, rate=fixed.number)
            ledger.mark_answered(c, CALL, T0 + 1, b"")
            rates.store_number_rates(c, account.id, [rate("443", "7")], now=T0 + 2)
            rates.store_card(c, account.id, replace(CARD, platform=money("7"), features=()), now=T0 + 2)
            ledger.add_fdr(
                c,
                feature_id="1",
                instance_id=INSTANCE,
                call_id=CALL,
                kind="sr_play",
                started_at=T0,
                stopped_at=T0 + 1,
                settings=node,
            )
            outcome = answered_outcome(ended_by=EndedBy.FAR_END)
            assert ledger.close_cdr(c, CALL, ended_at=T0 + 8, outcome=outcome, settings=node)
            assert ledger.close_adr(c, INSTANCE, stopped_at=T0 + 9, exit_status=0, settings=node)

        db.write_now(run)
        status = db.read_now(lambda c: ledger.application_status(c, account.id, INSTANCE))
        assert status is not None
        adr, cdr, fdr = status["adr"], status["cdrs"][CALL], status["fdrs"]["1"]  # type: ignore[index]
        assert (adr["platform_cost"], adr["pstn_cost"], adr["feature_cost"]) == (0.01, 0.007, 0.01)  # type: ignore[index]
        assert (cdr["call_cost"], cdr["costs_valid"]) == (0.007, "true")
        assert (fdr["unit_cost"], fdr["duration_for_cost"]) == (0.04, 15.0)


def test_a_rate_of_an_impossible_kind_never_gets_into_the_database(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        at.db.write_now(lambda c: rates.store_card(c, at.account.id, CARD, now=T0))
        assert at.db.read_now(lambda c: rates.card_of(c, at.account.id)) == CARD
        assert at.db.read_now(lambda c: rates.count_number_rates(c, at.account.id)) == 0
