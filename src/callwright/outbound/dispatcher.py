"""The dispatcher: takes starts from the queue when pacing lets them leave, and owns them until they are over
(docs/reference/queue.md).

One task goes round: look which services have starts that are due (told by ``wake``, and looked up every second in case
nobody told), let pacing say how many of them would leave within the next moments, claim just those, judge them, give
each a slot and launch it as a task of its own. Running instances are counted by looking at them, so a limit cannot
leak. ``drain`` ends it: no new claims, claimed starts go back, running instances finish or, after a limit, are ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlalchemy import Connection

from callwright.accounts.account import Account
from callwright.accounts.service import Service
from callwright.accounts.store import get_account, get_service
from callwright.db.database import Database
from callwright.engine.interface import MAX_CALL_DURATION_S, Refusal
from callwright.outbound import queue
from callwright.outbound.events import StartEvent, Step
from callwright.outbound.identifiers import Identifiers
from callwright.outbound.launch import SLOT_MARGIN, Launch, Node, RunInstance
from callwright.outbound.pacing import SECOND, Limits, Pacer
from callwright.outbound.pauses import Pauses, read_pauses
from callwright.outbound.policy import judge, look_up
from callwright.outbound.start import Start
from callwright.records.settings import DEFAULT_SETTINGS, RecordSettings
from callwright.values.destination import Destination
from callwright.values.errors import OutsideError
from callwright.values.ids import AccountId, InstanceId, ServiceId, ServiceReference, StartId

LOOK_AHEAD = SECOND // 4  # starts are claimed and prepared this long before their slot
CLAIM_AHEAD = LOOK_AHEAD * 3 // 5  # when the next slot is this near, all up to there are claimed in one transaction
BATCH = 200  # starts claimed or expired in one transaction: bounds how long others wait for the writer
POLL_S = 1.0
MIN_ROUND_S = 0.02  # under load, many wake-ups share one round
CLOCK_STEP_S = 0.1  # the wall clock fell behind by more than slewing explains

_log = structlog.get_logger()


@dataclass(slots=True)
class _Line:
    """What the dispatcher holds of one account: its pacing, its services as last read, and starts ready to launch."""

    account: Account
    pacer: Pacer
    services: dict[ServiceId, Service] = field(default_factory=dict)
    ready: dict[ServiceId, deque[tuple[Start, Destination]]] = field(default_factory=dict)

    def waiting(self) -> list[ServiceId]:
        return [service_id for service_id, starts in self.ready.items() if starts]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """What one read found: services with their accounts, and the last slots of services not met before."""

    services: dict[ServiceId, tuple[Account, Service]]
    slots: dict[ServiceId, list[float]]


class Dispatcher:
    """Owns the starts this node has claimed. Everything outside is handed in, so tests run it on a fake engine."""

    def __init__(
        self,
        *,
        database: Database,
        run_instance: RunInstance,
        refusal: Callable[[Destination], Refusal | None],
        identifiers: Identifiers,
        clock: Callable[[], float],
        owns_data: Callable[[], bool] = lambda: True,
        events: Callable[[StartEvent], None] = lambda event: None,
        records: RecordSettings = DEFAULT_SETTINGS,
        longest_call_s: float = MAX_CALL_DURATION_S,
    ) -> None:
        """``clock`` gives epoch seconds; ``owns_data`` says whether this node still holds its data folder.

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
            clock=clock,
            owns_data=owns_data,
            is_stopping=lambda: self._stopping,
            events=events,
            records=records,
            longest_call_s=longest_call_s,
        )
        self._lines: dict[AccountId, _Line] = {}
        self._account_of: dict[ServiceId, AccountId] = {}
        self._fresh: set[ServiceId] = set()  # read since the last poll
        self._hungry: set[ServiceId] = set()
        self._live: dict[InstanceId, tuple[Launch, asyncio.Task[None]]] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._paused = Pauses()
        self._poll_at = 0.0
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
        if launch is None or task is None or not launch.stamped or launch.ending:
            return False
        launch.ending = True  # a second hang-up must not break into the end of the first
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
                    await self._pause(began)
                await self._release_ready()
        finally:
            self._stopped.set()

    async def drain(self, limit_s: float) -> None:
        """Stop claiming, let running instances finish for ``limit_s`` seconds, then end those that have not."""
        self._stopping = True
        self._wake.set()
        try:
            async with asyncio.timeout(limit_s):
                await self._stopped.wait()
        except TimeoutError:
            _log.warning("Ending calls that are still up", action="drain_limit", running=len(self._live))
            for _, task in list(self._live.values()):
                task.cancel()
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
            mended = await self._database.write(partial(queue.mend_due_times, now=now))
            _log.warning("The clock was set back", action="clock_set_back", starts_made_due=mended)
        incarnation = self._database.incarnation
        waiting, first_expiry, claimed, self._paused = await self._database.read(
            lambda c: (
                queue.waiting_services(c, now=now),
                queue.first_expiry(c),
                queue.claimed_by(c, incarnation=incarnation),
                read_pauses(c),
            )
        )
        self._fresh.clear()
        self._hungry.update(waiting)
        await self._release([start for line in self._lines.values() for start in self._take_paused(line)])
        if first_expiry is not None and first_expiry <= now:
            self._tell_all(await self._database.write(partial(queue.expire, now=now, limit=BATCH)), Step.EXPIRED)
            self._poll_at = 0.0
        held = {launch.start.id for launch, _ in self._live.values()}
        held.update(start.id for line in self._lines.values() for starts in line.ready.values() for start, _ in starts)
        if lost := set(claimed) - held:  # a claim whose commit was reported as failed and had happened
            await self._database.write(lambda c: queue.release(c, lost, incarnation=incarnation))

    def _clock_fell_back(self, now: float) -> bool:
        steady = asyncio.get_running_loop().time()
        last, self._clocks = self._clocks, (now, steady)
        return last is not None and (now - last[0]) < (steady - last[1]) - CLOCK_STEP_S

    async def _claim(self, asked: set[ServiceId]) -> None:
        if stale := asked - self._fresh:
            self._learn(await self._database.read(lambda c: self._load(c, stale)))
            self._fresh |= stale
        wanted = self._wanted(asked)
        self._hungry.update(asked - wanted.keys())  # held back by pacing or a limit: they stay hungry
        if not wanted:
            return
        now, incarnation = self._clock(), self._database.incarnation
        claimed = await self._database.write(
            lambda c: {
                service_id: queue.claim(c, service_id, limit=limit, incarnation=incarnation, now=now)
                for service_id, limit in wanted.items()
            }
        )
        for service_id, starts in claimed.items():
            if len(starts) == wanted[service_id]:
                self._hungry.add(service_id)
            self._tell_all((start.reference for start in starts), Step.CLAIMED)
        await self._judge([start for starts in claimed.values() for start in starts])

    def _load(self, c: Connection, asked: Iterable[ServiceId]) -> _Loaded:
        services: dict[ServiceId, tuple[Account, Service]] = {}
        slots: dict[ServiceId, list[float]] = {}
        for service_id in asked:
            service = get_service(c, service_id)
            account = get_account(c, service.account_id)
            services[service_id] = (account, service)
            if service_id not in self._account_of:
                rates = (account.max_cps, service.max_cps or account.max_cps)
                window_s = max(1.0, *(1 / rate for rate in rates)) + SLOT_MARGIN / SECOND
                slots[service_id] = queue.slots_since(c, service_id, since=self._clock() - window_s)
        return _Loaded(services=services, slots=slots)

    def _learn(self, loaded: _Loaded) -> None:
        """Take over limits as they are now, and where pacing stood when this node, or its former life, last knew."""
        for service_id, (account, service) in loaded.services.items():
            limits = Limits(max_cps=account.max_cps, min_cps=account.min_cps)
            line = self._lines.setdefault(account.id, _Line(account=account, pacer=Pacer(limits)))
            line.account = account
            line.services[service_id] = service
            line.pacer.set_account(limits)
            line.pacer.set_service(service_id, Limits(max_cps=service.max_cps, min_cps=service.min_cps or 0.0))
            if service_id in loaded.slots:
                self._account_of[service_id] = account.id
                line.pacer.restore(service_id, [self._left_at(slot_at) for slot_at in loaded.slots[service_id]])

    def _left_at(self, slot_at: float) -> int:
        """Return when, at the latest, the start of a slot of a former life left, in this life's microseconds."""
        age = max(0, round((self._clock() - slot_at) * SECOND) - SLOT_MARGIN)
        return _now() - age

    def _wanted(self, asked: set[ServiceId]) -> dict[ServiceId, int]:
        """Return how many starts to claim of each service: those that can leave soon, within the limits."""
        wanted: dict[ServiceId, int] = {}
        running = self._running()
        for account_id, line in self._lines.items():
            room = {service_id: len(line.ready[service_id]) for service_id in line.waiting()}
            for service_id in asked:
                if self._account_of.get(service_id) == account_id:
                    room[service_id] = max(room.get(service_id, 0), min(BATCH, self._room(line, service_id, running)))
            limit = self._account_room(line, running)
            able = [service_id for service_id, many in room.items() if many > 0]
            if (slot := line.pacer.next_slot(_now(), able)) is None or slot.at > _now() + CLAIM_AHEAD:
                continue
            planned = line.pacer.plan(_now(), _now() + LOOK_AHEAD, room, limit=min(BATCH, limit))
            for service_id in asked & planned.keys():
                if (more := planned[service_id] - len(line.ready.get(service_id, ()))) > 0:
                    wanted[service_id] = more
        return wanted

    async def _judge(self, claimed: list[Start]) -> None:
        """Put starts that may run in line; put back those outside their calling hours, end the others with reasons."""
        refused: list[tuple[Start, str]] = []
        starts = await self._within_hours(claimed)
        found = await self._database.read(partial(look_up, starts=starts))
        for start in starts:
            line = self._lines[start.account_id]
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
            lambda c: [queue.fail(c, s.id, incarnation=incarnation, reason=reason, now=now) for s, reason in refused]
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
            lambda c: [queue.release(c, [i], incarnation=incarnation, due_at=at) for i, at in closed.items()]
        )
        self._tell_all((start.reference for start in claimed if start.id in closed), Step.RELEASED)
        return [start for start in claimed if start.id not in closed]

    def _launch(self, instances: asyncio.TaskGroup) -> None:
        """Give slots to the starts in line that leave soon, and launch them."""
        running = self._running()
        for line in self._lines.values():
            while self._account_room(line, running) > 0:
                able = [s for s in line.waiting() if self._room(line, s, running) > 0]
                slot = line.pacer.next_slot(_now(), able)
                if slot is None or slot.at > _now() + LOOK_AHEAD:
                    break
                line.pacer.take(slot, able)
                start, destination = line.ready[slot.service_id].popleft()
                instance_id = self._identifiers.instance()
                launch = Launch(
                    self._node,
                    start=start,
                    service=line.services[slot.service_id],
                    destination=destination,
                    instance_id=instance_id,
                    call_id=self._identifiers.call(instance_id),
                    pacer=line.pacer,
                    slot=slot,
                )
                task = instances.create_task(launch.run(), name=f"instance {instance_id}")
                self._live[instance_id] = (launch, task)
                task.add_done_callback(partial(self._over, instance_id))
                running[slot.service_id] += 1

    def _over(self, instance_id: InstanceId, task: asyncio.Task[None]) -> None:
        launch, _ = self._live.pop(instance_id)
        self.wake(launch.start.service_id)

    def _running(self) -> Counter[ServiceId]:
        return Counter(launch.start.service_id for launch, _ in self._live.values())

    def _room(self, line: _Line, service_id: ServiceId, running: Mapping[ServiceId, int]) -> int:
        """Return how many more instances of a service its own limit lets run: none while it is paused."""
        if self._paused.hold(line.account.id, service_id):
            return 0
        limit = line.services[service_id].max_running
        return BATCH if limit is None else max(0, limit - running.get(service_id, 0))

    def _account_room(self, line: _Line, running: Mapping[ServiceId, int]) -> int:
        """Return how many more instances of an account its limit lets run."""
        limit = line.account.max_running
        return BATCH if limit is None else max(0, limit - sum(running.get(s, 0) for s in line.services))

    def _take_paused(self, line: _Line) -> list[Start]:
        """Return, and drop from the line, the starts ready to launch that are paused now."""
        paused = [s for s in line.waiting() if self._paused.hold(line.account.id, s)]
        return [start for service_id in paused for start, _ in line.ready.pop(service_id)]

    async def _release_ready(self) -> None:
        starts = [start for line in self._lines.values() for ready in line.ready.values() for start, _ in ready]
        for line in self._lines.values():
            line.ready.clear()
        await self._release(starts)

    async def _release(self, starts: list[Start]) -> None:
        """Put claimed starts back in their old places."""
        if not starts:
            return
        incarnation = self._database.incarnation
        try:
            await self._database.write(lambda c: queue.release(c, [s.id for s in starts], incarnation=incarnation))
        except OutsideError as failure:
            _log.error("Claimed starts go back later", action="release_failed", reason=str(failure))
        else:
            self._tell_all((start.reference for start in starts), Step.RELEASED)

    async def _pause(self, began: float) -> None:
        """Sleep until there is something to do, but go round no more often than every ``MIN_ROUND_S``."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(max(self._next_round_at(), began + MIN_ROUND_S)):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        if not self._stopping and (early := began + MIN_ROUND_S - loop.time()) > 0:
            await asyncio.sleep(early)

    def _next_round_at(self) -> float:
        """Return the loop time of the next slot worth preparing for, or of the next poll."""
        running = self._running()
        soonest = self._poll_at
        for account_id, line in self._lines.items():
            if self._account_room(line, running) <= 0:
                continue
            hungry = (s for s in self._hungry if self._account_of.get(s) == account_id)
            for ahead, waiting in ((LOOK_AHEAD, line.waiting()), (CLAIM_AHEAD, hungry)):
                able = [s for s in waiting if self._room(line, s, running) > 0]
                if (slot := line.pacer.next_slot(_now(), able)) is not None:
                    soonest = min(soonest, (slot.at - ahead) / SECOND)
        return soonest

    def _tell_all(self, references: Iterable[ServiceReference], step: Step) -> None:
        now = self._clock()
        for reference in references:
            self._events(StartEvent(reference=reference, step=step, at=now))


def _now() -> int:
    return int(asyncio.get_running_loop().time() * SECOND)
