"""The application_status object, from records to the JSON a client reads (docs/reference/records.md, on the wire).

Keys come in alphabetical order; times are truncated to 4 decimals, durations to 2; "booleans" are the strings "true"
and "false"; what does not apply is "", 0 or 0.0, and nothing is ever left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from callwright.records.records import Adr, ApplicationType, Cdr, ErrorRecord, Fdr, Records
from callwright.records.settings import RecordSettings
from callwright.values import times
from callwright.values.errors import InternalError
from callwright.values.money import wire as amount

SHORT_CHARS = 16  # our choice, from the one documented example: longer texts keep 16 characters and three dots

Field = str | int | float
Fields = dict[str, Field]


def application_status_object(records: Records, settings: RecordSettings) -> dict[str, object]:
    """Return the whole answer for one closed instance."""
    return {
        "adr": adr_fields(records.adr, records.fdrs),
        "cdrs": {cdr.call_id: cdr_fields(cdr, records.cloud_id, settings) for cdr in records.cdrs},
        "errs": {str(n): error_fields(error, settings) for n, error in enumerate(records.errors)},
        "fdrs": {fdr.feature_id: fdr_fields(fdr) for fdr in records.fdrs},
    }


def adr_fields(adr: Adr, fdrs: Sequence[Fdr] = ()) -> Fields:
    if adr.stopped_at is None or adr.exit_status is None or adr.costs is None:
        raise InternalError(f"the record of instance {adr.instance_id} is still open")
    costs = adr.costs
    rest = adr.application is ApplicationType.REST
    return {
        "application_instance_id": adr.instance_id,
        "application_name": adr.application_name,
        "application_parameters": shortened(adr.application_parameters),
        "costs_valid": _flag(costs.valid),
        "duration": times.duration(adr.started_at, adr.stopped_at),
        "exit_status": adr.exit_status,
        "extra_channel_count": adr.extra_channel_count,
        "extra_cost": amount(costs.extra),
        "fax": _flag(adr.fax),
        "feature_cost": amount(costs.feature),
        "feature_seconds": sum(round(times.duration(f.started_at, f.stopped_at) * 100) for f in fdrs) / 100,
        "outbound_parameters": shortened(adr.outbound_parameters),
        "platform_cost": amount(costs.platform),
        "pstn_cost": amount(costs.pstn),
        "rest_from": adr.rest_from,
        "rest_initial_token": shortened(adr.rest_initial_token),
        "rest_log_filename": times.rest_log_name(adr.stopped_at, adr.instance_id) if rest else "",
        "rest_to": adr.rest_to,
        "start_datetime": times.datetime_text(adr.started_at),
        "start_time": times.epoch(adr.started_at),
        "stop_datetime": times.datetime_text(adr.stopped_at),
        "stop_time": times.epoch(adr.stopped_at),
        "tollfree_cost": amount(costs.tollfree),
        "total_cost": amount(costs.total),
        "tts_cost": amount(costs.tts),
        "tts_neural_cost": amount(costs.tts_neural),
        "tts_neural_seconds": _hundredths(adr.tts_neural_ms),
        "tts_neural_unit_cost": amount(costs.tts_neural_unit),
        "tts_seconds": _hundredths(adr.tts_ms),
        "tts_unit_cost": amount(costs.tts_unit),
        "uas_ip_address": adr.uas_ip_address,
        "uas_name": adr.uas_name,
    }


def cdr_fields(cdr: Cdr, cloud_id: str, settings: RecordSettings) -> Fields:
    if cdr.ended_at is None or cdr.hangup_cause is None or cdr.joined_s is None or cdr.call_cost is None:
        raise InternalError(f"the record of call {cdr.call_id} is still open")
    connected = cdr.connected_at is not None
    connected_at = cdr.connected_at or 0.0
    return {
        "call_connected_datetime": times.datetime_text(connected_at) if connected else "",
        "call_connected_time": times.epoch(connected_at),
        "call_cost": amount(cdr.call_cost),
        "call_hangup_datetime": times.datetime_text(cdr.ended_at),
        "call_hangup_time": times.epoch(cdr.ended_at),
        "call_initiated_datetime": times.datetime_text(cdr.initiated_at),
        "call_initiated_time": times.epoch(cdr.initiated_at),
        "channel_type": cdr.channel_type.value,
        "costs_valid": _flag(bool(cdr.costs_valid)),
        "destination_address": cdr.destination_address,
        "dir": cdr.direction.value,
        "duration": times.duration(connected_at, cdr.ended_at) if connected else 0.0,
        "hangup_cause": cdr.hangup_cause,
        "joined": times.duration(0.0, cdr.joined_s),
        "originating_address": originating_address(cdr.originating_user, cloud_id, settings),
    }


def fdr_fields(fdr: Fdr) -> Fields:
    return {
        "application_instance_id": fdr.instance_id,
        "audio_path": fdr.audio_path.value,
        "call_id": fdr.call_id,
        "cost": amount(fdr.cost),
        "costs_valid": _flag(fdr.costs_valid),
        "duration": times.duration(fdr.started_at, fdr.stopped_at),
        "duration_for_cost": times.duration(0.0, fdr.seconds_for_cost),
        "start_datetime": times.datetime_text(fdr.started_at),
        "start_time": times.epoch(fdr.started_at),
        "stop_datetime": times.datetime_text(fdr.stopped_at),
        "stop_time": times.epoch(fdr.stopped_at),
        "transaction_id": fdr.transaction_id,
        "type": fdr.type,
        "unit_cost": amount(fdr.unit_cost),
    }


def error_fields(error: ErrorRecord, settings: RecordSettings) -> Fields:
    return {
        "error_code": error.code,
        "error_link": settings.error_link + error.code,
        "error_text": error.text,
    }


def originating_address(user: str, cloud_id: str, settings: RecordSettings) -> str:
    """Return ``user`` as an address of this cloud's SIP domain; a user that already is an address stays as it is."""
    return user if "@" in user else f"{user}@{settings.sip_domain.format(cloud_id=cloud_id)}"


def shortened(text: str) -> str:
    """Return ``text``, or its first 16 characters and three dots when it is longer."""
    return text if len(text) <= SHORT_CHARS else text[:SHORT_CHARS] + "..."


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _hundredths(milliseconds: int) -> float:
    return milliseconds // 10 / 100
