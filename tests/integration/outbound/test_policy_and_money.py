"""What an account may call and spend, held by the real dispatcher on a real database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, select
from tests.support import outbound_node as node

from callwright.accounts import do_not_call, store
from callwright.accounts.rules import Rules
from callwright.outbound.claims import claim
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import Step
from callwright.outbound.policy import look_up
from callwright.outbound.start import StartState
from callwright.outbound.tables import attempts
from callwright.records import rates, spending
from callwright.records.number_rate import NumberRate
from callwright.records.settings import RateCard, RecordSettings
from callwright.records.tables import adrs
from callwright.testing.fake_engine import FakeEngine
from callwright.values.ids import ServiceReference
from callwright.values.money import ZERO, money

NUMBER = "999005550012"
Prepare = Callable[[Connection], object]


class Place:
    """A database with one account and one service, and a dispatcher on a fake engine."""

    def __init__(self, folder: Path, *, records: RecordSettings | None = None, talk_s: float = 0.0) -> None:
        self.database = node.open_database(folder)
        self.account = self.database.write_now(lambda c: node.add_account(c, max_cps=1000.0))
        self.service = self.database.write_now(lambda c: node.add_service(c, self.account.id))
        self.told = node.Told()
        self.engine = FakeEngine(speed=20.0)
        self._records = records or RecordSettings()
        self._talk_s = talk_s
        self._identifiers = node.counted_identifiers()

    def rule(self, rules: Rules) -> None:
        self.database.write_now(lambda c: store.update_account(c, replace(self.account, rules=rules)))

    def enqueue(self, count: int = 1, to: str = node.ANSWERS_AT_ONCE) -> list[ServiceReference]:
        calls = [node.call_to(to)] * count
        return self.database.write_now(
            lambda c: node.enqueue(c, self.service, calls, identifiers=self._identifiers, now=time.time())
        ).references

    def dispatcher(self) -> Dispatcher:
        return node.make_dispatcher(
            self.database,
            self.engine,
            run_instance=node.instance_without_pages(self.database, self.engine, talk_s=self._talk_s),
            events=self.told,
            records=self._records,
        )

    async def run(self, *, until_over: int) -> None:
        async with node.dispatching(self.dispatcher()):
            await self.told.until(lambda told: told.count(Step.REFUSED) + told.count(Step.FINISHED) >= until_over)

    def outcome(self, reference: ServiceReference) -> tuple[StartState, str]:
        found = node.status_of(self.database, self.account.id, reference)
        return found.state, found.reason

    def dialled(self) -> int:
        return len(self.database.read_now(lambda c: c.execute(select(attempts.c.id)).all()))


def test_a_number_on_the_list_is_never_dialled_and_its_owner_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.database:
        place.database.write_now(lambda c: do_not_call.add(c, place.account.id, [(NUMBER, "")], now=0.0))
        [refused] = place.enqueue()
        [called] = place.enqueue(to=node.BUSY)
        asyncio.run(place.run(until_over=2))
        assert place.outcome(refused) == (StartState.FAILED, "Do not call")
        assert place.outcome(called) == (StartState.FINISHED, "")
        assert place.dialled() == 1
        assert [event.detail for event in place.told.events if event.step is Step.REFUSED] == ["Do not call"]


def test_a_number_that_is_listed_after_its_start_was_judged_is_not_dialled_either(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.database:
        [reference] = place.enqueue()
        judged = place.database.write_now(
            lambda c: claim(c, place.service.id, limit=1, incarnation=place.database.incarnation, now=time.time())
        )
        assert place.database.read_now(lambda c: look_up(c, judged)) == {}
        place.database.write_now(lambda c: do_not_call.add(c, place.account.id, [(NUMBER, "")], now=0.0))
        asyncio.run(place.run(until_over=1))  # the claim nobody holds goes back to the queue first
        assert place.outcome(reference) == (StartState.FAILED, "Do not call")
        assert place.dialled() == 0


def test_a_hundred_starts_get_no_further_than_a_cap_for_ten(tmp_path: Path) -> None:
    place = Place(tmp_path, records=RecordSettings(rates=RateCard(platform=money("0.01"))), talk_s=1.0)
    with place.database:
        place.rule(Rules(daily_cap=money("0.10")))
        references = place.enqueue(100)

        async def run() -> None:
            async with node.dispatching(place.dispatcher()):
                await place.told.until(lambda told: told.count(Step.STAMPED) + told.count(Step.REFUSED) >= 100)

        asyncio.run(run())
        outcomes = [place.outcome(reference) for reference in references]
        assert outcomes.count((StartState.FINISHED, "")) == 10
        assert outcomes.count((StartState.FAILED, "Insufficient balance")) == 90
        assert place.dialled() == len(place.database.read_now(lambda c: c.execute(select(adrs.c.instance_id)).all()))
        assert place.dialled() == 10


def test_credit_that_is_added_lets_calls_leave_again(tmp_path: Path) -> None:
    place = Place(tmp_path, records=RecordSettings(rates=RateCard(platform=money("0.01"))))
    with place.database:
        place.rule(Rules(credit=money("0.00")))
        [first] = place.enqueue()
        asyncio.run(place.run(until_over=1))
        place.rule(Rules(credit=money("0.01")))
        [second] = place.enqueue()
        place.told = node.Told()
        asyncio.run(place.run(until_over=1))
        assert place.outcome(first) == (StartState.FAILED, "Insufficient balance")
        assert place.outcome(second) == (StartState.FINISHED, "")


def test_a_call_dearer_than_the_ceiling_is_not_placed_and_one_at_it_is(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.database:
        dear = NumberRate(prefix=NUMBER, price=money("0.500001"))
        at_limit = NumberRate(prefix="99900", price=money("0.5"))
        place.database.write_now(lambda c: rates.store_number_rates(c, None, [dear, at_limit], now=0.0))
        place.rule(Rules(max_price=money("0.5")))
        [refused] = place.enqueue()
        [called] = place.enqueue(to=node.BUSY)
        asyncio.run(place.run(until_over=2))
        assert place.outcome(refused) == (StartState.FAILED, "Price per minute above the limit")
        assert place.outcome(called) == (StartState.FINISHED, "")


def test_the_price_of_the_moment_of_the_invite_is_fixed_in_both_records(tmp_path: Path) -> None:
    place = Place(tmp_path, talk_s=0.1)
    with place.database:
        number = NumberRate(prefix="99900", price=money("0.06"), fee=money("0.25"))
        place.database.write_now(
            lambda c: rates.store_number_rates(
                c, place.account.id, [number], now=0.0, card=RateCard(platform=money("0.01"))
            )
        )
        place.enqueue()

        async def run() -> None:
            async with node.dispatching(place.dispatcher()):
                await place.told.until(lambda told: told.count(Step.DIALLING) == 1)
                await place.database.write(lambda c: rates.drop_card(c, place.account.id))
                await place.told.until(lambda told: told.count(Step.FINISHED) == 1)

        asyncio.run(run())
        stands = place.database.read_now(lambda c: spending.position(c, place.account.id, now=time.time()))
        assert (stands.ever, stands.set_aside) == (money("0.32"), ZERO)
