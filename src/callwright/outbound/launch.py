"""One start from its pacing slot to its end: the life of an instance as its owner sees it (docs/reference/queue.md).

The order matters and is all in ``_before_invite``, which the engine awaits when everything is ready to dial: wait until
the slot is near, stamp and open the records in one transaction, wait for the slot and for the trunk's turn, see that
this node still owns its data, and return; the INVITE leaves in the same turn of the event loop. Whatever happens,
``run`` brings the start to where it belongs before it returns.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import structlog
from sqlalchemy import Connection
from structlog.typing import FilteringBoundLogger

from callwright.accounts.service import Service
from callwright.apps.instance import InstanceOrder, InstanceResult
from callwright.apps.return_codes import CANCELLED, INTERNAL
from callwright.db.database import Database
from callwright.engine.interface import CallFailed
from callwright.outbound import dialling
from callwright.outbound.events import StartEvent, Step
from callwright.outbound.gate import Gate, Place
from callwright.outbound.pacing import SECOND, Slot
from callwright.outbound.persist import write_at_last
from callwright.outbound.policy import MayNotRun
from callwright.outbound.reasons import Reason
from callwright.outbound.retry import Unreached, unreached
from callwright.outbound.start import Start
from callwright.outbound.transactions import Settled, settle, settle_recorded, stamp_and_open
from callwright.records.settings import RecordSettings
from callwright.values.destination import Destination
from callwright.values.errors import CallwrightError, OutsideError
from callwright.values.ids import CallId, InstanceId

BeforeInvite = Callable[[bytes], Awaitable[None]]
RunInstance = Callable[[InstanceOrder, BeforeInvite], Awaitable[InstanceResult]]

STAMP_LEAD = SECOND // 20  # how long before its slot a start is stamped at most: time for one commit
STAMP_EVERY = SECOND // 100  # starts whose stamps come this close to each other share a commit and the way to it
SLOT_MARGIN = SECOND  # how much later than the slot on disk a start may leave; a restart paces as if all left so late
RETRY_AFTER_S = 5.0  # when a start that could not be prepared (no port, no disk) is tried again
SLACK_S = 900.0  # what an instance may take beyond ringing and the longest call: pages, transcripts, the final page

_log = structlog.get_logger()


class NotDialled(CallwrightError):
    """The far end must not be dialled for this start now: it was withdrawn, or this node is stopping or has lost its
    data folder. Nothing was sent.
    """


class OutsideCallingHours(NotDialled):
    """The start's calling hours are over, or will be before it leaves; they begin again at ``opens_at``."""

    def __init__(self, opens_at: float) -> None:
        super().__init__("its calling hours are over")
        self.opens_at = opens_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What every launch of a node needs."""

    database: Database
    run_instance: RunInstance
    turn_of: Callable[[CallId], float]
    clock: Callable[[], float]
    owns_data: Callable[[], bool]
    is_stopping: Callable[[], bool]
    events: Callable[[StartEvent], None]
    records: RecordSettings
    longest_call_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """How an instance ended: its return code if somebody may have been dialled, and how it reached nobody if it did
    not; otherwise when to try again (None: in its old place), or why not to. ``undialled_until`` is for what may have
    been stamped and was certainly not sent. ``settled`` is what the start became when the records were closed.
    """

    return_code: int
    how: Unreached | None = None
    retry_at: float | None = None
    undialled_until: float | None = None
    give_up: str | None = None
    settled: Settled | None = None


class Launch:
    """One claimed start that has its slot."""

    def __init__(
        self,
        node: Node,
        *,
        start: Start,
        service: Service,
        destination: Destination,
        instance_id: InstanceId,
        call_id: CallId,
        gate: Gate,
        slot: Slot,
    ) -> None:
        self.start = start
        self.instance_id = instance_id
        self.stamped = False
        self.ending = False
        self._node = node
        self._service = (
            service if start.ring_timeout_s is None else replace(service, ring_timeout_s=start.ring_timeout_s)
        )
        self._destination = destination
        self._call_id = call_id
        self._gate = gate
        self._slot = slot
        self._is_hung_up = False
        self._settled: Settled | None = None  # with the records, if their transaction was committed
        self._loop = asyncio.get_running_loop()

    def hang_up(self) -> bool:
        """Note that whoever owns the task of ``run`` will cancel it, once; return False when it must not."""
        if not self.stamped or self.ending:
            return False
        self.ending = self._is_hung_up = True
        return True

    async def run(self) -> None:
        """Run the instance to its end; the start is settled on disk when this returns."""
        ending = _Ending(return_code=INTERNAL)
        try:
            async with asyncio.timeout(self._service.ring_timeout_s + self._node.longest_call_s + SLACK_S):
                result = await self._node.run_instance(self._order(), self._before_invite)
            ending = _Ending(return_code=result.return_code, how=unreached(result.outcome), settled=self._settled)
        except OutsideCallingHours as why:
            self._log.info("The start waits for its calling hours", action="start_outside_hours", until=why.opens_at)
            ending = _Ending(return_code=INTERNAL, undialled_until=why.opens_at)
        except NotDialled as why:
            self._log.info("The start is not dialled", action="start_not_dialled", reason=str(why))
        except MayNotRun as why:
            ending = _Ending(return_code=INTERNAL, give_up=why.reason)
        except CallFailed as impossible:
            ending = _Ending(return_code=INTERNAL, give_up=impossible.outcome.detail)
        except OutsideError as failure:
            self._log.warning("The instance could not run", action="instance_failed", reason=str(failure))
            ending = _Ending(return_code=INTERNAL, retry_at=self._node.clock() + RETRY_AFTER_S)
        except asyncio.CancelledError:
            ending = _Ending(return_code=CANCELLED)
            raise
        except Exception:  # the bulkhead of an instance: a bug in one must not touch the others
            self._log.exception("The instance crashed", action="instance_crashed")
            ending = _Ending(return_code=INTERNAL, give_up=Reason.INTERNAL_ERROR)
        finally:
            self.ending = True
            await self._settle(ending)

    def _order(self) -> InstanceOrder:
        start = self.start
        return InstanceOrder(
            instance_id=self.instance_id,
            call_id=self._call_id,
            reference=start.reference,
            account_id=start.account_id,
            service=self._service,
            destination=self._destination,
            caller_id=start.given_from,
            token=start.token,
            outbound_parameters=start.outbound_parameters,
            extra_sip_headers=start.extra_sip_headers,
            started_at=self._node.clock(),
            max_duration_s=start.max_duration_s,
            settle=self._settle_with_records,
        )

    async def _before_invite(self, saved: bytes) -> None:
        """Return when the INVITE may leave, in this turn of the event loop; raise ``NotDialled`` when it may not."""
        place = self._gate.come(self._slot, self._turn_at)
        try:
            await self._reach_its_turn(place, saved)
        finally:
            self._gate.go(place)

    async def _reach_its_turn(self, place: Place, saved: bytes) -> None:
        stamp_at = math.ceil((self._slot.at - STAMP_LEAD) / STAMP_EVERY) * STAMP_EVERY
        if (wait := stamp_at - self._now()) > 0:
            await asyncio.sleep(wait / SECOND)
        if self._node.is_stopping():
            raise NotDialled("this node is stopping")
        if not await self._node.database.write(partial(self._stamp, saved=saved), brief=True):
            raise NotDialled("it was cancelled, purged or paused")
        self.stamped = True
        self._tell(Step.STAMPED)
        await self._pass_the_gate(place)
        self._check_hours(self._node.clock())
        if not self._node.owns_data():
            raise NotDialled("this node does not own its data any more")
        self._tell(Step.DIALLING)
        self._gate.leaves(place)

    async def _pass_the_gate(self, place: Place) -> None:
        """Return when the INVITE may leave; while the slot is long past, write down where it is now."""
        on_disk = self._slot.at
        while True:
            await self._gate.wait(place)
            if (now := self._now()) <= on_disk + SLOT_MARGIN:
                return
            self._gate.step_aside(place)
            on_disk = now
            await self._node.database.write(partial(self._move_slot, slot_at=self._node.clock()), brief=True)

    def _turn_at(self) -> int:
        return math.ceil(self._node.turn_of(self._call_id) * SECOND)

    def _check_hours(self, *instants: float) -> None:
        """Raise ``OutsideCallingHours`` unless the start may be dialled at all of these instants."""
        if (hours := self.start.calling_hours) is None:
            return
        for at in instants:
            if not hours.is_open(at):
                raise OutsideCallingHours(hours.next_opening(at))

    def _stamp(self, c: Connection, *, saved: bytes) -> bool:
        now = self._node.clock()
        slot_at = now + (self._slot.at - self._now()) / SECOND
        self._check_hours(now, slot_at + SLOT_MARGIN / SECOND)
        return stamp_and_open(
            c,
            self.start,
            service=self._service,
            destination=self._destination,
            instance_id=self.instance_id,
            call_id=self._call_id,
            incarnation=self._node.database.incarnation,
            now=now,
            slot_at=slot_at,
            saved=saved,
            settings=self._node.records,
        )

    def _move_slot(self, c: Connection, *, slot_at: float) -> None:
        dialling.move_slot(c, self.instance_id, slot_at=slot_at)

    async def _settle(self, ending: _Ending) -> None:
        settled = ending.settled or await write_at_last(
            self._node.database, partial(self._settle_now, ending=ending), instance=self.instance_id
        )
        match settled:
            case Settled.FINISHED:
                self._tell(Step.FINISHED, detail=str(ending.return_code))
            case Settled.QUEUED_AGAIN:
                self._tell(Step.QUEUED_AGAIN, detail=str(ending.return_code))
            case Settled.RELEASED:
                self._tell(Step.RELEASED)
            case Settled.FAILED:
                self._tell(Step.REFUSED, detail=ending.give_up or "")
            case Settled.WITHDRAWN:
                self._tell(Step.WITHDRAWN)

    def _settle_with_records(self, c: Connection, result: InstanceResult) -> None:
        if self._became(c) is not None:
            return  # it was committed although that was told to have failed
        self.ending = True  # what is queued again now cannot be hung up any more
        ended_from_outside = self._is_hung_up or result.return_code == CANCELLED
        self._settled = settle_recorded(
            c,
            self.start,
            instance_id=self.instance_id,
            now=self._node.clock(),
            return_code=result.return_code,
            how=None if ended_from_outside else unreached(result.outcome),
        )

    def _became(self, c: Connection) -> Settled | None:
        """Return what the start became with its records, None when that was not committed."""
        return None if self._settled is None or dialling.is_running(c, self.instance_id) else self._settled

    def _settle_now(self, c: Connection, *, ending: _Ending) -> Settled:
        if (became := self._became(c)) is not None:
            return became  # only what came after its records were closed went wrong
        return settle(
            c,
            self.start,
            instance_id=self.instance_id,
            incarnation=self._node.database.incarnation,
            now=self._node.clock(),
            return_code=ending.return_code,
            give_up=ending.give_up,
            retry_at=ending.retry_at,
            settings=self._node.records,
            how=ending.how,
            undialled_until=ending.undialled_until,
        )

    def _tell(self, step: Step, *, detail: str = "") -> None:
        self._node.events(
            StartEvent(
                reference=self.start.reference,
                step=step,
                at=self._node.clock(),
                instance_id=self.instance_id,
                detail=detail,
            )
        )

    def _now(self) -> int:
        return int(self._loop.time() * SECOND)

    @property
    def _log(self) -> FilteringBoundLogger:
        log: FilteringBoundLogger = _log.bind(start=self.start.reference, instance=self.instance_id, call=self._call_id)
        return log
