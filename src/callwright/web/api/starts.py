"""``/service_start``, ``/service_cancel``, ``/service_status`` and ``/job_status`` (docs/reference/web-services.md)."""

from __future__ import annotations

from functools import partial
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from callwright.accounts.account import AccountType
from callwright.accounts.service import ApplicationKind, Service
from callwright.outbound import queue
from callwright.outbound.request import (
    StartRequest,
    digest,
    parse_rest_calls,
    parse_uas_starts,
    parse_unique_id,
)
from callwright.outbound.status_read import Asked
from callwright.values.ids import ServiceReference
from callwright.web.edge import Edge, off_loop, parameters_of
from callwright.web.errors import json_answer, json_bytes, problem
from callwright.web.login import account_asking, either_asking, service_asking
from callwright.web.params import Parameters

MAX_REFERENCES = 100_000  # our choice: ten times as many as one request can start
REPLAYED = {"Idempotent-Replayed": "true"}


async def service_start(request: Request, edge: Edge) -> Response:
    """Queue starts of the service whose password came with the request; answer their references in order.

    The rows are on disk before the answer leaves. A repeated ``unique_id`` gives the first answer again, marked by the
    header ``Idempotent-Replayed``.
    """
    account, service = await service_asking(request, edge)
    parameters = await parameters_of(request, edge)
    unique_id = parse_unique_id(parameters.one("unique_id"))
    size = sum(len(value) for values in parameters.values.values() for value in values)
    calls, hashed = await off_loop(size, lambda: _starts_asked_for(parameters, service, account.type))
    queued = await edge.batches.enqueue(service, calls, digest=hashed, unique_id=unique_id)
    if queued.replayed:
        return json_answer(queued.references, headers=REPLAYED)
    edge.queued(account, service, queued.references)
    return json_answer(queued.references)


def _starts_asked_for(
    parameters: Parameters, service: Service, account_type: AccountType
) -> tuple[list[StartRequest], bytes]:
    """Parse what is to be started, as the kind of the service says, and hash it."""
    if service.application is ApplicationKind.UAS:
        calls = parse_uas_starts(
            count=parameters.one("count", also=("number",)),
            delimiter=parameters.one("delimiter"),
            outbound_parameters=parameters.one("outbound_parameters"),
            account_type=account_type,
        )
    else:
        source = parameters.one("rest_calls", "outbound_parameters", also=("object", "array"))
        alias = source is not None and "rest_calls" not in parameters.values
        calls = parse_rest_calls(
            source, account_type=account_type, parameter="outbound_parameters" if alias else "rest_calls"
        )
    return calls, digest(service.name, calls)


async def service_cancel(request: Request, edge: Edge) -> Response:
    """Cancel starts that nobody was dialled for yet; answer ``success``, ``failed`` or ``unknown`` for each."""
    asker = await either_asking(request, edge)
    given = (await parameters_of(request, edge)).required("service_refs")
    references = await off_loop(len(given), partial(split_references, given))
    now = edge.clock()
    answers = await edge.db.write(
        lambda c: queue.cancel(
            c,
            account_id=asker.account.id,
            references=references,
            service_id=asker.service.id if asker.service else None,
            now=now,
        )
    )
    edge.cancelled([reference for reference, answer in answers.items() if answer == "success"])
    return json_answer(answers)


async def service_status(request: Request, edge: Edge) -> Response:
    """Answer what became of starts, in the order asked."""
    asker = await either_asking(request, edge)
    given = (await parameters_of(request, edge)).required("service_refs")
    asked = Asked(
        account_id=asker.account.id,
        service_id=asker.service.id if asker.service else None,
        references=await off_loop(len(given), partial(split_references, given)),
    )
    return json_bytes(await edge.states.answer(asked))


async def job_status(request: Request, edge: Edge) -> Response:
    """Answer what a ``unique_id`` started; the documented misspelling and one trailing comma are fine."""
    account = await account_asking(request, edge)
    parameters = await parameters_of(request, edge)
    given = parameters.required("unique_id", "unqiue_id")
    for unique_id in dict.fromkeys((given, given.removesuffix(","))):
        found = await edge.db.read(partial(queue.job, account_id=account.id, unique_id=unique_id))
        if found is not None:
            return json_answer(
                {"queued": len(found.references), "service_refs": found.references, "count": found.count}
            )
    raise problem("404", f"unique_id '{given[:255]}'")


def split_references(text: str) -> list[ServiceReference]:
    """Return the references of a "/"-delimited list, in order and without repeats; raise 413 for an endless one."""
    if text.count("/") > MAX_REFERENCES:
        raise problem("413", f"at most {MAX_REFERENCES} references are looked at in one request")
    parts = dict.fromkeys(text.split("/"))
    parts.pop("", None)
    return cast("list[ServiceReference]", list(parts))
