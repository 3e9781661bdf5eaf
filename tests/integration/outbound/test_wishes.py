"""What customers wish of single calls, on a real database and a fake engine: when, how long."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from tests.support import outbound_node as node
from tests.support.wishing import BeforeInvite, Setting, closed_now

from callwright.apps.instance import InstanceOrder, InstanceResult
from callwright.outbound import claims
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import Step
from callwright.outbound.start import StartState
from callwright.outbound.wishes import Wishes
from callwright.records.tables import adrs, cdrs
from callwright.values.ids import ServiceReference

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
