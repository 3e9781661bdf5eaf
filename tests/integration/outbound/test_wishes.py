"""What customers wish of single calls, and what the operator stops, on a real database and a fake engine."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.support import outbound_node as node

from callwright.accounts.account import Account
from callwright.accounts.service import Service
from callwright.apps.instance import InstanceOrder, InstanceResult
from callwright.outbound import claims, pauses, purge, queue
from callwright.outbound.calling_hours import CallingHours
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import Step
from callwright.outbound.pauses import Scope
from callwright.outbound.request import StartRequest
from callwright.outbound.retry import Again, RetryPlan
from callwright.outbound.running import running_instance, running_starts
from callwright.outbound.start import StartState, StartStatus
from callwright.outbound.tables import attempts, starts
from callwright.outbound.wishes import Wishes
from callwright.records.tables import adrs, cdrs
from callwright.testing.fake_engine import FakeEngine
from callwright.values.ids import InstanceId, ServiceReference

BeforeInvite = Callable[[bytes], Awaitable[None]]
SOON = Again(after_s=0.05, times=2)
LONG_AFTER = Again(after_s=3600.0, times=2)


class Clock:
    """The wall clock, with a screw to turn it."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


class Setting:
    """A node with one account and one service."""

    def __init__(self, folder: Path) -> None:
        self.database = node.open_database(folder)
        self.account: Account = self.database.write_now(node.add_account)
        self.service: Service = self.database.write_now(lambda c: node.add_service(c, self.account.id))
        self.engine = FakeEngine(speed=5.0)
        self.told = node.Told()
        self.clock = Clock()
        self.identifiers = node.counted_identifiers(self.clock)
        self.talk_s = 0.0

    def enqueue(self, *wished: Wishes, to: str = node.ANSWERS_AT_ONCE) -> list[ServiceReference]:
        calls = [StartRequest(given_to=to, given_from="441908273800", wishes=wishes) for wishes in wished]
        return self.database.write_now(
            lambda c: node.enqueue(c, self.service, calls, identifiers=self.identifiers, now=self.clock())
        ).references

    def status(self, reference: ServiceReference) -> StartStatus:
        return node.status_of(self.database, self.account.id, reference)

    def due_at(self, reference: ServiceReference) -> float:
        wanted = select(starts.c.due_at).where(starts.c.reference == reference)
        return float(self.database.read_now(lambda c: c.execute(wanted).scalar_one()))

    def attempts(self) -> list[Any]:
        return list(self.database.read_now(lambda c: c.execute(select(attempts).order_by(attempts.c.id)).all()))

    def run(self, scenario: Callable[[Dispatcher], Awaitable[None]], *, drain_s: float = 10.0, **other: Any) -> None:
        """Run a scenario while a dispatcher runs."""

        async def run() -> None:
            well = node.instance_without_pages(self.database, self.engine, talk_s=self.talk_s)
            defaults = {"run_instance": well, "clock": self.clock, "events": self.told}
            dispatcher = node.make_dispatcher(self.database, self.engine, **(defaults | other))
            async with node.dispatching(dispatcher, drain_s=drain_s):
                await scenario(dispatcher)

        asyncio.run(run())

    def run_until(self, step: Step, *references: ServiceReference, **other: Any) -> None:
        async def scenario(dispatcher: Dispatcher) -> None:
            await self.told.until(lambda told: all(step in told.steps(reference) for reference in references))

        self.run(scenario, **other)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path)
    yield made
    made.database.close()


# --- when


def test_a_start_is_not_dialled_before_its_time(setting: Setting) -> None:
    later, now = setting.enqueue(Wishes(start_after=setting.clock() + 3600.0), Wishes())

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: Step.FINISHED in told.steps(now))
        assert setting.status(later).state is StartState.QUEUED
        setting.clock.offset += 3601.0
        await setting.told.until(lambda told: Step.FINISHED in told.steps(later))

    setting.run(scenario)
    assert setting.told.steps(later)[0] is Step.CLAIMED


def test_a_start_that_expires_is_not_dialled_any_more(setting: Setting) -> None:
    (reference,) = setting.enqueue(Wishes(expires_at=setting.clock() - 1.0))
    setting.run_until(Step.EXPIRED, reference)
    assert setting.engine.orders == []
    assert setting.status(reference).reason == "Queue time limit exceeded"


def test_the_most_urgent_starts_leave_first_and_equals_as_they_came(setting: Setting) -> None:
    references = setting.enqueue(*[Wishes(priority=priority) for priority in (0, -10, 5, 10, 0, 5)])

    def claim_all() -> list[ServiceReference]:
        return [
            start.reference
            for _ in references
            for start in setting.database.write_now(
                lambda c: claims.claim(c, setting.service.id, limit=2, incarnation=1, now=setting.clock())
            )
        ]

    assert claim_all() == [references[n] for n in (3, 2, 5, 0, 4, 1)]


def test_an_urgent_start_that_is_not_due_yet_holds_nobody_up(setting: Setting) -> None:
    _, plain = setting.enqueue(Wishes(priority=10, start_after=setting.clock() + 60.0), Wishes())
    now = setting.clock()
    assert setting.database.read_now(lambda c: claims.waiting_services(c, now=now)) == [setting.service.id]
    claimed = setting.database.write_now(
        lambda c: claims.claim(c, setting.service.id, limit=5, incarnation=1, now=setting.clock())
    )
    assert [start.reference for start in claimed] == [plain]


def closed_now(clock: Clock, *, opens_in_s: float = 7200.0) -> CallingHours:
    """Hours of one hour that begin, by the clock of UTC, on a full minute about ``opens_in_s`` from now."""
    opens = int((clock() + opens_in_s) // 60) % 1440
    return CallingHours(time_zone="UTC", days=tuple(range(7)), opens=opens, closes=(opens + 60) % 1440)


def test_outside_its_calling_hours_a_start_waits_for_them(setting: Setting) -> None:
    hours = closed_now(setting.clock)
    (reference,) = setting.enqueue(Wishes(calling_hours=hours))
    assert setting.due_at(reference) == hours.next_opening(setting.clock())

    async def scenario(dispatcher: Dispatcher) -> None:
        setting.clock.offset += setting.due_at(reference) - setting.clock()
        await setting.told.until(lambda told: Step.FINISHED in told.steps(reference))

    setting.run(scenario)
    (attempt,) = setting.attempts()
    assert hours.is_open(attempt.dialled_at)


def test_a_start_whose_hours_ended_while_it_waited_goes_to_the_next_opening_without_a_slot(setting: Setting) -> None:
    open_now = closed_now(setting.clock, opens_in_s=-600.0)
    (reference,) = setting.enqueue(Wishes(calling_hours=open_now))
    setting.clock.offset += 3600.0
    setting.run_until(Step.RELEASED, reference)
    assert setting.engine.orders == []
    assert setting.due_at(reference) == open_now.next_opening(setting.clock())
    assert setting.told.steps(reference) == [Step.CLAIMED, Step.RELEASED]


def test_hours_that_end_between_the_claim_and_the_stamp_keep_the_telephone_silent(setting: Setting) -> None:
    open_now = closed_now(setting.clock, opens_in_s=-600.0)
    (reference,) = setting.enqueue(Wishes(calling_hours=open_now))
    well = node.instance_without_pages(setting.database, setting.engine)

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        setting.clock.offset += 3600.0
        return await well(order, before_invite)

    setting.run_until(Step.RELEASED, reference, run_instance=run_instance)
    assert setting.attempts() == []
    assert setting.due_at(reference) == open_now.next_opening(setting.clock())


def test_hours_that_end_between_the_stamp_and_the_slot_keep_the_telephone_silent_too(setting: Setting) -> None:
    """The stamp opened records, so they are closed, and the start waits as attempt 2."""
    open_now = closed_now(setting.clock, opens_in_s=-600.0)
    (reference,) = setting.enqueue(Wishes(calling_hours=open_now))

    def events(event: Any) -> None:
        if event.step is Step.STAMPED:
            setting.clock.offset += 3600.0
        setting.told(event)

    setting.run_until(Step.QUEUED_AGAIN, reference, events=events)
    rung = setting.database.read_now(lambda c: c.scalars(select(cdrs.c.connected_at)).all())
    assert rung == [None]
    assert setting.status(reference).state is StartState.QUEUED
    assert setting.due_at(reference) > setting.clock()
    assert setting.database.read_now(lambda c: c.scalars(select(adrs.c.exit_status)).all()) == [-1]


# --- how long


def test_ringing_and_talking_are_limited_as_wished(setting: Setting) -> None:
    asked: list[InstanceOrder] = []
    well = node.instance_without_pages(setting.database, setting.engine)

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        asked.append(order)
        return await well(order, before_invite)

    (reference,) = setting.enqueue(Wishes(ring_timeout_s=7.0, max_duration_s=90.0))
    setting.run_until(Step.FINISHED, reference, run_instance=run_instance)
    assert [(order.service.ring_timeout_s, order.max_duration_s) for order in asked] == [(7.0, 90.0)]


# --- again


def test_a_busy_call_is_tried_again_as_often_as_its_plan_says(setting: Setting) -> None:
    (reference,) = setting.enqueue(Wishes(retry=RetryPlan(busy=SOON)), to=node.BUSY)
    setting.run_until(Step.FINISHED, reference)
    tried = setting.attempts()
    assert [(attempt.n, attempt.unreached, attempt.return_code) for attempt in tried] == [
        (1, "busy", 0),
        (2, "busy", 0),
        (3, "busy", 0),
    ]
    assert all(later.dialled_at >= earlier.finished_at + SOON.after_s for earlier, later in itertools.pairwise(tried))
    instances = [attempt.instance_id for attempt in tried]
    assert len(set(instances)) == 3
    for table in (adrs, cdrs):
        wanted = select(table.c.instance_id)
        found = setting.database.read_now(lambda c, wanted=wanted: list(c.scalars(wanted)))  # type: ignore[misc]
        assert sorted(found) == sorted(instances), "each attempt has its own records"
    status = setting.status(reference)
    assert (status.state, status.return_code, status.instance_id) == (StartState.FINISHED, 0, instances[-1])


def test_what_breaks_after_the_records_were_closed_does_not_end_a_start_that_waits_for_its_next_attempt(
    setting: Setting,
) -> None:
    (reference,) = setting.enqueue(Wishes(retry=RetryPlan(busy=LONG_AFTER)), to=node.BUSY)
    well = node.instance_without_pages(setting.database, setting.engine)

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        await well(order, before_invite)
        raise LookupError("a bug in what comes last")

    setting.run_until(Step.QUEUED_AGAIN, reference, run_instance=run_instance)
    assert setting.status(reference).state is StartState.QUEUED
    assert [(attempt.unreached, attempt.return_code) for attempt in setting.attempts()] == [("busy", 0)]


def test_between_attempts_the_status_is_queued_with_the_latest_instance(setting: Setting) -> None:
    (reference,) = setting.enqueue(Wishes(retry=RetryPlan(busy=LONG_AFTER)), to=node.BUSY)
    setting.run_until(Step.QUEUED_AGAIN, reference)
    (attempt,) = setting.attempts()
    status = setting.status(reference)
    assert (status.state, status.instance_id, status.return_code) == (StartState.QUEUED, attempt.instance_id, None)
    assert setting.due_at(reference) == attempt.finished_at + LONG_AFTER.after_s


def test_a_call_that_is_answered_is_not_tried_again(setting: Setting) -> None:
    plan = RetryPlan(busy=SOON, no_answer=SOON, unreachable=SOON)
    (reference,) = setting.enqueue(Wishes(retry=plan))
    setting.run_until(Step.FINISHED, reference)
    assert len(setting.attempts()) == 1


def test_only_what_the_plan_names_is_tried_again(setting: Setting) -> None:
    wishes = Wishes(retry=RetryPlan(busy=SOON), ring_timeout_s=1.0)
    (reference,) = setting.enqueue(wishes, to=node.NEVER_ANSWERS)
    setting.run_until(Step.FINISHED, reference)
    assert [attempt.unreached for attempt in setting.attempts()] == ["no_answer"]


def test_a_retry_past_the_end_of_its_start_is_not_made(setting: Setting) -> None:
    wishes = Wishes(retry=RetryPlan(busy=LONG_AFTER), expires_at=setting.clock() + 600.0)
    (reference,) = setting.enqueue(wishes, to=node.BUSY)
    setting.run_until(Step.FINISHED, reference)
    assert len(setting.attempts()) == 1


def test_a_retry_waits_for_the_calling_hours(setting: Setting) -> None:
    open_now = closed_now(setting.clock, opens_in_s=-600.0)
    wishes = Wishes(retry=RetryPlan(busy=LONG_AFTER), calling_hours=open_now, expires_at=setting.clock() + 7 * 86400)
    (reference,) = setting.enqueue(wishes, to=node.BUSY)
    setting.run_until(Step.QUEUED_AGAIN, reference)
    (attempt,) = setting.attempts()
    assert setting.due_at(reference) == open_now.next_opening(attempt.finished_at + LONG_AFTER.after_s)


def test_a_clock_set_back_makes_a_retry_wait_no_longer_than_its_plan_says(setting: Setting) -> None:
    (reference,) = setting.enqueue(Wishes(retry=RetryPlan(busy=LONG_AFTER)), to=node.BUSY)
    setting.run_until(Step.QUEUED_AGAIN, reference)
    for _ in range(2):  # a second mending, a while later, changes nothing
        setting.clock.offset -= 3600.0
        now = setting.clock()
        setting.database.write_now(lambda c, now=now: claims.mend_due_times(c, now=now))  # type: ignore[misc]
        assert setting.due_at(reference) == pytest.approx(now + LONG_AFTER.after_s, abs=0.001)
        due_at = setting.due_at(reference)
        assert setting.database.write_now(lambda c, now=now: claims.mend_due_times(c, now=now + 10.0)) == 0  # type: ignore[misc]
        assert setting.due_at(reference) == due_at
    (attempt,) = setting.attempts()
    assert attempt.finished_at == now


def test_a_running_node_notices_that_its_clock_was_set_back_under_a_retry(setting: Setting) -> None:
    (reference,) = setting.enqueue(Wishes(retry=RetryPlan(busy=SOON)), to=node.BUSY)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: Step.QUEUED_AGAIN in told.steps(reference))
        setting.clock.offset -= 3600.0
        await setting.told.until(lambda told: told.steps(reference).count(Step.QUEUED_AGAIN) == 2)

    setting.run(scenario)
    assert len(setting.attempts()) == 2


def test_a_clock_put_forward_an_hour_ends_nothing_that_may_wait_longer(setting: Setting) -> None:
    now = setting.clock()
    fixed, waits = Wishes(start_after=now + 7200.0), Wishes(start_after=now + 1800.0)
    soon_over, plain = Wishes(start_after=now + 60.0, expires_at=now + 600.0), Wishes(expires_at=now + 4000.0)
    references = setting.enqueue(fixed, waits, soon_over, plain)
    setting.clock.offset += 3600.0

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(
            lambda told: (
                all(Step.FINISHED in told.steps(reference) for reference in (references[1], references[3]))
                and Step.EXPIRED in told.steps(references[2])
            )
        )

    setting.run(scenario)
    states = [setting.status(reference).state for reference in references]
    assert states == [StartState.QUEUED, StartState.FINISHED, StartState.EXPIRED, StartState.FINISHED]


@pytest.mark.parametrize("how", ["cancel", "purge"])
def test_a_start_that_waits_for_its_next_attempt_can_be_taken_back(setting: Setting, how: str) -> None:
    (reference,) = setting.enqueue(Wishes(retry=RetryPlan(busy=LONG_AFTER)), to=node.BUSY)
    setting.run_until(Step.QUEUED_AGAIN, reference)
    take_back(setting, reference, how)
    assert setting.status(reference).state is StartState.CANCELLED


@pytest.mark.parametrize("how", ["cancel", "purge"])
def test_taking_back_a_start_that_is_being_dialled_ends_its_retries(setting: Setting, how: str) -> None:
    (reference,) = setting.enqueue(Wishes(retry=RetryPlan(busy=SOON)), to=node.BUSY)

    def events(event: Any) -> None:
        if event.step is Step.DIALLING:
            answer = setting.database.write_now(lambda c: take_back_now(c, setting, reference, how))
            assert answer in ("failed", 0)
        setting.told(event)

    setting.run_until(Step.FINISHED, reference, events=events)
    assert len(setting.attempts()) == 1


def take_back_now(c: Any, setting: Setting, reference: ServiceReference, how: str) -> str | int:
    if how == "purge":
        return queue.purge(c, setting.service.id, now=setting.clock())
    return queue.cancel(c, account_id=setting.account.id, references=[reference], now=setting.clock())[reference]


def take_back(setting: Setting, reference: ServiceReference, how: str) -> None:
    assert setting.database.write_now(lambda c: take_back_now(c, setting, reference, how)) in ("success", 1)


def test_a_start_that_expires_between_attempts_ends_as_its_last_attempt_did(setting: Setting) -> None:
    wishes = Wishes(retry=RetryPlan(busy=LONG_AFTER), expires_at=setting.clock() + 7200.0)
    (reference,) = setting.enqueue(wishes, to=node.BUSY)
    setting.run_until(Step.QUEUED_AGAIN, reference)
    setting.clock.offset += 7201.0
    setting.told = node.Told()
    setting.run_until(Step.EXPIRED, reference)
    status = setting.status(reference)
    assert (status.state, status.return_code) == (StartState.FINISHED, 0)


def test_a_start_refused_before_its_next_attempt_ends_as_its_last_attempt_did(setting: Setting) -> None:
    (reference,) = setting.enqueue(Wishes(retry=RetryPlan(busy=LONG_AFTER)), to=node.BUSY)
    setting.run_until(Step.QUEUED_AGAIN, reference)
    now = setting.clock() + 4000.0
    (start,) = setting.database.write_now(
        lambda c: claims.claim(c, setting.service.id, limit=1, incarnation=1, now=now)
    )
    assert start.attempt == 2
    assert setting.database.write_now(lambda c: claims.fail(c, start.id, incarnation=1, reason="Do not call", now=now))
    status = setting.status(reference)
    assert (status.state, status.return_code, status.reason) == (StartState.FINISHED, 0, "Do not call")


# --- the operator


def of(setting: Setting, scope: Scope) -> int:
    return {Scope.ALL: 0, Scope.ACCOUNT: setting.account.id, Scope.SERVICE: setting.service.id}[scope]


@pytest.mark.parametrize("scope", list(Scope))
def test_what_is_paused_waits_and_goes_on_when_it_is_resumed(setting: Setting, scope: Scope) -> None:
    other = setting.database.write_now(lambda c: node.add_account(c, username="bob@example.com"))
    stranger = setting.database.write_now(lambda c: node.add_service(c, other.id, name="other"))
    what = of(setting, scope)
    assert setting.database.write_now(lambda c: pauses.pause(c, scope, what, now=setting.clock()))
    assert not setting.database.write_now(lambda c: pauses.pause(c, scope, what, now=setting.clock()))
    (mine,) = setting.enqueue(Wishes())
    theirs = setting.database.write_now(
        lambda c: node.enqueue(c, stranger, [node.call_to()], identifiers=setting.identifiers, now=setting.clock())
    ).references[0]

    async def scenario(dispatcher: Dispatcher) -> None:
        if scope is not Scope.ALL:
            await setting.told.until(lambda told: Step.FINISHED in told.steps(theirs))
        dispatcher.wake(setting.service.id)
        setting.clock.offset += 1.0
        await asyncio.sleep(0.3)
        assert setting.engine.orders == [] if scope is Scope.ALL else len(setting.engine.orders) == 1
        await setting.database.write(lambda c: pauses.resume(c, scope, what))
        dispatcher.look_again()
        await setting.told.until(lambda told: all(Step.FINISHED in told.steps(one) for one in (mine, theirs)))

    setting.run(scenario)
    assert not setting.database.write_now(lambda c: pauses.resume(c, scope, what))


def test_once_a_pause_is_on_disk_nothing_more_is_stamped(setting: Setting) -> None:
    """Even by a dispatcher that has not heard of it: the stamp itself looks."""
    (reference,) = setting.enqueue(Wishes())
    well = node.instance_without_pages(setting.database, setting.engine)

    async def run_instance(order: InstanceOrder, before_invite: BeforeInvite) -> InstanceResult:
        await setting.database.write(lambda c: pauses.pause(c, Scope.ALL, 0, now=setting.clock()))
        return await well(order, before_invite)

    setting.run_until(Step.RELEASED, reference, run_instance=run_instance)
    assert setting.status(reference).state is StartState.QUEUED
    assert setting.attempts() == []


def test_a_pause_gives_back_what_was_claimed(setting: Setting) -> None:
    slow = setting.database.write_now(lambda c: node.add_service(c, setting.account.id, name="slow", max_running=1))
    setting.talk_s = 3600.0
    references = setting.database.write_now(
        lambda c: node.enqueue(c, slow, [node.call_to()] * 3, identifiers=setting.identifiers, now=setting.clock())
    ).references

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.DIALLING) == 1)
        await setting.database.write(lambda c: pauses.pause(c, Scope.SERVICE, slow.id, now=setting.clock()))
        dispatcher.look_again()
        running = await setting.database.read(running_starts)
        assert [one.reference for one in running] == references[:1], "a pause leaves running calls alone"
        assert dispatcher.hang_up(running[0].instance_id)
        await setting.told.until(lambda told: Step.FINISHED in told.steps(references[0]))
        assert not dispatcher.hang_up(running[0].instance_id)
        await asyncio.sleep(0.2)

    setting.run(scenario, drain_s=1.0)
    assert [setting.status(one).state for one in references] == [
        StartState.FINISHED,
        StartState.QUEUED,
        StartState.QUEUED,
    ]
    assert setting.status(references[0]).return_code == -80


def test_a_call_hung_up_by_the_operator_is_not_tried_again(setting: Setting) -> None:
    (reference,) = setting.enqueue(Wishes(retry=RetryPlan(no_answer=SOON)), to=node.NEVER_ANSWERS)

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: Step.DIALLING in told.steps(reference))
        (running,) = await setting.database.read(running_starts)
        assert (running.account, running.service, running.answered_at) == ("ann@example.com", "calls", None)
        found = await setting.database.read(lambda c: running_instance(c, reference))
        assert found == running.instance_id
        assert dispatcher.hang_up(running.instance_id)
        await setting.told.until(lambda told: Step.FINISHED in told.steps(reference))
        assert await setting.database.read(running_starts) == []
        assert not dispatcher.hang_up(InstanceId("no.1"))

    setting.run(scenario)
    assert len(setting.attempts()) == 1


# --- the world


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_wall_clock_that_jumps_an_hour_loses_nothing_and_leaves_running_calls_alone(
    setting: Setting, step_s: float
) -> None:
    setting.talk_s = 0.5
    before = setting.enqueue(Wishes(), Wishes(), Wishes(priority=1))
    (later,) = setting.enqueue(Wishes(start_after=setting.clock() + 7200.0))

    async def scenario(dispatcher: Dispatcher) -> None:
        await setting.told.until(lambda told: told.count(Step.DIALLING) == 2)
        setting.clock.offset += step_s
        after = setting.enqueue(Wishes())
        await setting.told.until(lambda told: all(Step.FINISHED in told.steps(one) for one in (*before, *after)))
        assert setting.status(later).state is StartState.QUEUED
        setting.clock.offset += 7200.0 - step_s
        await setting.told.until(lambda told: Step.FINISHED in told.steps(later))

    setting.run(scenario)
    found = setting.database.read_now(lambda c: c.scalars(select(starts.c.return_code)).all())
    assert list(found) == [0] * 5
    assert len(setting.attempts()) == 5


def test_a_long_queue_is_purged_in_batches_and_what_came_later_stays(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 7)
    before = setting.enqueue(*[Wishes(priority=number % 3) for number in range(30)])
    sizes: list[int] = []
    late: list[ServiceReference] = []

    class Between(node.Flaky):
        """Lets somebody queue a start after each batch."""

        async def write(self, fn: Callable[[Any], Any], *, lasting: bool = True, brief: bool = False) -> Any:
            sizes.append(await super().write(fn))
            late.extend(setting.enqueue(Wishes()))
            return sizes[-1]

    watched: Any = Between(setting.database)
    purged = asyncio.run(purge.purge_queue(watched, setting.service.id, now=setting.clock()))
    assert (purged, sizes) == (30, [7, 7, 7, 7, 2])
    assert {setting.status(one).state for one in before} == {StartState.CANCELLED}
    assert {setting.status(one).state for one in late} == {StartState.QUEUED}
