"""What the operator stops, and what the world does to a node, on a real database and a fake engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from tests.support import outbound_node as node
from tests.support.wishing import SOON, BeforeInvite, Setting

from callwright.apps.instance import InstanceOrder, InstanceResult
from callwright.outbound import pauses, purge
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import Step
from callwright.outbound.pauses import Scope
from callwright.outbound.retry import RetryPlan
from callwright.outbound.running import running_instance, running_starts
from callwright.outbound.start import StartState
from callwright.outbound.tables import starts
from callwright.outbound.wishes import Wishes
from callwright.values.ids import InstanceId, ServiceReference

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
