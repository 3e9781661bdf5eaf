"""Open and close each record exactly once (docs/reference/records.md).

A record is written when what it describes begins, again at the answer, and closed when it ends, so that whatever kills
the node leaves a truthful trace behind. Closing is one conditional UPDATE; the functions that close return whether it
was this call that did it. All functions run on a connection inside the caller's transaction (``Database.write``).

Times are epoch seconds as measured. ``settings`` carries the prices of instances that were opened without ``rates``,
and must be the node's own.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, bindparam, func, insert, select, update

from callwright.db.prepared import Prepared
from callwright.records import rating, spending
from callwright.records.features import check_type
from callwright.records.number_rate import NumberRate
from callwright.records.reading import (
    OpenCall,
    OpenInstance,
    open_calls,
    open_cdrs_of,
    open_instances,
    read_adr,
    read_records,
)
from callwright.records.records import (
    Adr,
    ApplicationType,
    AudioPath,
    CallDirection,
    ChannelType,
    Costs,
    ErrorRecord,
)
from callwright.records.settings import DEFAULT_SETTINGS, RateCard, RecordSettings
from callwright.records.tables import adrs, cdrs, error_records, fdrs
from callwright.records.wire import application_status_object
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, CallId, InstanceId
from callwright.values.money import ZERO
from callwright.values.outcome import Cause, EndedBy, Outcome, RestCause, answered_outcome

__all__ = [
    "CUT_OFF",
    "LOST_CAUSE",
    "OpenCall",
    "OpenInstance",
    "add_error",
    "add_fdr",
    "add_tts",
    "application_status",
    "close_adr",
    "close_cdr",
    "close_for_recovery",
    "mark_answered",
    "open_adr",
    "open_calls",
    "open_cdr",
    "open_instances",
    "save_call",
    "stamp_final_asked",
]

RETURN_CODE_RESTARTED = -90
LONGEST_DETAIL = 300
LONGEST_WAY = 180  # leaves room for what is said of the end
NEGATIVE_RETURN_CODE = "2008"  # docs/reference/records.md, error records

CUT_OFF = "the platform stopped while it was up and hung up when it ran again: how long it lasted is not known"

_LOST = Outcome(cause=Cause.ERROR, code=0, rest_cause=RestCause.FAILED, ended_by=EndedBy.PLATFORM)  # no SIP code came
LOST_CAUSE = _LOST.hangup_cause
_CUT_OFF = answered_outcome(ended_by=EndedBy.PLATFORM, detail=CUT_OFF)

_open_adr = Prepared(insert(adrs))
_open_cdr = Prepared(insert(cdrs))
_add_fdr = insert(fdrs)
_add_error = Prepared(insert(error_records))
_mark_answered = Prepared(
    update(cdrs)
    .where(cdrs.c.call_id == bindparam("of"), cdrs.c.connected_at.is_(None), cdrs.c.ended_at.is_(None))
    .values(
        connected_at=bindparam("at"),
        dialog=bindparam("saved"),
        trunk=bindparam("carrier"),
        initiated_at=func.coalesce(bindparam("began"), cdrs.c.initiated_at),
    )
)
_save_call = Prepared(
    update(cdrs)
    .where(cdrs.c.call_id == bindparam("of"), cdrs.c.connected_at.is_(None), cdrs.c.ended_at.is_(None))
    .values(dialog=bindparam("saved"), detail=func.coalesce(bindparam("why"), cdrs.c.detail))
)
_close_cdr = Prepared(
    update(cdrs)
    .where(cdrs.c.call_id == bindparam("of"), cdrs.c.ended_at.is_(None))
    .values(
        initiated_at=func.coalesce(bindparam("began"), cdrs.c.initiated_at),
        connected_at=bindparam("answered"),
        ended_at=bindparam("at"),
        hangup_cause=bindparam("cause"),
        joined_s=bindparam("joined"),
        call_cost=bindparam("cost"),
        costs_valid=bindparam("valid"),
        trunk=func.coalesce(bindparam("carrier"), cdrs.c.trunk),
        detail=bindparam("why"),
        q850=bindparam("network_cause"),
        dialog=None,
    )
)
_priced_by = Prepared(
    select(cdrs.c.destination_address, cdrs.c.connected_at, cdrs.c.ended_at, cdrs.c.rate, cdrs.c.detail, adrs.c.rates)
    .join(adrs, adrs.c.instance_id == cdrs.c.instance_id)
    .where(cdrs.c.call_id == bindparam("of"))
)
_add_tts = Prepared(
    update(adrs)
    .where(adrs.c.instance_id == bindparam("of"), adrs.c.stopped_at.is_(None))
    .values(tts_ms=adrs.c.tts_ms + bindparam("plain"), tts_neural_ms=adrs.c.tts_neural_ms + bindparam("neural"))
)
_stamp_final = Prepared(
    update(adrs)
    .where(adrs.c.instance_id == bindparam("of"), adrs.c.final_asked_at.is_(None))
    .values(final_asked_at=bindparam("at"))
)
_close_adr = Prepared(update(adrs).where(adrs.c.instance_id == bindparam("of"), adrs.c.stopped_at.is_(None)))
_errors_like = Prepared(
    select(error_records.c.n).where(
        error_records.c.instance_id == bindparam("of"), error_records.c.code == bindparam("code")
    )
)
_errors_so_far = Prepared(select(func.count()).where(error_records.c.instance_id == bindparam("of")))
_is_open = select(func.count()).where(adrs.c.instance_id == bindparam("of"), adrs.c.stopped_at.is_(None))
_rates = Prepared(select(adrs.c.rates).where(adrs.c.instance_id == bindparam("of")))
_closing = Prepared(  # an instance with a row for each of its calls, in the order in which they were placed
    select(
        adrs.c.account_id,
        adrs.c.started_at,
        adrs.c.stopped_at,
        adrs.c.extra_channel_count,
        adrs.c.tts_ms,
        adrs.c.tts_neural_ms,
        adrs.c.rates,
        select(func.sum(fdrs.c.cost, type_=fdrs.c.cost.type))
        .where(fdrs.c.instance_id == bindparam("of"))
        .scalar_subquery()
        .label("features"),
        cdrs.c.call_id,
        cdrs.c.destination_address,
        cdrs.c.connected_at,
        cdrs.c.ended_at,
        cdrs.c.rate,
    )
    .outerjoin_from(adrs, cdrs, cdrs.c.instance_id == adrs.c.instance_id)
    .where(adrs.c.instance_id == bindparam("of"))
    .order_by(cdrs.c.initiated_at, cdrs.c.call_id)
)


def open_adr(
    c: Connection,
    *,
    instance_id: InstanceId,
    account_id: AccountId,
    application_name: str,
    started_at: float,
    reference: str | None = None,
    application: str = ApplicationType.REST,
    application_parameters: str = "",
    outbound_parameters: str = "",
    rest_to: str = "",
    rest_from: str = "",
    rest_initial_token: str = "",
    uas_application_name: str = "",
    uas_ip_address: str = "",
    uas_name: str = "",
    extra_channel_count: int = 0,
    fax: bool = False,
    rates: RateCard | None = None,
    reservation: rating.Reservation = rating.NOTHING_RESERVED,
) -> None:
    """Begin the record of an instance. ``application_name`` is the service's name; ``rest_*`` are as the client gave
    them, "" when it gave none. ``rates`` are its prices whatever changes later, None for those of the node's settings;
    ``reservation`` counts as spent while the record is open.
    """
    _open_adr.change(
        c,
        {
            "instance_id": instance_id,
            "account_id": account_id,
            "reference": reference,
            "application_name": application_name,
            "application": ApplicationType(application).value,
            "application_parameters": application_parameters,
            "outbound_parameters": outbound_parameters,
            "rest_to": rest_to,
            "rest_from": rest_from,
            "rest_initial_token": rest_initial_token,
            "uas_application_name": uas_application_name,
            "uas_ip_address": uas_ip_address,
            "uas_name": uas_name,
            "extra_channel_count": extra_channel_count,
            "fax": fax,
            "started_at": started_at,
            "rates": None if rates is None else msgspec.json.encode(rates).decode(),
            "reserved": reservation.at_start,
            "reserved_per_minute": reservation.per_minute,
        },
    )


def open_cdr(
    c: Connection,
    *,
    call_id: CallId,
    instance_id: InstanceId,
    destination_address: str,
    originating_user: str,
    initiated_at: float,
    direction: str = CallDirection.OUT,
    channel_type: str = ChannelType.PRIMARY,
    rate: NumberRate | None = None,
    saved: bytes = b"",
) -> None:
    """Begin the record of a call. ``destination_address`` carries its prefix (``Destination.prefixed``);
    ``originating_user`` is the caller id shown, or the SIP user or whole address. ``rate`` is the price of its number
    whatever changes later, None for that of its instance's rates. ``saved`` is what ends the call in another life of
    the node, before its answer.
    """
    _open_cdr.change(
        c,
        {
            "call_id": call_id,
            "instance_id": instance_id,
            "direction": CallDirection(direction).value,
            "channel_type": ChannelType(channel_type).value,
            "destination_address": destination_address,
            "originating_user": originating_user,
            "initiated_at": initiated_at,
            "rate": None if rate is None else msgspec.json.encode(rate).decode(),
            "dialog": saved or None,
        },
    )


def mark_answered(
    c: Connection, call_id: CallId, at: float, dialog: bytes, *, initiated_at: float | None = None, trunk: str = ""
) -> bool:
    """Note the answer and save the dialog; return False when the call was answered or over already.

    ``initiated_at``, here and in ``close_cdr``, is when the INVITE really left, if known by now; ``trunk`` names the
    trunk that carried it.
    """
    known = {"of": call_id, "at": at, "saved": dialog, "began": initiated_at, "carrier": trunk or None}
    return _mark_answered.change(c, known) == 1


def save_call(c: Connection, call_id: CallId, saved: bytes, *, detail: str = "") -> bool:
    """Replace what ends a call in another life, before its answer; return False when it was answered or is over.

    ``detail`` says where it went on to; what is said of its end comes behind that.
    """
    return _save_call.change(c, {"of": call_id, "saved": saved, "why": detail[:LONGEST_WAY] or None}) == 1


def close_cdr(
    c: Connection,
    call_id: CallId,
    *,
    ended_at: float,
    outcome: Outcome,
    initiated_at: float | None = None,
    connected_at: float | None = None,
    joined_s: float = 0.0,
    costs_valid: bool = True,
    trunk: str = "",
    settings: RecordSettings = DEFAULT_SETTINGS,
) -> bool:
    """Close and price the record of a call; return False when there is no open record of it.

    ``connected_at`` matters only when the answer was not noted by ``mark_answered``. ``joined_s`` is how long the call
    was joined to another. ``trunk`` names the trunk that carried it.
    """
    call = _priced_by.first(c, {"of": call_id})
    if call is None or call["ended_at"] is not None:
        return False
    answered = call["connected_at"] if call["connected_at"] is not None else connected_at
    rates = settings.rates if call["rates"] is None else msgspec.json.decode(call["rates"], type=RateCard)
    rate = None if call["rate"] is None else msgspec.json.decode(call["rate"], type=NumberRate)
    cost = rating.rate_call(call["destination_address"], answered, ended_at, rates, rate)
    done = _close_cdr.change(
        c,
        {
            "of": call_id,
            "began": initiated_at,
            "answered": answered,
            "at": ended_at,
            "cause": outcome.hangup_cause,
            "joined": joined_s,
            "cost": cost.pstn + cost.tollfree if settings.cdr_rated else ZERO,
            "valid": costs_valid and settings.cdr_rated,
            "carrier": trunk or None,
            "why": "; ".join(part for part in (call["detail"], outcome.detail) if part)[:LONGEST_DETAIL] or None,
            "network_cause": outcome.q850,
        },
    )
    return done == 1


def add_tts(c: Connection, instance_id: InstanceId, *, seconds: float, neural: bool) -> bool:
    """Count speech spoken by an open instance; return False when it is closed or unknown."""
    milliseconds = round(seconds * 1000)
    spoken = {"plain": 0 if neural else milliseconds, "neural": milliseconds if neural else 0}
    return _add_tts.change(c, {"of": instance_id, **spoken}) == 1


def add_fdr(
    c: Connection,
    *,
    feature_id: str,
    instance_id: InstanceId,
    call_id: CallId,
    kind: str,
    started_at: float,
    stopped_at: float,
    audio_path: str = AudioPath.NONE,
    transaction_id: str = "",
    settings: RecordSettings = DEFAULT_SETTINGS,
) -> None:
    """Record one finished use of a feature, priced; ``kind`` is its type, such as ``sr_get_input``.

    Raise ``RequestError`` for a type that cannot be one, and when the instance is closed or unknown: its costs would
    not count any more.
    """
    if not c.scalar(_is_open, {"of": instance_id}):
        raise RequestError(f"the record of instance {instance_id} is not open: a feature cannot be added to it")
    rates = _rates_of(c, instance_id, settings)
    cost = rating.rate_feature(check_type(kind), started_at, stopped_at, rates)
    c.execute(
        _add_fdr,
        {
            "feature_id": feature_id,
            "instance_id": instance_id,
            "call_id": call_id,
            "type": kind,
            "audio_path": AudioPath(audio_path).value,
            "transaction_id": transaction_id,
            "started_at": started_at,
            "stopped_at": stopped_at,
            "seconds_for_cost": cost.seconds_for_cost,
            "unit_cost": cost.unit,
            "cost": cost.cost,
            "costs_valid": True,
        },
    )


def add_error(c: Connection, instance_id: InstanceId, error: ErrorRecord) -> int:
    """Add an error record to an instance and return its number, counted from 0."""
    n = int(_errors_so_far.scalar(c, {"of": instance_id}) or 0)
    _add_error.change(c, {"instance_id": instance_id, "n": n, "code": error.code, "text": error.text})
    return n


def stamp_final_asked(c: Connection, instance_id: InstanceId, at: float) -> bool:
    """Note that the final page is about to be asked for; only who gets True may ask."""
    return _stamp_final.change(c, {"of": instance_id, "at": at}) == 1


def close_adr(
    c: Connection,
    instance_id: InstanceId,
    *,
    stopped_at: float,
    exit_status: int,
    costs_valid: bool = True,
    settings: RecordSettings = DEFAULT_SETTINGS,
) -> bool:
    """Close and price the record of an instance; return False when there is no open record of it.

    A negative ``exit_status`` makes an error record, unless one of its kind is there already. A call whose
    record is still open is closed with it, as ``ERROR(0)``: a closed instance has no open calls.
    """
    rows = _closing.rows(c, {"of": instance_id})
    if not rows or rows[0]["stopped_at"] is not None:
        return False
    adr, placed = rows[0], [row for row in rows if row["call_id"] is not None]
    for cdr in placed:
        if cdr["ended_at"] is None:
            close_cdr(c, cdr["call_id"], ended_at=stopped_at, outcome=_LOST, costs_valid=costs_valid, settings=settings)
    if exit_status < 0 and not _has_error(c, instance_id, NEGATIVE_RETURN_CODE):
        opened = read_adr(c, instance_id)
        assert opened is not None
        add_error(c, instance_id, ErrorRecord(code=NEGATIVE_RETURN_CODE, text=_return_code_text(opened, exit_status)))
    rates = settings.rates if adr["rates"] is None else msgspec.json.decode(adr["rates"], type=RateCard)
    calls = [
        rating.rate_call(
            cdr["destination_address"],
            cdr["connected_at"],
            cdr["ended_at"] or stopped_at,
            rates,
            None if cdr["rate"] is None else msgspec.json.decode(cdr["rate"], type=NumberRate),
        )
        for cdr in placed
    ]
    costs = rating.rate_instance(
        started_at=adr["started_at"],
        stopped_at=stopped_at,
        extra_channel_count=adr["extra_channel_count"],
        tts_ms=adr["tts_ms"],
        tts_neural_ms=adr["tts_neural_ms"],
        calls=calls,
        feature_costs=[] if adr["features"] is None else [adr["features"]],
        settings=settings,
        rates=rates,
        valid=costs_valid,
    )
    done = _close_adr.change(
        c, {"of": instance_id, "stopped_at": stopped_at, "exit_status": exit_status, **_cost_columns(costs)}
    )
    if done and costs.valid:
        spending.add(c, adr["account_id"], costs.total, at=stopped_at)
    return done == 1


def close_for_recovery(
    c: Connection,
    instance_id: InstanceId,
    *,
    at: float,
    return_code: int = RETURN_CODE_RESTARTED,
    settings: RecordSettings = DEFAULT_SETTINGS,
) -> bool:
    """Close what a node that died left open, with what is known; return False when it is closed already.

    Its open calls end at ``at``: answered ones normally (the restarted node hangs them up; their detail ends with
    ``CUT_OFF``), others as ``ERROR(0)``. The costs are marked as not valid, because how long anything really lasted is
    not known.
    """
    adr = read_adr(c, instance_id)
    if adr is None or adr.stopped_at is not None:
        return False
    how_far = "its call was over"
    for call in open_cdrs_of(c, instance_id):
        if call.cdr.connected_at is None:
            how_far, outcome = "a call may have rung", _LOST
        else:
            how_far, outcome = "a call was up and was hung up", _CUT_OFF
        close_cdr(c, call.cdr.call_id, ended_at=at, outcome=outcome, costs_valid=False, settings=settings)
    text = (
        f"{adr.application.upper()} application [{_program(adr)}]. started ok. the platform restarted while it ran; "
        f"{how_far}. completion status [{return_code}]"
    )
    add_error(c, instance_id, ErrorRecord(code=NEGATIVE_RETURN_CODE, text=text))
    return close_adr(c, instance_id, stopped_at=at, exit_status=return_code, costs_valid=False, settings=settings)


def application_status(
    c: Connection, account_id: AccountId, instance_id: str, settings: RecordSettings = DEFAULT_SETTINGS
) -> dict[str, object] | None:
    """Return the application_status object of a closed instance of this account, else None."""
    records = read_records(c, account_id, InstanceId(instance_id))
    return None if records is None else application_status_object(records, settings)


def _rates_of(c: Connection, instance_id: InstanceId, settings: RecordSettings) -> RateCard:
    fixed = _rates.scalar(c, {"of": instance_id})
    return settings.rates if fixed is None else msgspec.json.decode(fixed, type=RateCard)


def _has_error(c: Connection, instance_id: InstanceId, code: str) -> bool:
    return _errors_like.first(c, {"of": instance_id, "code": code}) is not None


def _program(adr: Adr) -> str:
    return adr.uas_application_name if adr.application is ApplicationType.UAS else adr.application_name


def _return_code_text(adr: Adr, exit_status: int) -> str:
    match adr.application:
        case ApplicationType.UAS:
            arguments = f" app_args [{adr.application_parameters}]."
        case ApplicationType.REST:
            arguments = ""
    kind = adr.application.upper()
    return f"{kind} application [{_program(adr)}].{arguments} started ok. completion status [{exit_status}]"


def _cost_columns(costs: Costs) -> dict[str, object]:
    return {
        "platform_cost": costs.platform,
        "extra_cost": costs.extra,
        "pstn_cost": costs.pstn,
        "tollfree_cost": costs.tollfree,
        "tts_unit_cost": costs.tts_unit,
        "tts_cost": costs.tts,
        "tts_neural_unit_cost": costs.tts_neural_unit,
        "tts_neural_cost": costs.tts_neural,
        "feature_cost": costs.feature,
        "total_cost": costs.total,
        "costs_valid": costs.valid,
    }
