"""The dispatcher: takes starts from the queue when pacing lets them leave, and owns them until they are over
(docs/reference/queue.md).

One task goes round: look which services have starts that are due (told by ``wake``, and looked up every second in case
nobody told), let pacing say how many of them would leave within the next moments, claim just those, judge them, give
each a slot and launch it as a task of its own. Running instances are counted where their tasks begin and end, so a
limit cannot leak. ``drain`` ends it: no new claims, claimed starts go back, running instances finish or, after a limit,
are ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection

from callwright.db.database import Database
from callwright.engine.interface import MAX_CALL_DURATION_S, Refusal
from callwright.outbound import claims
from callwright.outbound.events import StartEvent, Step
from callwright.outbound.identifiers import Identifiers
from callwright.outbound.launch import Launch, Node, RunInstance
from callwright.outbound.lines import BATCH, Lines, Loaded
from callwright.outbound.pauses import read_pauses
from callwright.outbound.policy import Found, judge, look_up
from callwright.outbound.start import Start
from callwright.records.settings import DEFAULT_SETTINGS, RecordSettings
from callwright.values.destination import Destination
from callwright.values.errors import OutsideError
from callwright.values.ids import CallId, InstanceId, ServiceId, ServiceReference, StartId

POLL_S = 1.0
MIN_ROUND_S = 0.02  # under load, many wake-ups share one round
ROUNDS_SAVED = 5  # a dispatcher that was idle goes round at once, so many times
CLAIMED_BRIEFLY = 30  # a claim of so few is no more work than an instance's other writes
LOOK_UP_AT_ONCE = 10  # so few claimed starts are looked up where they are claimed: it saves the way to another thread
END_WITHIN_S = 60.0  # what an instance may take to end when it is told to
CLOCK_STEP_S = 0.1  # the wall clock fell behind by more than slewing explains

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What one write took: starts of each service, what stands against them (None: not looked up), and services as
    they are now.
    """

    starts: dict[ServiceId, list[Start]]
    found: Found | None
    loaded: Loaded


class Dispatcher:
    """Owns the starts this node has claimed. Everything outside is handed in, so tests run it on a fake engine."""

    def __init__(
        self,
        *,
        database: Database,
        run_instance: RunInstance,
        refusal: Callable[[Destination], Refusal | None],
        turn_of: Callable[[CallId], float],
        identifiers: Identifiers,
        clock: Callable[[], float],
        owns_data: Callable[[], bool] = lambda: True,
        events: Callable[[StartEvent], None] = lambda event: None,
        records: RecordSettings = DEFAULT_SETTINGS,
        longest_call_s: float = MAX_CALL_DURATION_S,
    ) -> None:
        """``refusal`` and ``turn_of`` are the engine's. ``clock`` gives epoch seconds; ``owns_data`` says whether this
        node still holds its data folder.

        An instance that outlives ``longest_call_s`` by far is ended, so it must be no less than what the engine allows.
        """
        self._database = database
        self._refusal = refusal
        self._identifiers = identifiers
        self._clock = clock
        self._events = events
        self._node = Node(
            database=database,
            run_instance=run_instance,
            turn_of=turn_of,
            clock=clock,
            owns_data=owns_data,
            is_stopping=lambda: self._stopping,
            events=events,
            records=records,
            longest_call_s=longest_call_s,
        )
        self._lines = Lines(clock)
        self._fresh: set[ServiceId] = set()  # read since the last poll
        self._hungry: set[ServiceId] = set()
        self._live: dict[InstanceId, tuple[Launch, asyncio.Task[None]]] = {}
        self._running: Counter[ServiceId] = Counter()
        self._wake = asyncio.Event()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._poll_at = 0.0
        self._rounds_until = 0.0  # the rounds so far, one every MIN_ROUND_S, would have taken until then
        self._clocks: tuple[float, float] | None = None

    @property
    def running(self) -> int:
        """How many launched starts are not over yet."""
        return len(self._live)

    def wake(self, service_id: ServiceId) -> None:
        """Say that a service has new starts. Forgetting it costs a second, nothing else."""
        self._hungry.add(service_id)
        self._wake.set()

    def look_again(self) -> None:
        """Say that pauses, accounts or services were changed. Forgetting it costs a second, nothing else."""
        self._poll_at = 0.0
        self._wake.set()

    def hang_up(self, instance_id: InstanceId) -> bool:
        """End a running instance: its call goes down, its start finishes with return code -80 and is not tried again.

        Return False when no instance of this name runs here (any more), or nobody was dialled for it yet.
        """
        launch, task = self._live.get(instance_id, (None, None))
        if launch is None or task is None or not launch.hang_up():
            return False
        _log.warning("The operator hangs up a call", action="operator_hangs_up", instance=instance_id)
        task.cancel()
        return True

    async def run(self) -> None:
        """Dispatch until ``drain``; every instance is over and settled when this returns.

        Cancelling it ends all instances, as the limit of ``drain`` does.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as instances:
                while not self._stopping:
                    began = loop.time()
                    try:
                        await self._round(instances)
                    except OutsideError as failure:
                        _log.error("The queue cannot be read or written", action="queue_failed", reason=str(failure))
                        self._poll_at = began + POLL_S
                        await asyncio.sleep(POLL_S)
                    await self._pause()
                await self._release(self._lines.take_all())
        finally:
            self._stopped.set()

    async def drain(self, limit_s: float) -> None:
        """Stop claiming, let running instances finish for ``limit_s`` seconds, then end those that have not.

        An end that cannot be written is left to the next start's recovery.
        """
        self._stopping = True
        self._wake.set()
        try:
            async with asyncio.timeout(limit_s):
                await self._stopped.wait()
        except TimeoutError:
            _log.warning("Ending calls that are still up", action="drain_limit", running=len(self._live))
            await self._end_all()

    async def _end_all(self) -> None:
        while not self._stopped.is_set():
            for _, task in list(self._live.values()):
                task.cancel()
            with contextlib.suppress(TimeoutError):  # some write their ends again and again: told once more, they stop
                async with asyncio.timeout(END_WITHIN_S):
                    await self._stopped.wait()

    async def _round(self, instances: asyncio.TaskGroup) -> None:
        if asyncio.get_running_loop().time() >= self._poll_at:
            await self._poll()
        asked, self._hungry = self._hungry, set()
        if asked:
            await self._claim(asked)
        self._launch(instances)

    async def _poll(self) -> None:
        """Do what must not depend on anyone's remembering to tell: see the whole queue as it is on disk."""
        now = self._clock()
        self._poll_at = asyncio.get_running_loop().time() + POLL_S
        if self._clock_fell_back(now):
            mended = await self._database.write(partial(claims.mend_due_times, now=now))
            _log.warning("The clock was set back", action="clock_set_back", starts_made_due=mended)
        incarnation = self._database.incarnation
        waiting, first_expiry, claimed, self._lines.paused = await self._database.read(
            lambda c: (
                claims.waiting_services(c, now=now),
                claims.first_expiry(c),
                claims.claimed_by(c, incarnation=incarnation),
                read_pauses(c),
            )
        )
        self._fresh.clear()
        self._hungry.update(waiting)
        await self._release(self._lines.take_paused())
        if first_expiry is not None and first_expiry <= now:
            self._tell_all(await self._database.write(partial(claims.expire, now=now, limit=BATCH)), Step.EXPIRED)
            self._poll_at = 0.0
        held = {launch.start.id for launch, _ in self._live.values()}
        held.update(start.id for start in self._lines.ready())
        if lost := set(claimed) - held:  # a claim whose commit was reported as failed and had happened
            await self._database.write(lambda c: claims.release(c, lost, incarnation=incarnation), lasting=False)

    def _clock_fell_back(self, now: float) -> bool:
        steady = asyncio.get_running_loop().time()
        last, self._clocks = self._clocks, (now, steady)
        return last is not None and (now - last[0]) < (steady - last[1]) - CLOCK_STEP_S

    async def _claim(self, asked: set[ServiceId]) -> None:
        await self._learn({service_id for service_id in asked if not self._lines.know(service_id)})
        wanted = self._lines.wanted(asked, self._running)
        self._hungry.update(asked - wanted.keys())  # held back by pacing or a limit: they stay hungry
        await self._learn(asked - wanted.keys() - self._fresh)
        if not wanted:
            return
        # A claim that a power failure forgets is what a restart would undo. How many are wanted may be by limits that
        # are a while old; nothing leaves by them, as they are read again together with the claim.
        taken = await self._database.write(
            partial(self._take, wanted=wanted, stale=wanted.keys() - self._fresh),
            lasting=False,
            brief=sum(wanted.values()) <= CLAIMED_BRIEFLY,
        )
        self._lines.learn(taken.loaded)
        self._fresh |= wanted.keys()
        for service_id, starts in taken.starts.items():
            if len(starts) == wanted[service_id]:
                self._hungry.add(service_id)
            self._tell_all((start.reference for start in starts), Step.CLAIMED)
        await self._judge([start for starts in taken.starts.values() for start in starts], taken.found)

    async def _learn(self, stale: set[ServiceId]) -> None:
        """Read services and their accounts as they are now."""
        if stale:
            self._lines.learn(await self._database.read(lambda c: self._lines.load(c, stale)))
            self._fresh |= stale

    def _take(self, c: Connection, *, wanted: dict[ServiceId, int], stale: set[ServiceId]) -> _Taken:
        now, incarnation = self._clock(), self._database.incarnation
        claimed = {
            service_id: claims.claim(c, service_id, limit=limit, incarnation=incarnation, now=now)
            for service_id, limit in wanted.items()
        }
        starts = [start for of_service in claimed.values() for start in of_service]
        return _Taken(
            starts=claimed,
            found=look_up(c, starts) if len(starts) <= LOOK_UP_AT_ONCE else None,
            loaded=self._lines.load(c, stale),
        )

    async def _judge(self, claimed: list[Start], found: Found | None) -> None:
        """Put starts that may run in line; put back those outside their calling hours, end the others with reasons."""
        refused: list[tuple[Start, str]] = []
        starts = await self._within_hours(claimed)
        if found is None:
            found = await self._database.read(partial(look_up, starts=starts))
        for start in starts:
            line = self._lines.of(start.account_id)
            service = line.services[start.service_id]
            verdict = judge(start, account=line.account, service=service, refusal=self._refusal, found=found)
            if isinstance(verdict, str):
                refused.append((start, verdict))
            else:
                line.ready.setdefault(start.service_id, deque()).append((start, verdict))
        if not refused:
            return
        now, incarnation = self._clock(), self._database.incarnation
        failed = await self._database.write(
            lambda c: [claims.fail(c, s.id, incarnation=incarnation, reason=reason, now=now) for s, reason in refused]
        )
        for (start, reason), done in zip(refused, failed, strict=True):
            step = Step.REFUSED if done else Step.WITHDRAWN
            self._events(StartEvent(reference=start.reference, step=step, at=now, detail=reason if done else ""))

    async def _within_hours(self, claimed: list[Start]) -> list[Start]:
        """Return the starts that may be dialled now; the others wait for their next opening and use no slot."""
        now = self._clock()
        closed: dict[StartId, float] = {}
        for start in claimed:
            if start.calling_hours is not None and not start.calling_hours.is_open(now):
                closed[start.id] = start.calling_hours.next_opening(now)
        if not closed:
            return claimed
        incarnation = self._database.incarnation
        await self._database.write(
            lambda c: [claims.release(c, [i], incarnation=incarnation, due_at=at) for i, at in closed.items()],
            lasting=False,
        )
        self._tell_all((start.reference for start in claimed if start.id in closed), Step.RELEASED)
        return [start for start in claimed if start.id not in closed]

    def _launch(self, instances: asyncio.TaskGroup) -> None:
        """Give slots to the starts in line that leave soon, and launch them."""
        for leaving in self._lines.leaving(self._running):
            instance_id = self._identifiers.instance()
            launch = Launch(
                self._node,
                start=leaving.start,
                service=leaving.service,
                destination=leaving.destination,
                instance_id=instance_id,
                call_id=self._identifiers.call(instance_id),
                gate=leaving.gate,
                slot=leaving.slot,
            )
            task = instances.create_task(launch.run(), name=f"instance {instance_id}")
            self._live[instance_id] = (launch, task)
            task.add_done_callback(partial(self._over, instance_id))
            self._running[leaving.start.service_id] += 1

    def _over(self, instance_id: InstanceId, task: asyncio.Task[None]) -> None:
        launch, _ = self._live.pop(instance_id)
        service_id = launch.start.service_id
        self._running[service_id] -= 1
        if not self._running[service_id]:
            del self._running[service_id]
        if self._lines.are_limited(service_id):
            self.wake(service_id)

    async def _release(self, starts: list[Start]) -> None:
        """Put claimed starts back in their old places."""
        if not starts:
            return
        incarnation = self._database.incarnation
        try:
            await self._database.write(
                lambda c: claims.release(c, [s.id for s in starts], incarnation=incarnation), lasting=False
            )
        except OutsideError as failure:
            _log.error("Claimed starts go back later", action="release_failed", reason=str(failure))
        else:
            self._tell_all((start.reference for start in starts), Step.RELEASED)

    async def _pause(self) -> None:
        """Sleep until there is something to do, but go round no more often than every ``MIN_ROUND_S`` in the long
        run.
        """
        loop = asyncio.get_running_loop()
        self._rounds_until = max(self._rounds_until, loop.time()) + MIN_ROUND_S
        earliest = self._rounds_until - ROUNDS_SAVED * MIN_ROUND_S
        next_round_at = min(self._poll_at, self._lines.next_step_at(self._hungry, self._running))
        try:
            async with asyncio.timeout_at(max(next_round_at, earliest)):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        if not self._stopping and (early := earliest - loop.time()) > 0:
            await asyncio.sleep(early)

    def _tell_all(self, references: Iterable[ServiceReference], step: Step) -> None:
        now = self._clock()
        for reference in references:
            self._events(StartEvent(reference=reference, step=step, at=now))
