"""``/application_status``: the records of one application instance (docs/reference/web-services.md)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from callwright.records import ledger
from callwright.values.ids import InstanceId
from callwright.web.edge import Edge, parameters_of
from callwright.web.errors import json_answer, problem
from callwright.web.login import account_asking


async def application_status(request: Request, edge: Edge) -> Response:
    """Answer ``adr``, ``cdrs``, ``errs`` and ``fdrs`` of an instance of the account that has ended; otherwise 404."""
    account = await account_asking(request, edge)
    instance = InstanceId((await parameters_of(request, edge)).required("application_instance_id"))
    found = await edge.db.read(lambda c: ledger.application_status(c, account.id, instance, settings=edge.records))
    if found is None:
        raise problem("404", f"application_instance_id '{instance[:100]}'")
    return json_answer(found)
