"""After a start of the node: put right what its former life left behind (docs/reference/queue.md).

``take_over`` is one short transaction before anything else runs: starts that were claimed and never stamped wait again;
instances that were over but for their start get their end. What was stamped is never dialled again: ``end_abandoned``
hangs up the calls that were answered, has the final page asked for if nobody was about to, and closes the records and
the start as ``completed -90``. Each step leaves its mark only when it is done, so a crash during recovery is recovered
from in the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeAlias

import structlog
from sqlalchemy import Connection

from callwright.accounts.store import get_service
from callwright.apps.instance import InstanceOrder
from callwright.db.database import Database
from callwright.db.errors import DatabaseUnavailable
from callwright.engine.interface import CallFacts
from callwright.outbound import claims, former_lives
from callwright.outbound.events import StartEvent, Step
from callwright.outbound.persist import write_at_last
from callwright.outbound.transactions import close_abandoned
from callwright.records.reading import OpenInstance, open_instances
from callwright.records.records import ChannelType
from callwright.records.settings import RecordSettings
from callwright.values.destination import parse_destination
from callwright.values.ids import InstanceId, ServiceReference
from callwright.values.outcome import Cause, EndedBy, Outcome, RestCause, answered_outcome

BYES_AT_ONCE = 50  # then a pause: what a restart sends must neither flood the far end nor wait for one that is gone
PAUSE_S = 0.05
PAGES_AT_ONCE = 100
PAGE_S = 10.0  # a server that does not answer may not keep the records of a thousand instances open

_Known: TypeAlias = tuple[InstanceOrder, CallFacts, Outcome]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was found: how many starts went back to the queue, how many only had to be marked as over, and the
    instances that must still be ended, oldest first.
    """

    taken_back: int
    marked: int
    abandoned: tuple[OpenInstance, ...]


def take_over(c: Connection, *, incarnation: int, now: float, records: RecordSettings) -> Recovery:
    """Take over the queue from former lives of this node. Run it before the dispatcher and the web services start."""
    taken_back = former_lives.take_back(c, incarnation=incarnation)
    claims.mend_due_times(c, now=now)
    abandoned = tuple(open_instances(c))
    still_open = {instance.adr.instance_id for instance in abandoned}
    over = [i for i in former_lives.stamped_before(c, incarnation=incarnation) if i not in still_open]
    for instance_id in over:
        close_abandoned(c, instance_id, now=now, settings=records)
    return Recovery(taken_back=taken_back, marked=len(over), abandoned=abandoned)


class AskFinal(Protocol):
    """Stamps and asks the final page of an instance, telling it how its call ended (``apps.instance``)."""

    async def __call__(self, order: InstanceOrder, /, *, facts: CallFacts, outcome: Outcome) -> object: ...


async def end_abandoned(
    recovery: Recovery,
    *,
    database: Database,
    hang_up_saved: Callable[[bytes], Awaitable[None]],
    ask_final: AskFinal,
    clock: Callable[[], float],
    records: RecordSettings,
    events: Callable[[StartEvent], None] = lambda event: None,
) -> None:
    """End the instances that ``take_over`` found; return when all of them are over.

    ``hang_up_saved`` sends the BYE of a saved dialog and returns when it was answered or given up. ``ask_final`` stamps
    and asks the final page of an instance whose final page nobody has asked yet. A call counts as over when
    its BYE leaves.
    """
    if recovery.abandoned:
        _log.warning(
            "The node was not stopped properly: ending what it left",
            action="recovery",
            taken_back=recovery.taken_back,
            instances=len(recovery.abandoned),
        )
    turns = asyncio.Semaphore(PAGES_AT_ONCE)

    async def end(instance: OpenInstance, known: _Known | None, ended_at: float) -> None:
        adr = instance.adr
        try:
            for call in instance.calls:
                if call.dialog is not None:
                    await hang_up_saved(call.dialog)
            if known is not None:
                order, facts, outcome = known
                async with turns, asyncio.timeout(PAGE_S):
                    await ask_final(order, facts=facts, outcome=outcome)
        except TimeoutError:
            _log.warning("A final page did not answer in time", action="recovery_page", instance=adr.instance_id)
        except Exception:  # the bulkhead of an instance: its records are closed whatever its far end or pages do
            _log.exception("Ending an instance failed", action="recovery_failed", instance=adr.instance_id)
        closing = partial(close_abandoned, instance_id=adr.instance_id, now=ended_at, settings=records)
        return_code = await write_at_last(database, closing, instance=adr.instance_id)
        if return_code is not None and adr.reference is not None:
            events(
                StartEvent(
                    reference=ServiceReference(adr.reference),
                    step=Step.FINISHED,
                    at=ended_at,
                    instance_id=adr.instance_id,
                    detail=str(return_code),
                )
            )

    async with asyncio.TaskGroup() as group:
        for first in range(0, len(recovery.abandoned), BYES_AT_ONCE):
            if first:
                await asyncio.sleep(PAUSE_S)
            some, ended_at = recovery.abandoned[first : first + BYES_AT_ONCE], clock()
            known = await _read_known(database, some, ended_at)
            for instance in some:
                ending = end(instance, known.get(instance.adr.instance_id), ended_at)
                group.create_task(ending, name=f"end abandoned instance {instance.adr.instance_id}")
    if recovery.abandoned:
        _log.info("What the node's former life left is over", action="recovery_done", instances=len(recovery.abandoned))


async def _read_known(
    database: Database, instances: Sequence[OpenInstance], ended_at: float
) -> dict[InstanceId, _Known]:
    """Return what the final pages need to be told, of those instances whose final page was not asked yet.

    What cannot be read is logged and left out: its call is hung up and its records are closed all the same.
    """

    def read(c: Connection) -> dict[InstanceId, _Known]:
        found = {}
        for instance in instances:
            instance_id = instance.adr.instance_id
            if instance.adr.final_asked_at is not None:
                continue
            try:
                known = _order_and_facts(c, instance=instance, ended_at=ended_at)
            except Exception:  # the bulkhead of an instance
                _log.exception("Ending an instance failed", action="recovery_failed", instance=instance_id)
                continue
            if known is not None:
                found[instance_id] = known
        return found

    try:
        return await database.read(read)
    except DatabaseUnavailable:
        _log.exception("Final pages cannot be asked: the database cannot be read", action="recovery_failed")
        return {}


def _order_and_facts(c: Connection, *, instance: OpenInstance, ended_at: float) -> _Known | None:
    """Return what a final page tells of an instance and its call; None when no start or open call belongs to it."""
    start = former_lives.start_of_instance(c, instance.adr.instance_id)
    primary = [call.cdr for call in instance.calls if call.cdr.channel_type is ChannelType.PRIMARY]
    if start is None or not primary:
        return None
    cdr = primary[0]
    destination = parse_destination(cdr.destination_address)
    if cdr.connected_at is not None:
        outcome = answered_outcome(ended_by=EndedBy.PLATFORM)
    else:
        outcome = Outcome(cause=Cause.ERROR, code=0, rest_cause=RestCause.FAILED, ended_by=EndedBy.PLATFORM)
    order = InstanceOrder(
        instance_id=instance.adr.instance_id,
        call_id=cdr.call_id,
        reference=start.reference,
        account_id=start.account_id,
        service=get_service(c, start.service_id),
        destination=replace(destination, given=start.given_to or destination.given),
        caller_id=start.given_from,
        token=start.token,
        outbound_parameters=start.outbound_parameters,
        extra_sip_headers=start.extra_sip_headers,
        started_at=instance.adr.started_at,
    )
    facts = CallFacts(
        call_id=cdr.call_id,
        destination=destination,
        originating=cdr.originating_user,
        initiated_at=cdr.initiated_at,
        answered_at=cdr.connected_at,
        ended_at=ended_at,
        outcome=outcome,
    )
    return order, facts, outcome
