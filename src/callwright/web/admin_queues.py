"""The queues of every account over the admin socket: list, show, purge."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from callwright.accounts import store
from callwright.outbound import queue
from callwright.outbound.queue_lengths import lengths
from callwright.web.admin_accounts import the_service
from callwright.web.admin_requests import AdminEdge, body_of, query_of
from callwright.web.api.queues import purge_queue
from callwright.web.errors import json_answer


class QueueToPurge(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /queues/purge``; ``account`` may be left out when only one account has the service."""

    service: str
    account: str | None = None


async def queues_list(_request: Request, edge: AdminEdge) -> Response:
    """``GET /queues``: every queue that is not empty, by account and service."""

    def read(c: Connection) -> list[dict[str, object]]:
        names = {account.id: account.username for account in store.list_accounts(c)}
        found = [(store.get_service(c, service_id), length) for service_id, length in lengths(c, None).items()]
        rows = sorted((names[service.account_id], service.name, length) for service, length in found)
        return [{"account": account, "service_name": name, "length": length} for account, name, length in rows]

    return json_answer({"queues": await edge.web.db.read(read)})


async def queues_show(request: Request, edge: AdminEdge) -> Response:
    """``GET /queues/show?service=&account=``: the length of one queue."""
    parameters = query_of(request)
    name, username = parameters.required("service"), parameters.one("account")

    def read(c: Connection) -> dict[str, object]:
        account, service = the_service(c, edge.cloud_id, username, name)
        return {"account": account.username, "service_name": service.name, "length": queue.length(c, service.id)}

    return json_answer(await edge.web.db.read(read))


async def queues_purge(request: Request, edge: AdminEdge) -> Response:
    """``POST /queues/purge``: cancel every start of a service that nobody was dialled for yet."""
    wanted = await body_of(request, QueueToPurge)
    account, service = await edge.web.db.read(lambda c: the_service(c, edge.cloud_id, wanted.account, wanted.service))
    purged = await purge_queue(edge.web, service)
    return json_answer({"account": account.username, "service_name": service.name, "purged": purged})
