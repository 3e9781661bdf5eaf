"""The table of operations: which paths there are, for which methods, who may ask, and what answers.

Routes and the OpenAPI document are both made of it, so that what is described is what is served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from callwright.web import answers as wire
from callwright.web.api import applications, errors_page, health, queues, starts
from callwright.web.edge import Edge
from callwright.web.error_catalogue import CATALOGUE

Handler = Callable[[Request, Edge], Awaitable[Response]]


class Credential(StrEnum):
    """What opens an operation (docs/reference/web-services.md, authorisation)."""

    NONE = "none"
    ACCOUNT = "account"
    SERVICE = "service"
    EITHER = "either"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. HEAD is there only when named: a GET may start calls.

    ``parameters`` (None: none are read) and ``answer`` are msgspec types, ``body`` is one for a JSON body where that
    may say more than text; ``asks`` and ``answers`` are an example. ``errors`` are the numbers of the catalogue that
    this operation answers beyond those that its credentials and any defect can bring. The first line of the handler's
    docstring is its summary. A page is for people, with JSON beside it unless ``answer`` is ``str``.
    """

    name: str
    path: str
    methods: tuple[str, ...] = ("GET", "POST")
    handler: Handler
    opened_by: Credential
    answer: object
    answers: object
    parameters: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    asks: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    is_page: bool = False


PAGE = ("GET", "HEAD")

_FIRST, _SECOND = "2e891aea_0.1366641192.77832", "2e891aea_0.1366641192.77834"
_INSTANCE = "100d73cb12cbf845.8089"
_JOB = "452f1997-73ac-4b40-aaa9-f5516fe6b119"
_EXPLAINED = {key: getattr(CATALOGUE["0001"], key) for key in ("code", "text", "cause", "cure")}
_RECORDS = {
    "adr": dict.fromkeys(("application_parameters", "outbound_parameters", "rest_initial_token", "uas_ip_address"), "")
    | dict.fromkeys(("extra_cost", "feature_cost", "feature_seconds", "tollfree_cost", "tts_cost"), 0.0)
    | dict.fromkeys(("tts_neural_cost", "tts_neural_seconds", "tts_neural_unit_cost", "tts_seconds"), 0.0)
    | {
        "application_instance_id": _INSTANCE,
        "application_name": "my_service",
        "costs_valid": "true",
        "duration": 33.21,
        "exit_status": 0,
        "extra_channel_count": 0,
        "fax": "false",
        "platform_cost": 0.0072,
        "pstn_cost": 0.016,
        "rest_from": "443069999876",
        "rest_log_filename": f"2013/04/23/rest_14_15_49_{_INSTANCE}.log",
        "rest_to": "tel:443069990123",
        "start_datetime": "2013-04-23_14:15:16",
        "start_time": 1366726516.5,
        "stop_datetime": "2013-04-23_14:15:49",
        "stop_time": 1366726549.71,
        "total_cost": 0.023,
        "tts_unit_cost": 0.0,
        "uas_name": "",
    },
    "cdrs": {
        "100d73cb12cbf845.106285.246346213": {
            "call_connected_datetime": "2013-04-23_14:15:20",
            "call_connected_time": 1366726520.25,
            "call_cost": 0.016,
            "call_hangup_datetime": "2013-04-23_14:15:49",
            "call_hangup_time": 1366726549.5,
            "call_initiated_datetime": "2013-04-23_14:15:16",
            "call_initiated_time": 1366726516.5,
            "channel_type": "p",
            "costs_valid": "true",
            "destination_address": "tel:443069990123",
            "dir": "out",
            "duration": 29.25,
            "hangup_cause": "NORMAL(200)",
            "joined": 0.0,
            "originating_address": "443069999876@sip-0-0-0.callwright.internal",
        }
    },
    "errs": {},
    "fdrs": {},
}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="service_start",
        path="/service_start",
        handler=starts.service_start,
        opened_by=Credential.SERVICE,
        parameters=wire.StartParameters,
        answer=list[wire.Reference],
        body=wire.StartBody,
        asks={
            "rest_calls": '{"to": "tel:443069990123", "from": "443069999876", "token": "order-7"}',
            "unique_id": _JOB,
        },
        answers=[_FIRST],
        errors=("0001", "0002", "0003", "0004", "409", "413", "415", "507"),
    ),
    Operation(
        name="service_cancel",
        path="/service_cancel",
        handler=starts.service_cancel,
        opened_by=Credential.EITHER,
        parameters=wire.ReferencesParameters,
        answer=dict[str, Literal["success", "failed", "unknown"]],
        asks={"service_refs": f"{_FIRST}/{_SECOND}"},
        answers={_FIRST: "success", _SECOND: "failed"},
        errors=("0001", "0002", "0003", "413", "415", "507"),
    ),
    Operation(
        name="service_status",
        path="/service_status",
        handler=starts.service_status,
        opened_by=Credential.EITHER,
        parameters=wire.ReferencesParameters,
        answer=dict[str, wire.StartStatusAnswer],
        asks={"service_refs": _FIRST},
        answers={
            _FIRST: {
                "status": "completed 0",
                "application_status_eta": 1366726550,
                "application_instance_id": _INSTANCE,
            }
        },
        errors=("0001", "0002", "0003", "413", "415"),
    ),
    Operation(
        name="job_status",
        path="/job_status",
        handler=starts.job_status,
        opened_by=Credential.ACCOUNT,
        parameters=wire.JobParameters,
        answer=wire.JobAnswer,
        asks={"unique_id": _JOB},
        answers={"queued": 2, "service_refs": [_FIRST, _SECOND], "count": 2},
        errors=("0001", "0002", "0003", "404", "413", "415"),
    ),
    Operation(
        name="application_status",
        path="/application_status",
        handler=applications.application_status,
        opened_by=Credential.ACCOUNT,
        parameters=wire.InstanceParameters,
        answer=wire.ApplicationStatusAnswer,
        asks={"application_instance_id": _INSTANCE},
        answers=_RECORDS,
        errors=("0001", "0002", "0003", "404", "413", "415"),
    ),
    Operation(
        name="outbound_queues",
        path="/service/v1/outbound_queues",
        methods=("GET",),
        handler=queues.outbound_queues,
        opened_by=Credential.ACCOUNT,
        answer=list[wire.QueueAnswer],
        answers=[{"service_name": "my_service", "length": 12}],
    ),
    Operation(
        name="queue_length",
        path="/service/v1/outbound/{service_name}/queue",
        methods=("GET",),
        handler=queues.queue_length,
        opened_by=Credential.EITHER,
        answer=wire.QueueAnswer,
        answers={"service_name": "my_service", "length": 12},
        errors=("404",),
    ),
    Operation(
        name="queue_purge",
        path="/service/v1/outbound/{service_name}/queue",
        methods=("DELETE",),
        handler=queues.queue_purge,
        opened_by=Credential.EITHER,
        answer=wire.PurgeAnswer,
        answers={"service_name": "my_service", "purged": 12},
        errors=("404", "507"),
    ),
    Operation(
        name="health",
        path="/health",
        methods=PAGE,
        handler=health.health,
        opened_by=Credential.NONE,
        answer=wire.HealthAnswer,
        answers={"status": "ok", "version": "1.0.0", "queue_length": 0, "running": 3},
    ),
    Operation(
        name="errors_index",
        path="/errors",
        methods=PAGE,
        handler=errors_page.errors_index,
        opened_by=Credential.NONE,
        answer=list[wire.ErrorExplanation],
        answers=[_EXPLAINED],
        is_page=True,
    ),
    Operation(
        name="errors_page",
        path="/errors/{number}",
        methods=PAGE,
        handler=errors_page.errors_page,
        opened_by=Credential.NONE,
        answer=wire.ErrorExplanation,
        answers=_EXPLAINED,
        is_page=True,
        errors=("404",),
    ),
)
