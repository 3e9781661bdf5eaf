"""The transactions in which a start and its records change together: they are either both on disk, or neither is."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Connection, bindparam, select

from callwright.accounts.service import Service
from callwright.db.prepared import Prepared
from callwright.outbound import claims, dialling
from callwright.outbound.policy import agree
from callwright.outbound.retry import Unreached
from callwright.outbound.start import Start
from callwright.records import ledger
from callwright.records.reading import read_adr
from callwright.records.settings import DEFAULT_SETTINGS, RecordSettings
from callwright.records.tables import adrs
from callwright.values.destination import Destination
from callwright.values.ids import CallId, InstanceId

_exit_status = Prepared(select(adrs.c.exit_status).where(adrs.c.instance_id == bindparam("one")))


class Settled(StrEnum):
    """What became of a start whose instance is over."""

    FINISHED = "finished"
    QUEUED_AGAIN = "queued again"
    RELEASED = "released"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


def stamp_and_open(
    c: Connection,
    start: Start,
    *,
    service: Service,
    destination: Destination,
    instance_id: InstanceId,
    call_id: CallId,
    incarnation: int,
    now: float,
    slot_at: float,
    saved: bytes = b"",
    settings: RecordSettings = DEFAULT_SETTINGS,
) -> bool:
    """Stamp a start and open its ADR and CDR; return False when the start was withdrawn meanwhile.

    ``saved`` is what cancels the call in another life of the node.

    Raise ``MayNotRun`` when its account may not place this call (any more); undone with it, nothing was stamped.
    """
    stamped = dialling.stamp(c, start, instance_id=instance_id, incarnation=incarnation, now=now, slot_at=slot_at)
    if not stamped:
        return False
    terms = agree(c, start.account_id, destination, settings=settings, now=now)
    ledger.open_adr(
        c,
        instance_id=instance_id,
        account_id=start.account_id,
        application_name=service.name,
        started_at=now,
        reference=start.reference,
        application=service.application,
        application_parameters=service.application_parameters,
        outbound_parameters=start.outbound_parameters or "",
        rest_to=start.given_to or "",
        rest_from=start.given_from,
        rest_initial_token=start.token or "",
        rates=terms.card,
        reservation=terms.reservation,
    )
    ledger.open_cdr(
        c,
        call_id=call_id,
        instance_id=instance_id,
        destination_address=destination.prefixed,
        originating_user=start.given_from or service.name,
        initiated_at=now,
        rate=terms.number,
        saved=saved,
    )
    return True


def settle(
    c: Connection,
    start: Start,
    *,
    instance_id: InstanceId,
    incarnation: int,
    now: float,
    return_code: int,
    give_up: str | None,
    retry_at: float | None,
    settings: RecordSettings,
    how: Unreached | None = None,
    undialled_until: float | None = None,
) -> Settled:
    """Bring a start whose instance is over to where the database says it belongs.

    A stamped start is finished, and its records are closed in case the instance did not live to close them; one that
    did has the last word on the return code. If it reached nobody (``how``) its retry plan may queue it again, and if
    it is certain that nothing was sent it waits until ``undialled_until``. A start that was never stamped goes back to
    the queue, due at ``retry_at``, or fails with the reason ``give_up``. Doing it twice changes nothing.
    """
    adr = _exit_status.first(c, {"one": instance_id})
    if adr is not None:
        if adr["exit_status"] is None:
            ledger.close_adr(c, instance_id, stopped_at=now, exit_status=return_code, settings=settings)
        code = return_code if adr["exit_status"] is None else adr["exit_status"]
        if undialled_until is not None and dialling.queue_undialled(
            c, instance_id, return_code=code, due_at=undialled_until, now=now
        ):
            return Settled.QUEUED_AGAIN
        return settle_recorded(c, start, instance_id=instance_id, now=now, return_code=code, how=how)
    if give_up is not None:
        failed = claims.fail(c, start.id, incarnation=incarnation, reason=give_up, now=now)
        return Settled.FAILED if failed else Settled.WITHDRAWN
    due_at = retry_at if undialled_until is None else undialled_until
    released = claims.release(c, [start.id], incarnation=incarnation, due_at=due_at)
    return Settled.RELEASED if released else Settled.WITHDRAWN


def settle_recorded(
    c: Connection, start: Start, *, instance_id: InstanceId, now: float, return_code: int, how: Unreached | None
) -> Settled:
    """Bring a stamped start to where it belongs, as ``settle`` does, when its records are closed: for the transaction
    that closes them.
    """
    if how is not None and start.may_retry:
        due_at = dialling.try_again(c, start, instance_id, return_code=return_code, how=how, now=now)
        if due_at is not None:
            return Settled.QUEUED_AGAIN
    dialling.finish(c, instance_id, return_code=return_code, now=now, how=how)
    return Settled.FINISHED


def close_abandoned(c: Connection, instance_id: InstanceId, *, now: float, settings: RecordSettings) -> int | None:
    """Close what an earlier life of the node left of an instance, with its start.

    Return its return code, None when there was nothing left to do.
    """
    ledger.close_for_recovery(c, instance_id, at=now, settings=settings)
    adr = read_adr(c, instance_id)
    return_code = ledger.RETURN_CODE_RESTARTED if adr is None or adr.exit_status is None else adr.exit_status
    return return_code if dialling.finish(c, instance_id, return_code=return_code, now=now) else None
