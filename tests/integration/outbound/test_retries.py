"""Starts that are tried again, and those that must not be, on a real database and a fake engine."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import select
from tests.support import outbound_node as node
from tests.support.wishing import LONG_AFTER, SOON, BeforeInvite, Setting, closed_now

from callwright.apps.instance import InstanceOrder, InstanceResult
from callwright.outbound import claims, queue
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import Step
from callwright.outbound.retry import RetryPlan
from callwright.outbound.start import StartState
from callwright.outbound.wishes import Wishes
from callwright.records.tables import adrs, cdrs
from callwright.values.ids import ServiceReference


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
