"""``/service/v1/outbound_queues`` and ``/service/v1/outbound/<ServiceName>/queue`` (docs/reference/web-services.md)."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from callwright.accounts import store
from callwright.accounts.service import Service
from callwright.outbound import queue
from callwright.outbound.purge import purge_queue as purge_in_batches
from callwright.outbound.queue_lengths import first_waiting, lengths
from callwright.values.ids import AccountId
from callwright.web.edge import FOLLOWED, Edge
from callwright.web.errors import json_answer, problem
from callwright.web.login import account_asking, either_asking


async def outbound_queues(request: Request, edge: Edge) -> Response:
    """List the services of the account with waiting starts, by name; a service with none is left out."""
    account = await account_asking(request, edge)
    found = await edge.db.read(lambda c: lengths_by_name(c, account.id))
    return json_answer([{"service_name": name, "length": length} for name, length in found])


async def queue_length(request: Request, edge: Edge) -> Response:
    """Answer how many starts of a service wait: accepted, and nobody was dialled for them yet."""
    service = await _service_asked_about(request, edge)
    length = await edge.db.read(lambda c: queue.length(c, service.id))
    return json_answer({"service_name": service.name, "length": length})


async def queue_purge(request: Request, edge: Edge) -> Response:
    """Cancel every start of a service that nobody was dialled for yet; answer how many that were."""
    service = await _service_asked_about(request, edge)
    purged = await purge_queue(edge, service)
    return json_answer({"service_name": service.name, "purged": purged})


async def purge_queue(edge: Edge, service: Service) -> int:
    """Purge the queue of a service, tell whoever follows, and return how many starts were cancelled."""
    references = await edge.db.read(partial(first_waiting, service_id=service.id, limit=FOLLOWED))
    number = await purge_in_batches(edge.db, service.id, now=edge.clock())
    edge.purged(service, number, references[:number])
    return number


def lengths_by_name(c: Connection, account_id: AccountId) -> list[tuple[str, int]]:
    """Return name and length of each queue of an account that is not empty, by name."""
    found = lengths(c, account_id)
    return sorted((store.get_service(c, service_id).name, length) for service_id, length in found.items())


async def _service_asked_about(request: Request, edge: Edge) -> Service:
    """Return the outbound service named in the path; raise 404 for one that is not there, or not the asker's.

    A service's own password opens its own queue only: the others are unknown to it.
    """
    asker = await either_asking(request, edge)
    name = request.path_params["service_name"]
    if asker.service is not None:
        found = asker.service if asker.service.name == name else None
    else:
        found = await edge.db.read(lambda c: store.find_service(c, asker.account.id, name))
    if found is None:
        raise problem("404", f"there is no outbound service '{name[:255]}'")
    return found
