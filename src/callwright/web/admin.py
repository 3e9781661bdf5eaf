"""The admin socket: what the command line asks of a running node (docs/reference/web-services.md).

A second application with the frame and the errors of the web services, on a Unix socket that only the node's own user
can open; there are no credentials. Bodies are JSON objects, answers are JSON; ``/watch`` answers one JSON object a
line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import cast

import msgspec
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from callwright.accounts import store
from callwright.accounts.service import ApplicationKind
from callwright.outbound import queue
from callwright.outbound.request import digest, parse_rest_calls, parse_uas_starts
from callwright.outbound.start import OVER, StartStatus
from callwright.records import ledger
from callwright.values.ids import InstanceId, ServiceReference
from callwright.web import admin_accounts as people
from callwright.web import admin_control as control
from callwright.web import admin_money as money
from callwright.web import admin_queues as queues
from callwright.web import admin_trunks as trunks
from callwright.web.admin_ladder import ladder
from callwright.web.admin_requests import AdminEdge, body_of, query_of
from callwright.web.api.starts import split_references
from callwright.web.errors import json_answer, problem
from callwright.web.explain import explain
from callwright.web.follow import TooSlow
from callwright.web.frame import Frame, Routes
from callwright.web.status_words import status_answer

IDLE_S = 0.5  # how long a watch waits for an event before it looks whether the start is over
LAST_WORDS_S = 0.2  # and, once it is over, for what was published a moment later

AdminHandler = Callable[[Request, AdminEdge], Awaitable[Response]]


def make_admin_app(edge: AdminEdge) -> Frame:
    """Return the ASGI application of the admin socket."""
    routes: Routes = {
        path: {method: partial(_ask, handler, edge) for method, handler in methods.items()}
        for path, methods in _operations().items()
    }
    return Frame(routes, link_base=edge.web.link_base, clock=edge.web.clock)


def _operations() -> dict[str, dict[str, AdminHandler]]:
    return {
        "/status": {"GET": status},
        "/accounts": {"GET": people.accounts_list, "POST": people.accounts_add},
        "/accounts/rotate_key": {"POST": people.accounts_rotate_key},
        "/services": {"GET": people.services_list, "POST": people.services_add},
        "/services/show": {"GET": people.services_show},
        "/call": {"POST": call},
        "/cancel": {"POST": cancel},
        "/starts": {"GET": starts},
        "/job": {"GET": job},
        "/application_status": {"GET": application_status},
        "/watch": {"GET": watch},
        "/explain": {"GET": explain},
        "/accounts/rules": {"GET": money.rules_show, "POST": money.rules_set},
        "/rates": {"GET": money.rates_show, "POST": money.rates_set},
        "/rates/import": {"POST": money.rates_import},
        "/rates/remove": {"POST": money.rates_remove},
        "/do_not_call": {"GET": money.do_not_call_show, "POST": money.do_not_call_add},
        "/do_not_call/remove": {"POST": money.do_not_call_remove},
        "/do_not_call/import": {"POST": money.do_not_call_import},
        "/ladder": {"GET": ladder},
        "/trunks": {"GET": trunks.trunks_list, "POST": trunks.trunks_add},
        "/trunks/edit": {"POST": trunks.trunks_edit},
        "/trunks/show": {"GET": trunks.trunks_show},
        "/trunks/enable": {"POST": trunks.trunks_enable},
        "/trunks/remove": {"POST": trunks.trunks_remove},
        "/trunks/test": {"POST": trunks.trunks_test},
        "/running": {"GET": control.running},
        "/pause": {"POST": control.pause},
        "/resume": {"POST": control.resume},
        "/hang_up": {"POST": control.hang_up},
        "/queues": {"GET": queues.queues_list},
        "/queues/show": {"GET": queues.queues_show},
        "/queues/purge": {"POST": queues.queues_purge},
    }


async def _ask(handler: AdminHandler, edge: AdminEdge, request: Request) -> Response:
    try:
        return await handler(request, edge)
    finally:
        if request.method != "GET":  # it may have changed what logins open
            edge.web.credentials.forget_rows()


class CallToStart(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /call``: a service and the members of one object of ``rest_calls``.

    ``account`` may be left out when only one account has the service. A UAS service takes ``outbound_parameters`` only.
    """

    service: str
    account: str | None = None
    to: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    token: str | None = None
    outbound_parameters: str | None = None
    extra_sip_headers: list[dict[str, str]] | None = None
    start_after: float | str | None = None
    expires_at: float | str | None = None
    ring_timeout: float | None = None
    max_duration: float | None = None
    priority: int | None = None
    calling_hours: dict[str, object] | None = None
    retry: dict[str, object] | None = None


class StartsToCancel(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /cancel``."""

    references: list[str]


async def status(_request: Request, edge: AdminEdge) -> Response:
    """``GET /status``: what this node is and does."""
    facts = edge.web.facts()
    return json_answer(
        {
            "version": edge.web.version,
            "status": "draining" if facts.draining else "ok",
            "queue_length": facts.queue_length,
            "running": facts.running,
            "paused": await control.paused(edge),
            **edge.node(),
        }
    )


async def call(request: Request, edge: AdminEdge) -> Response:
    """``POST /call``: queue one start, as ``service_start`` would; answer its ``reference``."""
    wanted = await body_of(request, CallToStart)
    account, service = await edge.web.db.read(
        lambda c: people.the_service(c, edge.cloud_id, wanted.account, wanted.service)
    )
    if service.application is ApplicationKind.UAS:
        calls = parse_uas_starts(
            count=None,
            delimiter=None,
            outbound_parameters=wanted.outbound_parameters,
            account_type=account.type,
        )
    else:
        members = msgspec.to_builtins(wanted)  # by their names in JSON; those of no call are ignored
        calls = parse_rest_calls(members, account_type=account.type, parameter="call")
    queued = await edge.web.batches.enqueue(service, calls, digest=digest(service.name, calls), unique_id=None)
    edge.web.queued(account, service, queued.references)
    return json_answer({"reference": queued.references[0]})


async def cancel(request: Request, edge: AdminEdge) -> Response:
    """``POST /cancel``: as ``service_cancel``, for the starts of every account."""
    wanted = await body_of(request, StartsToCancel)
    references = [ServiceReference(reference) for reference in dict.fromkeys(wanted.references)]
    now = edge.web.clock()

    def cancel_all(c: Connection) -> dict[ServiceReference, str]:
        answers: dict[ServiceReference, str] = dict.fromkeys(references, "unknown")
        for account in store.list_accounts(c):
            mine = queue.cancel(c, account_id=account.id, references=references, now=now)
            answers.update({reference: answer for reference, answer in mine.items() if answer != "unknown"})
        return answers

    answers = await edge.web.db.write(cancel_all)
    edge.web.cancelled([reference for reference, answer in answers.items() if answer == "success"])
    return json_answer(answers)


async def job(request: Request, edge: AdminEdge) -> Response:
    """``GET /job?unique_id=…``: as ``job_status``, for an account."""
    asked = query_of(request)
    unique_id = asked.required("unique_id")

    def read(c: Connection) -> queue.Job | None:
        account = people.the_account(c, edge.cloud_id, asked.one("account"))
        return queue.job(c, account_id=account.id, unique_id=unique_id)

    found = await edge.web.db.read(read)
    if found is None:
        raise problem("404", f"no start with the unique_id '{unique_id[:255]}' is known")
    return json_answer({"queued": len(found.references), "service_refs": found.references, "count": found.count})


async def starts(request: Request, edge: AdminEdge) -> Response:
    """``GET /starts?references=``: as ``service_status``, for the starts of every account."""
    references = split_references(query_of(request).required("references"))
    found = await edge.web.db.read(partial(_statuses, references=references))
    return json_answer({reference: status_answer(found.get(reference)) for reference in references})


async def application_status(request: Request, edge: AdminEdge) -> Response:
    """``GET /application_status?application_instance_id=``: as the web service, for every account."""
    instance = InstanceId(query_of(request).required("application_instance_id"))

    def read(c: Connection) -> dict[str, object] | None:
        found = (
            ledger.application_status(c, account.id, instance, settings=edge.web.records)
            for account in store.list_accounts(c)
        )
        return next((records for records in found if records is not None), None)

    records = await edge.web.db.read(read)
    if records is None:
        raise problem("404", f"no instance '{instance[:100]}' that is over is known")
    return json_answer(records)


async def watch(request: Request, edge: AdminEdge) -> Response:
    """``GET /watch?reference=``: the events of a start, one JSON object a line, until it is over.

    Each has ``event``, the name of what happened, and its facts; the last one is ``Over`` with the members of
    ``service_status``. A watcher that does not keep up gets ``Dropped`` as its last line.
    """
    reference = ServiceReference(query_of(request).required("reference"))
    if not await edge.web.db.read(partial(_statuses, references=[reference])):
        raise problem("404", f"there is no start '{reference[:100]}'")
    return StreamingResponse(_lines(edge, reference), media_type="application/x-ndjson")


async def _lines(edge: AdminEdge, reference: ServiceReference) -> AsyncIterator[bytes]:
    with edge.broadcaster.watch(reference) as watcher:
        over: StartStatus | None = None
        while True:
            try:
                event = await watcher.next(LAST_WORDS_S if over else IDLE_S)
            except TooSlow as error:
                yield _line("Dropped", {"text": str(error)})
                return
            if event is not None:
                yield _line(type(event).__name__, cast("dict[str, object]", msgspec.to_builtins(event, enc_hook=str)))
            elif over:
                yield _line("Over", msgspec.structs.asdict(status_answer(over)))
                return
            else:
                found = await edge.web.db.read(partial(_statuses, references=[reference]))
                over = found[reference] if found[reference].state in OVER else None


def _line(event: str, facts: dict[str, object]) -> bytes:
    return msgspec.json.encode({"event": event, **facts}) + b"\n"


def _statuses(c: Connection, *, references: list[ServiceReference]) -> dict[ServiceReference, StartStatus]:
    found: dict[ServiceReference, StartStatus] = {}
    for account in store.list_accounts(c):
        found.update(queue.status(c, account_id=account.id, references=references))
    return found
