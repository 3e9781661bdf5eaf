"""The table of operations: which paths there are, for which methods, who may ask, and what answers.

Routes and the OpenAPI document are both made of it, so that what is described is what is served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from callwright.web import answers as wire
from callwright.web.api import applications, errors_page, health, queues, starts
from callwright.web.edge import Edge

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

    ``parameters`` (None: none are read) and ``answer`` are msgspec types; ``errors`` are the numbers of the catalogue
    that this operation answers beyond those that its credentials and any defect can bring. The first line of the
    handler's docstring is its summary.
    """

    name: str
    path: str
    methods: tuple[str, ...] = ("GET", "POST")
    handler: Handler
    opened_by: Credential
    answer: object
    parameters: type | None = None
    errors: tuple[str, ...] = ()


PAGE = ("GET", "HEAD")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="service_start",
        path="/service_start",
        handler=starts.service_start,
        opened_by=Credential.SERVICE,
        parameters=wire.StartParameters,
        answer=list[wire.Reference],
        errors=("0001", "0002", "0003", "0004", "409", "413", "415", "507"),
    ),
    Operation(
        name="service_cancel",
        path="/service_cancel",
        handler=starts.service_cancel,
        opened_by=Credential.EITHER,
        parameters=wire.ReferencesParameters,
        answer=dict[str, Literal["success", "failed", "unknown"]],
        errors=("0001", "0002", "0003", "413", "415", "507"),
    ),
    Operation(
        name="service_status",
        path="/service_status",
        handler=starts.service_status,
        opened_by=Credential.EITHER,
        parameters=wire.ReferencesParameters,
        answer=dict[str, wire.StartStatusAnswer],
        errors=("0001", "0002", "0003", "413", "415"),
    ),
    Operation(
        name="job_status",
        path="/job_status",
        handler=starts.job_status,
        opened_by=Credential.ACCOUNT,
        parameters=wire.JobParameters,
        answer=wire.JobAnswer,
        errors=("0001", "0002", "0003", "404", "413", "415"),
    ),
    Operation(
        name="application_status",
        path="/application_status",
        handler=applications.application_status,
        opened_by=Credential.ACCOUNT,
        parameters=wire.InstanceParameters,
        answer=wire.ApplicationStatusAnswer,
        errors=("0001", "0002", "0003", "404", "413", "415"),
    ),
    Operation(
        name="outbound_queues",
        path="/service/v1/outbound_queues",
        methods=("GET",),
        handler=queues.outbound_queues,
        opened_by=Credential.ACCOUNT,
        answer=list[wire.QueueAnswer],
    ),
    Operation(
        name="queue_length",
        path="/service/v1/outbound/{service_name}/queue",
        methods=("GET",),
        handler=queues.queue_length,
        opened_by=Credential.EITHER,
        answer=wire.QueueAnswer,
        errors=("404",),
    ),
    Operation(
        name="queue_purge",
        path="/service/v1/outbound/{service_name}/queue",
        methods=("DELETE",),
        handler=queues.queue_purge,
        opened_by=Credential.EITHER,
        answer=wire.PurgeAnswer,
        errors=("404", "507"),
    ),
    Operation(
        name="health",
        path="/health",
        methods=PAGE,
        handler=health.health,
        opened_by=Credential.NONE,
        answer=wire.HealthAnswer,
    ),
    Operation(
        name="errors_page",
        path="/errors/{number}",
        methods=PAGE,
        handler=errors_page.errors_page,
        opened_by=Credential.NONE,
        answer=wire.ErrorExplanation,
        errors=("404",),
    ),
)
