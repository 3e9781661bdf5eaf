from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, select
from tests.support import outbound_node as node

from callwright.accounts.account import Account
from callwright.accounts.service import ApplicationKind, Service
from callwright.apps.instance import InstanceOrder, InstanceResult
from callwright.db.database import Database
from callwright.engine.interface import CallFacts, CallFailed
from callwright.outbound import dialling, queue
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import StartEvent, Step
from callwright.outbound.launch import RunInstance
from callwright.outbound.request import StartRequest
from callwright.outbound.start import StartState
from callwright.outbound.tables import attempts, starts
from callwright.records.tables import adrs, cdrs, error_records
from callwright.testing.fake_engine import FakeEngine
from callwright.values.errors import OutsideError
from callwright.values.ids import CallId, ServiceReference
from callwright.values.outcome import failed_outcome

T = TypeVar("T")
BeforeInvite = Callable[[bytes], Awaitable[None]]


class Clock:
    """The wall clock, with a screw to turn it."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


class Setting:
    """A database with one account and one service, a fake engine and what the dispatcher told."""

    def __init__(self, folder: Path) -> None:
        self.database = node.open_database(folder)
        self.account: Account = self.database.write_now(node.add_account)
        self.service: Service = self.database.write_now(lambda c: node.add_service(c, self.account.id))
        self.engine = FakeEngine(speed=5.0)
        self.told = node.Told()
        self.clock = Clock()
        self.identifiers = node.counted_identifiers(self.clock)

    def enqueue(self, *calls: StartRequest, service: Service | None = None) -> list[ServiceReference]:
        """Queue calls (one that is answered, if none is given), blocking the loop for a moment."""
        wanted = calls or (node.call_to(),)
        return self.database.write_now(
            lambda c: node.enqueue(c, service or self.service, wanted, identifiers=self.identifiers, now=self.clock())
        ).references

    def status(self, reference: ServiceReference) -> tuple[StartState, int | None, str]:
        found = node.status_of(self.database, self.account.id, reference)
        return found.state, found.return_code, found.reason

    def open_records(self) -> int:
        unclosed = self.database.read_now(
            lambda c: [
                *c.scalars(select(adrs.c.instance_id).where(adrs.c.stopped_at.is_(None))),
                *c.scalars(select(cdrs.c.instance_id).where(cdrs.c.ended_at.is_(None))),
            ]
        )
        return len(unclosed)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path)
    yield made
    made.database.close()


def dispatch(
    setting: Setting,
    scenario: Callable[[Dispatcher], Awaitable[None]],
    *,
    drain_s: float = 10.0,
    database: object | None = None,
    run_instance: RunInstance | None = None,
    owns_data: Callable[[], bool] = lambda: True,
    talk_s: float = 0.0,
    events: Callable[[StartEvent], None] | None = None,
    turn_of: Callable[[CallId], float] = lambda call_id: 0.0,
) -> None:
    """Run a scenario while a dispatcher runs, then drain it."""

    async def run() -> None:
        used = database or setting.database
        dispatcher = node.make_dispatcher(
            used,  # type: ignore[arg-type]
            setting.engine,
            run_instance=run_instance or node.instance_without_pages(used, setting.engine, talk_s=talk_s),  # type: ignore[arg-type]
            clock=setting.clock,
            owns_data=owns_data,
            turn_of=turn_of,
            events=events or setting.told,
        )
        async with node.dispatching(dispatcher, drain_s=drain_s):
            await scenario(dispatcher)

    asyncio.run(run())


def finished(*references: ServiceReference) -> Callable[[node.Told], bool]:
    return lambda told: all(Step.FINISHED in told.steps(reference) for reference in references)


def test_a_start_becomes_one_call_and_finishes_with_its_records(setting: Setting) -> None:
    (reference,) = setting.enqueue()

    async def scenario(dispatcher: Dispatcher) -> None:
        dispatcher.wake(setting.service.id)
        await setting.told.until(finished(reference))

    dispatch(setting, scenario)
    assert setting.told.steps(reference) == [Step.CLAIMED, Step.STAMPED, Step.DIALLING, Step.FINISHED]
    status = node.status_of(setting.database, setting.account.id, reference)
    assert (status.state, status.return_code) == (StartState.FINISHED, 0)
    assert [order.call_id.partition(".")[0] for order in setting.engine.orders] == [
        status.instance_id.partition(".")[0]
    ]
    assert setting.open_records() == 0


def test_a_start_that_nobody_told_about_is_found(setting: Setting) -> None:
    references: list[ServiceReference] = []

    async def scenario(dispatcher: Dispatcher) -> None:
        references.extend(setting.enqueue(node.call_to(), node.call_to(node.BUSY)))
        await setting.told.until(finished(*references))

    dispatch(setting, scenario)
    assert [setting.status(reference)[:2] for reference in references] == [(StartState.FINISHED, 0)] * 2


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (node.call_to("tel:443069990123"), "No route to tel:443069990123"),
        (node.call_to("loc:Desk"), "loc: destinations are not available"),
        (node.call_to("con:Room"), "Destination does not match the outbound call type of the service"),
    ],
)
def test_what_cannot_run_ends_with_its_reason_and_rings_nobody(
    setting: Setting, call: StartRequest, reason: str
) -> None:
    (reference,) = setting.enqueue(call)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.REFUSED) == 1)

    dispatch(setting, scenario)
    assert setting.status(reference) == (StartState.FAILED, None, reason)
    assert setting.engine.orders == []


def test_starts_of_a_uas_service_do_not_wait_for_pacing_to_be_refused(setting: Setting) -> None:
    account = setting.database.write_now(lambda c: node.add_account(c, username="slow@example.com", max_cps=0.01))
    service = setting.database.write_now(lambda c: node.add_service(c, account.id, application=ApplicationKind.UAS))
    setting.enqueue(*[StartRequest(outbound_parameters=str(n)) for n in range(5)], service=service)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.REFUSED) == 5)

    dispatch(setting, scenario)
    assert node.states(setting.database, service.id) == [StartState.FAILED] * 5


def test_a_start_cancelled_after_its_claim_is_never_dialled(setting: Setting) -> None:
    (reference,) = setting.enqueue()
    answers: list[str] = []

    def cancel_when_claimed(event: StartEvent) -> None:
        if event.step is Step.CLAIMED:
            answers.extend(
                setting.database.write_now(
                    lambda c: queue.cancel(
                        c, account_id=setting.account.id, references=[reference], now=setting.clock()
                    )
                ).values()
            )
        setting.told(event)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.WITHDRAWN) == 1)

    dispatch(setting, scenario, events=cancel_when_claimed)
    assert answers == ["success"]
    assert setting.status(reference)[0] is StartState.CANCELLED
    assert setting.engine.orders == []
    assert setting.open_records() == 0


def test_never_more_instances_run_than_the_limits_allow_even_when_instances_crash(setting: Setting) -> None:
    limited = setting.database.write_now(
        lambda c: node.add_service(c, setting.account.id, name="limited", max_running=2)
    )
    references = setting.enqueue(*[node.call_to() for _ in range(9)], service=limited)
    running, most, begun = 0, 0, 0
    well = node.instance_without_pages(setting.database, setting.engine, talk_s=0.05)

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        nonlocal running, most, begun
        running, begun = running + 1, begun + 1
        most = max(most, running)
        try:
            if begun % 3 == 0:
                await before_invite(b"")
                raise ZeroDivisionError("a bug in an application")
            return await well(order, before_invite)
        finally:
            running -= 1

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(*references))

    dispatch(setting, scenario, run_instance=run_instance)
    assert most == 2
    assert sorted(code for _, code, _ in map(setting.status, references) if code is not None) == [-1] * 3 + [0] * 6
    assert setting.open_records() == 0


def test_an_account_limit_holds_across_its_services(setting: Setting) -> None:
    account = setting.database.write_now(lambda c: node.add_account(c, username="one@example.com", max_running=1))
    services = [
        setting.database.write_now(partial(node.add_service, account_id=account.id, name=f"s{n}")) for n in range(3)
    ]
    for service in services:
        setting.enqueue(node.call_to(), node.call_to(), service=service)
    most = 0

    def watch(event: StartEvent) -> None:
        nonlocal most
        setting.told(event)
        most = max(most, setting.told.count(Step.STAMPED) - setting.told.count(Step.FINISHED))

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.FINISHED) == 6)

    dispatch(setting, scenario, talk_s=0.02, events=watch)
    assert most == 1


def test_slots_on_disk_keep_the_maximum_in_any_sliding_second(setting: Setting) -> None:
    service = setting.database.write_now(lambda c: node.add_service(c, setting.account.id, name="paced", max_cps=10.0))
    references = setting.enqueue(*[node.call_to() for _ in range(16)], service=service)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(*references))

    dispatch(setting, scenario)
    slots = setting.database.read_now(lambda c: dialling.slots_since(c, service.id, since=0.0))
    assert len(slots) == 16
    for early, late in zip(slots, slots[10:], strict=False):
        assert late - early >= 0.95  # the two clocks are read apart, and the machine may be busy in between


def test_an_instance_that_crashes_before_the_stamp_rings_nobody_and_says_so(setting: Setting) -> None:
    (reference,) = setting.enqueue()

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        raise ZeroDivisionError("a bug")

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.REFUSED) == 1)

    dispatch(setting, scenario, run_instance=run_instance)
    assert setting.status(reference) == (StartState.FAILED, None, "Internal error")


def test_an_instance_that_crashes_after_the_stamp_gets_its_records_closed_with_an_error(setting: Setting) -> None:
    (reference,) = setting.enqueue()

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        await before_invite(b"")
        raise ZeroDivisionError("a bug")

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(reference))

    dispatch(setting, scenario, run_instance=run_instance)
    assert setting.status(reference)[:2] == (StartState.FINISHED, -1)
    assert setting.open_records() == 0
    errors = setting.database.read_now(lambda c: c.execute(select(error_records)).all())
    assert [(error.n, error.code) for error in errors] == [(0, "2008")]


def test_what_could_not_be_prepared_goes_back_to_the_queue_and_is_tried_later(setting: Setting) -> None:
    setting.enqueue()

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        raise OutsideError("no port is free")

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.RELEASED) == 1)

    dispatch(setting, scenario, run_instance=run_instance)
    row = setting.database.read_now(lambda c: c.execute(select(starts)).one())
    assert row.state == StartState.QUEUED
    assert row.due_at > row.queued_at


def test_call_that_can_never_be_placed_could_not_run_and_says_why(setting: Setting) -> None:
    (reference,) = setting.enqueue()

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        facts = CallFacts(call_id=order.call_id, destination=order.destination)
        facts.outcome = failed_outcome(400, detail="the headers do not fit")
        raise CallFailed(facts)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.REFUSED) == 1)

    dispatch(setting, scenario, run_instance=run_instance)
    row = setting.database.read_now(lambda c: c.execute(select(starts)).one())
    assert row.reference == reference
    assert row.state == StartState.FAILED
    assert "the headers do not fit" in row


def test_draining_lets_calls_finish_and_puts_back_what_was_not_dialled(setting: Setting) -> None:
    service = setting.database.write_now(lambda c: node.add_service(c, setting.account.id, name="slow", max_cps=4.0))
    references = setting.enqueue(*[node.call_to() for _ in range(20)], service=service)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.DIALLING) == 1)

    dispatch(setting, scenario, talk_s=0.3)
    left = [setting.status(reference)[0] for reference in references]
    assert set(left) == {StartState.FINISHED, StartState.QUEUED}
    assert left.count(StartState.FINISHED) == len(setting.engine.orders)
    assert setting.open_records() == 0
    holders = setting.database.read_now(lambda c: c.scalars(select(starts.c.claimed_by)).all())
    assert holders.count(None) == left.count(StartState.QUEUED)


def test_draining_ends_calls_that_last_longer_than_its_limit(setting: Setting) -> None:
    (reference,) = setting.enqueue()

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.DIALLING) == 1)

    dispatch(setting, scenario, talk_s=3600.0, drain_s=0.2)
    assert setting.status(reference)[:2] == (StartState.FINISHED, -80)
    assert setting.open_records() == 0


def test_a_node_that_lost_its_data_folder_sends_nothing(setting: Setting) -> None:
    (reference,) = setting.enqueue()

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(reference))

    dispatch(setting, scenario, owns_data=lambda: False)
    assert setting.engine.orders == []
    assert setting.status(reference)[:2] == (StartState.FINISHED, -1)


def test_a_claim_that_was_reported_as_failed_and_had_happened_is_found_again(setting: Setting) -> None:
    (reference,) = setting.enqueue()
    flaky = node.Flaky(setting.database)
    flaky.fails_after = 1

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(reference))

    dispatch(setting, scenario, database=flaky)
    assert setting.status(reference)[:2] == (StartState.FINISHED, 0)
    assert len(setting.engine.orders) == 1


def test_a_stamp_that_was_reported_as_failed_and_had_happened_is_never_dialled(setting: Setting) -> None:
    (reference,) = setting.enqueue()
    flaky = node.Flaky(setting.database)

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        flaky.fails_after = 1
        return await node.instance_without_pages(setting.database, setting.engine)(order, before_invite)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(reference))

    dispatch(setting, scenario, database=flaky, run_instance=run_instance)
    assert setting.engine.orders == []
    assert setting.status(reference)[:2] == (StartState.FINISHED, -1)
    assert setting.open_records() == 0


def test_the_end_of_a_start_is_written_when_the_database_is_back(setting: Setting) -> None:
    (reference,) = setting.enqueue()
    flaky = node.Flaky(setting.database)

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        well = node.instance_without_pages(setting.database, setting.engine)
        result = await well(order, before_invite)
        flaky.fails_before = 1
        return result

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(reference))

    dispatch(setting, scenario, database=flaky, run_instance=run_instance)
    assert setting.status(reference)[:2] == (StartState.FINISHED, 0)


def test_a_clock_set_back_keeps_no_start_waiting(setting: Setting) -> None:
    references: list[ServiceReference] = []

    async def scenario(dispatcher: Dispatcher) -> None:
        references.extend(setting.enqueue())
        await setting.told.until(finished(references[0]))
        references.extend(setting.enqueue())
        setting.clock.offset -= 3600.0
        references.extend(setting.enqueue())
        await setting.told.until(finished(*references))

    dispatch(setting, scenario)
    assert {setting.status(reference)[:2] for reference in references} == {(StartState.FINISHED, 0)}


def test_a_start_that_waited_a_day_expires(setting: Setting) -> None:
    busy = setting.database.write_now(lambda c: node.add_service(c, setting.account.id, name="b", max_running=1))
    first, second = setting.enqueue(node.call_to(), node.call_to(), service=busy)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: Step.DIALLING in told.steps(first))
        setting.clock.offset += 24 * 3600.0 + 1
        await setting.told.until(lambda told: Step.EXPIRED in told.steps(second))

    dispatch(setting, scenario, talk_s=3600.0, drain_s=0.1)
    assert setting.status(second) == (StartState.EXPIRED, None, "Queue time limit exceeded")


class SlowStamp(node.Flaky):
    """A database whose first stamp takes longer than a restart allows for."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        super().__init__(database)
        self.stamped_at: list[float] = []
        self._clock = clock

    async def write(self, fn: Callable[[Connection], T], *, lasting: bool = True, brief: bool = False) -> T:
        result = await super().write(fn, lasting=lasting, brief=brief)
        if getattr(fn, "func", fn).__name__ == "_stamp":
            self.stamped_at.append(self._clock())
            if len(self.stamped_at) == 1:
                await asyncio.sleep(1.2)
        return result


def test_a_start_much_later_than_its_slot_moves_the_slot_on_disk_before_it_leaves(setting: Setting) -> None:
    """Pacing after a crash must know when the call really left."""
    (reference,) = setting.enqueue()
    slow = SlowStamp(setting.database, setting.clock)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(reference))

    dispatch(setting, scenario, database=slow)
    (attempt,) = setting.database.read_now(lambda c: c.execute(select(attempts)).all())
    assert attempt.slot_at - slow.stamped_at[0] >= 1.0


def test_a_late_start_holds_back_those_behind_it(setting: Setting) -> None:
    service = setting.database.write_now(lambda c: node.add_service(c, setting.account.id, name="one", max_cps=1.0))
    references = setting.enqueue(node.call_to(), node.call_to(), service=service)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(*references))

    dispatch(setting, scenario, database=SlowStamp(setting.database, setting.clock))
    first, second = (event.at for event in setting.told.events if event.step is Step.DIALLING)
    assert second - first >= 0.99  # a lower bound: being late may only make it longer


def test_a_start_that_waits_for_its_trunk_is_paced_from_when_it_leaves(setting: Setting) -> None:
    """Else the far end would see two of an account closer together than its maximum allows."""
    service = setting.database.write_now(lambda c: node.add_service(c, setting.account.id, name="one", max_cps=1.0))
    first, second = setting.enqueue(node.call_to(), node.call_to(), service=service)
    turn: dict[CallId, float] = {}

    def turn_of(call_id: CallId) -> float:
        """The first call gets its turn on the trunk 0.7 s later."""
        loop = asyncio.get_running_loop()
        return turn.setdefault(call_id, 0.0 if turn else loop.time() + 0.7)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(first, second))

    dispatch(setting, scenario, turn_of=turn_of)
    at = {event.reference: event.at for event in setting.told.events if event.step is Step.DIALLING}
    stamped = {event.reference: event.at for event in setting.told.events if event.step is Step.STAMPED}
    assert at[first] - stamped[first] >= 0.6  # lower bounds: being late may only make them longer
    assert at[second] - at[first] >= 0.99


def test_an_unknown_bug_in_one_instance_leaves_the_others_alone(setting: Setting) -> None:
    good, bad = setting.enqueue(node.call_to(), node.call_to(node.BUSY))
    well = node.instance_without_pages(setting.database, setting.engine, talk_s=0.1)

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        if order.reference == bad:
            await before_invite(b"")
            raise KeyError("x")
        return await well(order, before_invite)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(finished(good, bad))

    dispatch(setting, scenario, run_instance=run_instance)
    assert [setting.status(reference)[1] for reference in (good, bad)] == [0, -1]
