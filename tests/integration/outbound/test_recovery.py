from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select
from tests.support import outbound_node as node

from callwright.accounts.service import Service
from callwright.apps.instance import InstanceOrder
from callwright.db.database import Database
from callwright.engine.interface import CallFacts
from callwright.outbound import claims, recovery
from callwright.outbound.events import Step
from callwright.outbound.request import StartRequest
from callwright.outbound.start import StartState
from callwright.outbound.tables import starts
from callwright.outbound.transactions import stamp_and_open
from callwright.records import ledger
from callwright.records.settings import DEFAULT_SETTINGS
from callwright.records.tables import adrs, cdrs, error_records
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId, InstanceId, ServiceReference
from callwright.values.outcome import Outcome

CALL = StartRequest(given_to="tel:+999005550001", given_from="4412345", token="t", outbound_parameters="p")
INSTANCE = InstanceId("0000000000000abc.1")
CALL_ID = CallId("0000000000000abc.1.2")
NOW = 1_700_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder whose node died while one call of it was dialled."""
    with node.open_database(tmp_path) as database:
        service = database.write_now(lambda c: node.add_service(c, node.add_account(c).id))
        identifiers = node.counted_identifiers(lambda: NOW)
        database.write_now(lambda c: node.enqueue(c, service, [CALL], identifiers=identifiers, now=NOW))
        (start,) = database.write_now(
            lambda c: claims.claim(c, service.id, limit=1, incarnation=database.incarnation, now=NOW)
        )
        assert database.write_now(
            lambda c: stamp_and_open(
                c,
                start,
                service=service,
                destination=parse_destination("tel:+999005550001"),
                instance_id=INSTANCE,
                call_id=CALL_ID,
                incarnation=database.incarnation,
                now=NOW + 1,
                slot_at=NOW + 1,
            )
        )
    return tmp_path


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    with node.open_database(folder) as opened:
        yield opened


class Outside:
    """The far ends and pages of a restarted node."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.byes: list[bytes] = []
        self.finals: list[tuple[InstanceOrder, CallFacts, Outcome]] = []
        self.told = node.Told()
        self.fails = False

    async def hang_up_saved(self, saved: bytes) -> None:
        self.byes.append(saved)
        if self.fails:
            raise ConnectionError("no route to the far end")

    async def ask_final(self, order: InstanceOrder, /, *, facts: CallFacts, outcome: Outcome) -> None:
        if await self.database.write(lambda c: ledger.stamp_final_asked(c, order.instance_id, NOW)):
            self.finals.append((order, facts, outcome))
        if self.fails:
            raise ConnectionError("the page's server is down")

    async def recover(self) -> recovery.Recovery:
        incarnation = self.database.incarnation
        found = await self.database.write(
            lambda c: recovery.take_over(c, incarnation=incarnation, now=NOW + 9, records=DEFAULT_SETTINGS)
        )
        await recovery.end_abandoned(
            found,
            database=self.database,
            hang_up_saved=self.hang_up_saved,
            ask_final=self.ask_final,
            clock=lambda: NOW + 10,
            records=DEFAULT_SETTINGS,
            events=self.told,
        )
        return found


def recovered(database: Database, *, fails: bool = False) -> tuple[Outside, recovery.Recovery]:
    outside = Outside(database)
    outside.fails = fails
    return outside, asyncio.run(_bounded(outside.recover))


async def _bounded(work: Callable[[], Awaitable[recovery.Recovery]]) -> recovery.Recovery:
    async with asyncio.timeout(20):
        return await work()


def answered(database: Database) -> None:
    assert database.write_now(lambda c: ledger.mark_answered(c, CALL_ID, NOW + 3, b"dialog"))


def the_start(database: Database) -> tuple[StartState, int | None, ServiceReference]:
    row = database.read_now(lambda c: c.execute(select(starts)).one())
    return StartState(row.state), row.return_code, row.reference


def test_a_call_that_may_have_rung_is_closed_and_not_dialled_again(database: Database) -> None:
    outside, found = recovered(database)
    assert (found.taken_back, found.marked, len(found.abandoned)) == (0, 0, 1)
    state, return_code, reference = the_start(database)
    assert (state, return_code) == (StartState.FINISHED, -90)
    assert outside.byes == []
    assert outside.told.steps(reference) == [Step.FINISHED]
    cdr = database.read_now(lambda c: c.execute(select(cdrs)).one())
    assert (cdr.hangup_cause, cdr.ended_at, cdr.connected_at) == ("ERROR(0)", NOW + 10, None)
    (error,) = database.read_now(lambda c: c.execute(select(error_records)).all())
    assert "the platform restarted" in error.text


def test_an_answered_call_gets_its_bye(database: Database) -> None:
    answered(database)
    outside, _ = recovered(database)
    assert outside.byes == [b"dialog"]
    cdr = database.read_now(lambda c: c.execute(select(cdrs)).one())
    assert (cdr.hangup_cause, cdr.connected_at, cdr.dialog) == ("NORMAL(200)", NOW + 3, None)


def test_the_final_page_is_asked_once_and_told_what_is_known(database: Database) -> None:
    answered(database)
    outside, _ = recovered(database)
    ((order, facts, outcome),) = outside.finals
    assert (order.instance_id, order.call_id, order.token) == (INSTANCE, CALL_ID, "t")
    assert (order.caller_id, order.outbound_parameters, order.service.name) == ("4412345", "p", "calls")
    assert (order.destination.prefixed, order.destination.given) == ("tel:999005550001", "tel:+999005550001")
    assert (facts.initiated_at, facts.answered_at, facts.ended_at) == (NOW + 1, NOW + 3, NOW + 10)
    assert outcome.hangup_cause == "NORMAL(200)"
    again, found = recovered(database)
    assert (again.finals, found.abandoned) == ([], ())


def test_a_final_page_that_was_stamped_before_the_crash_is_not_asked_again(database: Database) -> None:
    assert database.write_now(lambda c: ledger.stamp_final_asked(c, INSTANCE, NOW + 5))
    outside, _ = recovered(database)
    assert outside.finals == []
    assert the_start(database)[:2] == (StartState.FINISHED, -90)


def test_far_ends_and_pages_that_fail_keep_nothing_open(database: Database) -> None:
    answered(database)
    recovered(database, fails=True)
    assert the_start(database)[:2] == (StartState.FINISHED, -90)
    assert database.read_now(lambda c: c.execute(select(adrs)).one()).stopped_at == NOW + 10


def test_a_far_end_that_is_gone_holds_up_no_other_call(folder: Path) -> None:
    with node.open_database(folder) as first:
        service = first.read_now(node.the_service)
        dial(first, service, 2 * recovery.BYES_AT_ONCE)
    with node.open_database(folder) as database:

        async def story() -> int:
            outside, gone, back = Outside(database), 5, asyncio.Event()

            async def hang_up_saved(saved: bytes) -> None:
                await Outside.hang_up_saved(outside, saved)
                if len(outside.byes) <= gone:
                    await back.wait()

            outside.hang_up_saved = hang_up_saved  # type: ignore[method-assign]
            recovering = asyncio.create_task(outside.recover())
            others = 2 * recovery.BYES_AT_ONCE + 1 - gone
            await outside.told.until(lambda told: told.count(Step.FINISHED) == others)
            assert not recovering.done()
            back.set()
            await recovering
            return outside.told.count(Step.FINISHED)

        assert asyncio.run(story()) == 2 * recovery.BYES_AT_ONCE + 1
        assert set(node.states(database, service.id)) == {StartState.FINISHED}


def dial(database: Database, service: Service, many: int) -> None:
    """Have so many more calls answered when the node dies."""
    identifiers = node.counted_identifiers(lambda: NOW, first=1000)
    database.write_now(lambda c: node.enqueue(c, service, [CALL] * many, identifiers=identifiers, now=NOW))

    def answer_all(c: Connection) -> None:
        for start in claims.claim(c, service.id, limit=many, incarnation=database.incarnation, now=NOW):
            instance = identifiers.instance()
            call = identifiers.call(instance)
            assert stamp_and_open(
                c,
                start,
                service=service,
                destination=parse_destination("tel:+999005550001"),
                instance_id=instance,
                call_id=call,
                incarnation=database.incarnation,
                now=NOW + 1,
                slot_at=NOW + 1,
            )
            assert ledger.mark_answered(c, call, NOW + 3, b"dialog")

    database.write_now(answer_all)


def test_an_instance_that_closed_its_records_keeps_its_own_return_code(database: Database) -> None:
    assert database.write_now(lambda c: ledger.close_adr(c, INSTANCE, stopped_at=NOW + 5, exit_status=-10))
    _, found = recovered(database)
    assert (found.marked, found.abandoned) == (1, ())
    assert the_start(database)[:2] == (StartState.FINISHED, -10)


def test_a_claimed_start_waits_again_in_its_old_place(folder: Path) -> None:
    def add_and_claim(database: Database, service: Service) -> list[ServiceReference]:
        identifiers = node.counted_identifiers(time.time, first=100)
        queued = database.write_now(lambda c: node.enqueue(c, service, [CALL] * 3, identifiers=identifiers, now=NOW))
        database.write_now(lambda c: claims.claim(c, service.id, limit=2, incarnation=database.incarnation, now=NOW))
        return queued.references

    with node.open_database(folder) as first:
        service = first.read_now(node.the_service)
        references = add_and_claim(first, service)
    with node.open_database(folder) as second:
        _, found = recovered(second)
        assert found.taken_back == 2
        claimed = second.write_now(
            lambda c: claims.claim(c, service.id, limit=3, incarnation=second.incarnation, now=NOW)
        )
    assert [start.reference for start in claimed] == references


def test_starts_queued_by_a_clock_that_ran_ahead_are_due_after_the_restart(folder: Path) -> None:
    with node.open_database(folder) as first:
        service = first.read_now(node.the_service)
        identifiers = node.counted_identifiers(time.time, first=100)
        first.write_now(lambda c: node.enqueue(c, service, [CALL], identifiers=identifiers, now=NOW + 86_400))
    with node.open_database(folder) as second:
        recovered(second)
        assert second.read_now(lambda c: claims.waiting_services(c, now=NOW + 9)) == [service.id]
