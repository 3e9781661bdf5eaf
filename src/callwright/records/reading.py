"""From rows of the ledger to records: one instance for its owner, and what a node that died left open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, column, select, table

from callwright.db.prepared import Prepared, Row
from callwright.records.number_rate import NumberRate
from callwright.records.records import (
    Adr,
    ApplicationType,
    AudioPath,
    CallDirection,
    Cdr,
    ChannelType,
    Costs,
    ErrorRecord,
    Fdr,
    Records,
)
from callwright.records.settings import RateCard
from callwright.records.tables import adrs, cdrs, error_records, fdrs
from callwright.values.ids import AccountId, CallId, InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A call whose record is open; ``dialog`` is what ends it: saved by ``open_cdr``, then by ``mark_answered``."""

    cdr: Cdr
    dialog: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInstance:
    """An instance whose record is open, and its open calls."""

    adr: Adr
    calls: tuple[OpenCall, ...]


_Row = RowMapping | Row

_accounts = table("accounts", column("id"), column("cloud_id"))  # only what the foreign key of adrs promises
_adr_of = Prepared(select(adrs).where(adrs.c.instance_id == bindparam("of")))
_cdrs = select(cdrs).order_by(cdrs.c.initiated_at, cdrs.c.call_id)
_cdrs_of = Prepared(_cdrs.where(cdrs.c.instance_id == bindparam("of")))
_open_cdrs_of = Prepared(_cdrs.where(cdrs.c.instance_id == bindparam("of"), cdrs.c.ended_at.is_(None)))
_fdrs_of = select(fdrs).where(fdrs.c.instance_id == bindparam("of")).order_by(fdrs.c.started_at, fdrs.c.feature_id)
_errors_of = select(error_records).where(error_records.c.instance_id == bindparam("of")).order_by(error_records.c.n)
_open_adrs = select(adrs).where(adrs.c.stopped_at.is_(None)).order_by(adrs.c.started_at)


def read_adr(c: Connection, instance_id: InstanceId) -> Adr | None:
    row = _adr_of.first(c, {"of": instance_id})
    return None if row is None else _adr(row)


def read_cdrs(c: Connection, where: ColumnElement[bool]) -> list[Cdr]:
    """Return call records in the order in which the calls were placed."""
    return [_cdr(row) for row in c.execute(_cdrs.where(where)).mappings()]


def read_cdrs_of(c: Connection, instance_id: InstanceId) -> list[Cdr]:
    """Return the call records of one instance in the order in which the calls were placed."""
    return [_cdr(row) for row in _cdrs_of.rows(c, {"of": instance_id})]


def read_records(c: Connection, account_id: AccountId, instance_id: InstanceId) -> Records | None:
    """Return all records of a closed instance of this account, else None."""
    adr = read_adr(c, instance_id)
    if adr is None or adr.account_id != account_id or adr.stopped_at is None:
        return None
    cloud_id = c.scalar(select(_accounts.c.cloud_id).where(_accounts.c.id == account_id))
    of = {"of": instance_id}
    return Records(
        cloud_id=str(cloud_id),
        adr=adr,
        cdrs=tuple(read_cdrs_of(c, instance_id)),
        fdrs=tuple(_fdr(row) for row in c.execute(_fdrs_of, of).mappings()),
        errors=tuple(ErrorRecord(code=row["code"], text=row["text"]) for row in c.execute(_errors_of, of).mappings()),
    )


def open_calls(c: Connection) -> list[OpenCall]:
    """Return every call whose record is open, with its saved dialog: those a restarted node must hang up."""
    return _open_calls(c.execute(_cdrs.where(cdrs.c.ended_at.is_(None))).mappings())


def open_cdrs_of(c: Connection, instance_id: InstanceId) -> list[OpenCall]:
    """Return the open calls of one instance."""
    return _open_calls(_open_cdrs_of.rows(c, {"of": instance_id}))


def open_instances(c: Connection) -> list[OpenInstance]:
    """Return every instance whose record is open, oldest first, with its open calls."""
    calls: dict[InstanceId, list[OpenCall]] = {}
    for call in open_calls(c):
        calls.setdefault(call.cdr.instance_id, []).append(call)
    found = [_adr(row) for row in c.execute(_open_adrs).mappings()]
    return [OpenInstance(adr=adr, calls=tuple(calls.get(adr.instance_id, ()))) for adr in found]


def _open_calls(rows: Iterable[_Row]) -> list[OpenCall]:
    return [OpenCall(cdr=_cdr(row), dialog=row["dialog"]) for row in rows]


def _adr(row: _Row) -> Adr:
    return Adr(
        instance_id=InstanceId(row["instance_id"]),
        account_id=AccountId(row["account_id"]),
        reference=row["reference"],
        application_name=row["application_name"],
        application=ApplicationType(row["application"]),
        application_parameters=row["application_parameters"],
        outbound_parameters=row["outbound_parameters"],
        rest_to=row["rest_to"],
        rest_from=row["rest_from"],
        rest_initial_token=row["rest_initial_token"],
        uas_application_name=row["uas_application_name"],
        uas_ip_address=row["uas_ip_address"],
        uas_name=row["uas_name"],
        extra_channel_count=row["extra_channel_count"],
        fax=row["fax"],
        started_at=row["started_at"],
        tts_ms=row["tts_ms"],
        tts_neural_ms=row["tts_neural_ms"],
        final_asked_at=row["final_asked_at"],
        stopped_at=row["stopped_at"],
        exit_status=row["exit_status"],
        costs=None if row["stopped_at"] is None else _costs(row),
        rates=None if row["rates"] is None else msgspec.json.decode(row["rates"], type=RateCard),
    )


def _costs(row: _Row) -> Costs:
    return Costs(
        platform=row["platform_cost"],
        extra=row["extra_cost"],
        pstn=row["pstn_cost"],
        tollfree=row["tollfree_cost"],
        tts_unit=row["tts_unit_cost"],
        tts=row["tts_cost"],
        tts_neural_unit=row["tts_neural_unit_cost"],
        tts_neural=row["tts_neural_cost"],
        feature=row["feature_cost"],
        total=row["total_cost"],
        valid=row["costs_valid"],
    )


def _cdr(row: _Row) -> Cdr:
    return Cdr(
        call_id=CallId(row["call_id"]),
        instance_id=InstanceId(row["instance_id"]),
        direction=CallDirection(row["direction"]),
        channel_type=ChannelType(row["channel_type"]),
        destination_address=row["destination_address"],
        originating_user=row["originating_user"],
        initiated_at=row["initiated_at"],
        connected_at=row["connected_at"],
        ended_at=row["ended_at"],
        hangup_cause=row["hangup_cause"],
        joined_s=row["joined_s"],
        call_cost=row["call_cost"],
        costs_valid=row["costs_valid"],
        rate=None if row["rate"] is None else msgspec.json.decode(row["rate"], type=NumberRate),
        trunk=row["trunk"] or "",
        detail=row["detail"] or "",
        q850=row["q850"],
    )


def _fdr(row: _Row) -> Fdr:
    return Fdr(
        feature_id=row["feature_id"],
        instance_id=InstanceId(row["instance_id"]),
        call_id=CallId(row["call_id"]),
        type=row["type"],
        audio_path=AudioPath(row["audio_path"]),
        transaction_id=row["transaction_id"],
        started_at=row["started_at"],
        stopped_at=row["stopped_at"],
        seconds_for_cost=row["seconds_for_cost"],
        unit_cost=row["unit_cost"],
        cost=row["cost"],
        costs_valid=row["costs_valid"],
    )
