"""The queue against a model: any order of requests, claims, stamps, cancellations, crashes and clock steps."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, func, select
from tests.support import outbound_node as node
from tests.support.queue_world import Held, Known, world

from callwright.outbound import claims, pauses, queue, recovery
from callwright.outbound.intake import Enqueued, UniqueIdConflict
from callwright.outbound.pauses import Scope
from callwright.outbound.reasons import MAX_WAIT_S, Reason
from callwright.outbound.request import StartRequest
from callwright.outbound.retry import Again, RetryPlan, Unreached
from callwright.outbound.start import MAY_FOLLOW, NOT_DIALLED, OVER, StartState, StartStatus
from callwright.outbound.tables import attempts, starts
from callwright.outbound.transactions import Settled, close_abandoned, settle, stamp_and_open
from callwright.outbound.wishes import Wishes
from callwright.records import ledger
from callwright.records.settings import DEFAULT_SETTINGS
from callwright.records.tables import adrs, cdrs
from callwright.values.destination import parse_destination
from callwright.values.ids import AccountId, InstanceId, ServiceReference
from callwright.values.outcome import failed_outcome

T = TypeVar("T")
UNKNOWN = ServiceReference("ffffffff_0.1.1")
TIMES, AFTER_S = 2, 5.0
PLAN = RetryPlan(busy=Again(after_s=AFTER_S, times=TIMES))


@pytest.fixture(scope="module", autouse=True)
def _remove_the_world() -> Iterator[None]:
    yield
    world().close()
    world.cache_clear()


class QueueMachine(RuleBasedStateMachine):
    held = Bundle("held")
    references = Bundle("references")

    @initialize()
    def open(self) -> None:
        world().make_anew()
        self.connection, self.services = world().connection, world().services
        self.now = 1_700_000_000.0
        self.incarnation = 1
        self.identifiers = node.counted_identifiers(lambda: self.now)
        self.numbers = itertools.count(1)
        self.model: dict[ServiceReference, Known] = {}
        self.jobs: dict[str, tuple[bytes, list[ServiceReference]]] = {}
        self.before: dict[str, str] = {}
        self.paused: set[int | None] = set()

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.check_that_everything_ends()
            world().played += 1

    def write(self, fn: Callable[[Connection], T]) -> T:
        with self.connection.begin():
            return fn(self.connection)

    # --- what clients do

    @rule(
        target=references,
        service=st.integers(0, 3),
        many=st.integers(1, 4),
        unique_id=st.sampled_from([None, None, "a", "b"]),
        digest=st.sampled_from([bytes(32), b"\1" * 32]),
        priority=st.sampled_from([0, 0, 10, -10]),
        starts_in=st.sampled_from([None, None, 20.0, 7200.0]),
        retry=st.booleans(),
    )
    def enqueue(
        self,
        service: int,
        many: int,
        unique_id: str | None,
        digest: bytes,
        priority: int,
        starts_in: float | None,
        retry: bool,
    ) -> object:
        own = self.services[service]
        job = f"{own.account_id}/{unique_id}"
        wishes = Wishes(
            priority=priority,
            start_after=None if starts_in is None else self.now + starts_in,
            retry=PLAN if retry else None,
        )
        calls = [StartRequest(given_to=node.ANSWERS_AT_ONCE, given_from="1234", wishes=wishes)] * many

        def add(c: Connection) -> Enqueued:
            return node.enqueue(
                c, own, calls, identifiers=self.identifiers, now=self.now, unique_id=unique_id, digest=digest
            )

        earlier = self.jobs.get(job) if unique_id is not None else None
        if earlier is not None and earlier[0] != digest:
            with pytest.raises(UniqueIdConflict):
                self.write(add)
            return multiple()
        enqueued = self.write(add)
        assert enqueued.replayed is (earlier is not None)
        if earlier is not None:
            assert enqueued.references == earlier[1]
            return multiple()
        assert len(enqueued.references) == many
        self.jobs[job] = (digest, enqueued.references)
        for reference in enqueued.references:
            assert reference not in self.model
            due_at = self.now + (starts_in or 0.0)
            self.model[reference] = Known(
                reference=reference,
                service=service,
                due_at=due_at,
                queued_at=self.now,
                expires_at=due_at + MAX_WAIT_S,
                priority=priority,
                may_retry=retry,
            )
        return multiple(*enqueued.references)

    @rule(chosen=st.lists(references, min_size=1, max_size=4), account=st.integers(0, 1), narrow=st.booleans())
    def cancel(self, chosen: list[ServiceReference], account: int, narrow: bool) -> None:
        own = self.services[2 * account]
        answers = self.write(
            lambda c: queue.cancel(
                c,
                account_id=own.account_id,
                references=[*chosen, UNKNOWN],
                now=self.now,
                service_id=own.id if narrow else None,
            )
        )
        assert answers.pop(UNKNOWN) == "unknown"
        for reference, answer in answers.items():
            known = self.model[reference]
            if known.service != 2 * account if narrow else known.service // 2 != account:
                assert answer == "unknown"
            elif known.state in NOT_DIALLED or known.state is StartState.CANCELLED:
                assert answer == "success"
                known.state = StartState.CANCELLED
            else:
                assert answer == "failed"
                known.may_retry = known.may_retry and known.state is not StartState.RUNNING

    @rule(service=st.integers(0, 3))
    def purge(self, service: int) -> None:
        waiting = [k for k in self.model.values() if k.service == service and k.state in NOT_DIALLED]
        assert self.write(lambda c: queue.length(c, self.services[service].id)) == len(waiting)
        assert self.write(lambda c: queue.purge(c, self.services[service].id, now=self.now)) == len(waiting)
        for known in waiting:
            known.state = StartState.CANCELLED
        for known in self.model.values():
            if known.service == service and known.state is StartState.RUNNING:
                known.may_retry = False

    @rule(service=st.integers(0, 3), limit=st.integers(1, 3))
    def purge_a_few(self, service: int, limit: int) -> None:
        """A purge that was interrupted has taken back the claimed starts and some of the queued ones."""
        own = self.services[service]
        waiting = [k for k in self.model.values() if k.service == service and k.state is StartState.QUEUED]
        claimed = [k for k in self.model.values() if k.service == service and k.state is StartState.CLAIMED]
        purged = self.write(lambda c: queue.purge(c, own.id, now=self.now, limit=limit))
        assert purged == min(limit, len(waiting)) + len(claimed)
        for known in claimed:
            known.state = StartState.CANCELLED
        for known in waiting:
            known.state = self.write(partial(self.status, known=known)).state
        assert sum(known.state is StartState.CANCELLED for known in waiting) == min(limit, len(waiting))
        for known in self.model.values():
            if known.service == service and known.state is StartState.RUNNING:
                known.may_retry = False

    @rule(service=st.sampled_from([None, 0, 1, 2, 3]))
    def pause_or_resume(self, service: int | None) -> None:
        scope = Scope.ALL if service is None else Scope.SERVICE
        of = 0 if service is None else self.services[service].id
        if service in self.paused:
            assert self.write(lambda c: pauses.resume(c, scope, of))
            self.paused.remove(service)
        else:
            assert self.write(lambda c: pauses.pause(c, scope, of, now=self.now))
            self.paused.add(service)

    # --- what dispatchers do

    @rule(target=held, service=st.integers(0, 3), limit=st.integers(1, 3))
    def claim(self, service: int, limit: int) -> object:
        due = sorted(
            (
                k
                for k in self.model.values()
                if k.service == service and k.state is StartState.QUEUED and k.due_at <= self.now < k.expires_at
            ),
            key=lambda k: (-k.priority, k.due_at),
        )
        claimed = self.write(
            lambda c: claims.claim(
                c, self.services[service].id, limit=limit, incarnation=self.incarnation, now=self.now
            )
        )
        assert [start.reference for start in claimed] == [k.reference for k in due[:limit]]
        for known in due[:limit]:
            known.state, known.claimed_by = StartState.CLAIMED, self.incarnation
        return multiple(*(Held(start, self.incarnation) for start in claimed))

    def is_holder(self, holder: Held) -> bool:
        known = self.model[holder.start.reference]
        return known.state is StartState.CLAIMED and known.claimed_by == holder.incarnation

    def is_of_this_attempt(self, holder: Held) -> bool:
        """A dispatcher settles what it launched; what it held of an earlier attempt is long settled."""
        return self.model[holder.start.reference].attempt == holder.start.attempt

    @rule(holder=held)
    def stamp(self, holder: Held) -> None:
        known = self.model[holder.start.reference]
        if not self.is_of_this_attempt(holder):
            return
        mine = self.is_holder(holder) and self.paused.isdisjoint({None, known.service})
        instance = self.identifiers.instance()
        stamped = self.write(lambda c: self.stamp_now(c, holder, instance))
        assert stamped is mine
        if stamped:
            known.state, known.instance = StartState.RUNNING, instance
            known.dialled += 1

    def stamp_now(self, c: Connection, holder: Held, instance: InstanceId) -> bool:
        return stamp_and_open(
            c,
            holder.start,
            service=self.services[self.model[holder.start.reference].service],
            destination=parse_destination(node.ANSWERS_AT_ONCE),
            instance_id=instance,
            call_id=self.identifiers.call(instance),
            incarnation=holder.incarnation,
            now=self.now,
            slot_at=self.now,
        )

    @rule(holder=held)
    def a_stamp_that_is_not_committed_leaves_nothing(self, holder: Held) -> None:
        with self.connection.begin() as transaction:
            self.stamp_now(self.connection, holder, self.identifiers.instance())
            transaction.rollback()

    @rule(holder=held, later=st.sampled_from([None, 5.0]))
    def release(self, holder: Held, later: float | None) -> None:
        known = self.model[holder.start.reference]
        due_at = None if later is None else self.now + later
        mine = self.is_holder(holder)
        released = self.write(
            lambda c: claims.release(c, [holder.start.id], incarnation=holder.incarnation, due_at=due_at)
        )
        assert released == mine
        if mine:
            known.state, known.claimed_by = StartState.QUEUED, None
            known.due_at = known.due_at if due_at is None else due_at

    @rule(holder=held)
    def refuse(self, holder: Held) -> None:
        mine = self.is_holder(holder)
        failed = self.write(
            lambda c: claims.fail(
                c, holder.start.id, incarnation=holder.incarnation, reason=Reason.NO_UAS, now=self.now
            )
        )
        assert failed is mine
        if mine:
            self.gives_up(self.model[holder.start.reference], StartState.FAILED)

    def gives_up(self, known: Known, state: StartState) -> None:
        """It ends while it waits: as its last attempt did, if it had one."""
        known.state = state if known.attempt == 1 else StartState.FINISHED
        found = self.write(partial(self.status, known=known))
        assert found.return_code == (None if known.attempt == 1 else known.last_code)

    @rule(holder=held, return_code=st.sampled_from([0, -10]))
    def close_records(self, holder: Held, return_code: int) -> None:
        """An instance that lives closes its own records; its start is finished a moment later, or by recovery."""
        known = self.model[holder.start.reference]
        instance = known.instance
        if known.state is StartState.RUNNING and instance is not None and known.recorded is None:
            assert self.write(lambda c: ledger.close_adr(c, instance, stopped_at=self.now, exit_status=return_code))
            known.recorded = return_code

    @rule(holder=held, return_code=st.sampled_from([0, -1]), busy=st.booleans())
    def end(self, holder: Held, return_code: int, busy: bool) -> None:
        known = self.model[holder.start.reference]
        if holder.incarnation != self.incarnation or known.instance is None or not self.is_of_this_attempt(holder):
            return
        if known.state in NOT_DIALLED or (known.state is not StartState.RUNNING and known.attempt > known.dialled):
            return  # it was never stamped for this attempt
        instance = known.instance
        settled = self.write(
            lambda c: settle(
                c,
                holder.start,
                instance_id=instance,
                incarnation=holder.incarnation,
                now=self.now,
                return_code=return_code,
                give_up=None,
                retry_at=None,
                settings=DEFAULT_SETTINGS,
                how=Unreached.BUSY if busy else None,
            )
        )
        again = busy and known.state is StartState.RUNNING and known.may_retry and known.attempt <= TIMES
        again = again and self.now + AFTER_S < known.expires_at
        assert settled is (Settled.QUEUED_AGAIN if again else Settled.FINISHED)
        if again:
            known.last_code = return_code if known.recorded is None else known.recorded
            known.state, known.claimed_by, known.recorded = StartState.QUEUED, None, None
            known.attempt, known.due_at = known.attempt + 1, self.now + AFTER_S
            known.ended_at = self.now
        elif known.state is StartState.RUNNING:
            self.ends(known, return_code)

    def ends(self, known: Known, return_code: int) -> None:
        known.state = StartState.FINISHED
        expected = return_code if known.recorded is None else known.recorded
        assert self.write(lambda c: self.status(c, known)).return_code == expected

    def status(self, c: Connection, known: Known) -> StartStatus:
        account_id = self.services[known.service].account_id
        return queue.status(c, account_id=account_id, references=[known.reference])[known.reference]

    @rule()
    def expire(self) -> None:
        late = [k for k in self.model.values() if k.state is StartState.QUEUED and k.expires_at <= self.now]
        expired = self.write(lambda c: claims.expire(c, now=self.now, limit=1000))
        assert sorted(expired) == sorted(k.reference for k in late)
        for known in late:
            self.gives_up(known, StartState.EXPIRED)

    # --- what the world does

    @rule(seconds=st.sampled_from([0.5, 10.0, 3600.0, MAX_WAIT_S, -0.5, -7200.0]))
    def clock_moves(self, seconds: float) -> None:
        self.now += seconds
        if seconds < 0:
            self.mend(self.write(lambda c: claims.mend_due_times(c, now=self.now)))

    def mend(self, mended: int | None) -> None:
        waiting = [k for k in self.model.values() if k.state is StartState.QUEUED and k.due_at > self.now]
        at_once = [k for k in waiting if k.due_at <= k.queued_at and k.attempt == 1]
        retries = [k for k in waiting if k.attempt > 1 and k.ended_at > self.now]
        assert mended in (None, len(at_once) + len(retries))
        for known in at_once:
            known.due_at = self.now
        for known in retries:
            known.due_at = self.now + (known.due_at - known.ended_at)
            known.ended_at = self.now

    @rule(ended=st.integers(0, 5))
    def crash(self, ended: int) -> None:
        """The node dies and comes back; it may die again before it has ended all that it left."""
        self.incarnation += 1
        found = self.write(
            lambda c: recovery.take_over(c, incarnation=self.incarnation, now=self.now, records=DEFAULT_SETTINGS)
        )
        claimed = [k for k in self.model.values() if k.state is StartState.CLAIMED]
        running = [k for k in self.model.values() if k.state is StartState.RUNNING]
        assert found.taken_back == len(claimed)
        assert found.marked == sum(k.recorded is not None for k in running)
        assert {i.adr.instance_id for i in found.abandoned} == {k.instance for k in running if k.recorded is None}
        for known in claimed:
            known.state, known.claimed_by = StartState.QUEUED, None
        self.mend(None)
        for instance in found.abandoned[:ended]:
            self.write(
                partial(
                    close_abandoned,
                    instance_id=instance.adr.instance_id,
                    now=self.now,
                    settings=DEFAULT_SETTINGS,
                )
            )
        closed = {i.adr.instance_id for i in found.abandoned[:ended]}
        for known in running:
            if known.recorded is not None or known.instance in closed:
                self.ends(known, -90)

    # --- what must always hold

    @invariant()
    def the_database_agrees_with_the_model(self) -> None:
        if not hasattr(self, "connection"):
            return
        c = self.connection
        with c.begin():
            rows = {row.reference: row for row in c.execute(select(starts))}
            assert {r: row.state for r, row in rows.items()} == {r: k.state for r, k in self.model.items()}
            for reference, row in rows.items():
                before = self.before.get(reference, row.state)
                assert row.state == before or StartState(row.state) in MAY_FOLLOW[StartState(before)]
            self.before = {reference: row.state for reference, row in rows.items()}
            self.stamped_at_most_once(c)

    def stamped_at_most_once(self, c: Connection) -> None:
        """Once for each attempt, and a retry plan alone makes another."""
        for known in self.model.values():
            assert known.attempt - 1 <= known.dialled <= known.attempt <= TIMES + 1
            assert known.dialled == known.attempt or known.state is not StartState.RUNNING
        counted = select(starts.c.reference, func.count().label("n")).join(attempts).group_by(starts.c.reference)
        tried = {row.reference: row.n for row in c.execute(counted)}
        assert tried == {k.reference: k.dialled for k in self.model.values() if k.dialled}
        open_adrs = set(c.scalars(select(adrs.c.instance_id).where(adrs.c.stopped_at.is_(None))))
        open_cdrs = set(c.scalars(select(cdrs.c.instance_id).where(cdrs.c.ended_at.is_(None))))
        running = {k.instance for k in self.model.values() if k.state is StartState.RUNNING and k.recorded is None}
        assert open_adrs == open_cdrs == running

    def close_calls(self, c: Connection, instance: InstanceId) -> None:
        for call in c.scalars(select(cdrs.c.call_id).where(cdrs.c.instance_id == instance)).all():
            assert ledger.close_cdr(c, call, ended_at=self.now, outcome=failed_outcome(486))

    def check_that_everything_ends(self) -> None:
        """Whatever happened, one more life that does its work brings every start to an end."""
        self.crash(ended=10_000)
        for paused in list(self.paused):
            self.pause_or_resume(paused)
        self.now = max([self.now, *(k.due_at for k in self.model.values())])
        for number, service in enumerate(self.services):
            for start in self.write(
                partial(
                    claims.claim,
                    service_id=service.id,
                    limit=10_000,
                    incarnation=self.incarnation,
                    now=self.now,
                )
            ):
                known = self.model[start.reference]
                assert known.service == number
                known.state, known.claimed_by = StartState.CLAIMED, self.incarnation
                holder = Held(start, self.incarnation)
                self.stamp(holder)
                instance = known.instance
                assert instance is not None
                self.write(partial(self.close_calls, instance=instance))
                self.end(holder, 0, busy=False)
        self.expire()
        self.before = {}  # several steps since the last look
        self.the_database_agrees_with_the_model()
        assert {known.state for known in self.model.values()} <= OVER
        for job, (_, references) in self.jobs.items():
            account_id, _, unique_id = job.partition("/")
            if unique_id != "None":
                found = self.write(partial(queue.job, account_id=AccountId(int(account_id)), unique_id=unique_id))
                assert found is not None
                assert (found.count, found.references) == (len(references), references)


def runs(max_examples: int) -> settings:
    return settings(
        max_examples=max_examples, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


QueueMachine.TestCase.settings = runs(60)
test_the_queue_behaves_like_its_model = pytest.mark.timeout(300)(QueueMachine.TestCase)


@pytest.mark.load
@pytest.mark.timeout(7200)
def test_the_queue_behaves_like_its_model_ten_thousand_times() -> None:
    """About ten minutes on one core: ``pytest -s -m load tests/property/outbound``."""
    before = world().played
    for _ in range(10):
        run_state_machine_as_test(QueueMachine, settings=settings(runs(1_000), derandomize=False, database=None))
        sys.stdout.write(f"{world().played - before} runs played to their end\n")
        sys.stdout.flush()
    assert world().played - before >= 10_000
