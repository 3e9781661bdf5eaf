"""What the operator can stop over the admin socket: pause and resume dialling, hang up a call, see what runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import msgspec
import structlog
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from callwright.accounts import store
from callwright.outbound import pauses
from callwright.outbound.pauses import Scope
from callwright.outbound.running import running_instance, running_starts
from callwright.values.ids import AccountId, ServiceId
from callwright.web.admin_accounts import the_account, the_service
from callwright.web.admin_requests import AdminEdge, body_of
from callwright.web.errors import json_answer, problem

log = structlog.get_logger()

MOST_SHOWN = 1000


class WhatToPause(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /pause`` and ``POST /resume``: a service, an account, or neither for everything. ``account``
    may be left out when only one account has the service.
    """

    account: str | None = None
    service: str | None = None


class CallToHangUp(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /hang_up``: the instance id or the reference of a running call."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Covered:
    """What a pause is about, and how people call it."""

    scope: Scope
    of: int
    name: str


async def pause(request: Request, edge: AdminEdge) -> Response:
    """``POST /pause``: from the answer on nobody more is dialled for what it covers; running calls go on."""
    wanted = await body_of(request, WhatToPause)
    covered = await edge.web.db.read(partial(_covered, edge=edge, wanted=wanted))
    now = edge.web.clock()
    changed = await edge.web.db.write(partial(pauses.pause, scope=covered.scope, of=covered.of, now=now))
    return await _changed(edge, covered, changed=changed, done="Dialling was paused", action="admin.pause")


async def resume(request: Request, edge: AdminEdge) -> Response:
    """``POST /resume``: end one pause. What another one covers too goes on waiting."""
    wanted = await body_of(request, WhatToPause)
    covered = await edge.web.db.read(partial(_covered, edge=edge, wanted=wanted))
    changed = await edge.web.db.write(partial(pauses.resume, scope=covered.scope, of=covered.of))
    return await _changed(edge, covered, changed=changed, done="Dialling was resumed", action="admin.resume")


async def hang_up(request: Request, edge: AdminEdge) -> Response:
    """``POST /hang_up``: end one running instance; its start finishes with return code -80."""
    name = (await body_of(request, CallToHangUp)).name
    instance = await edge.web.db.read(partial(running_instance, name=name))
    if instance is None or edge.calls is None or not edge.calls.hang_up(instance):
        raise problem("404", f"nothing runs as '{name[:100]}': it is over, or nobody was dialled yet (then cancel it)")
    return json_answer({"application_instance_id": instance})


async def running(_request: Request, edge: AdminEdge) -> Response:
    """``GET /running``: the calls that run, the oldest first, and what is paused."""
    found = await edge.web.db.read(partial(running_starts, limit=MOST_SHOWN))
    calls = [
        {
            "application_instance_id": one.instance_id,
            "reference": one.reference,
            "account": one.account,
            "service_name": one.service,
            "to": one.given_to,
            "attempt": one.attempt,
            "dialled_at": one.dialled_at,
            "answered_at": one.answered_at,
        }
        for one in found
    ]
    return json_answer({"now": edge.web.clock(), "running": calls, "paused": await paused(edge)})


async def paused(edge: AdminEdge) -> list[dict[str, object]]:
    """Return what is paused, ready for JSON: scope, name and since when."""

    def read(c: Connection) -> list[dict[str, object]]:
        return [
            {"scope": pause.scope, "name": _name(c, pause), "paused_at": pause.paused_at}
            for pause in pauses.read_pauses(c).each
        ]

    return await edge.web.db.read(read)


def _name(c: Connection, pause: pauses.Pause) -> str:
    match pause.scope:
        case Scope.ALL:
            return "everything"
        case Scope.ACCOUNT:
            return store.get_account(c, AccountId(pause.of)).username
        case Scope.SERVICE:
            service = store.get_service(c, ServiceId(pause.of))
            return f"{service.name} of {store.get_account(c, service.account_id).username}"


def _covered(c: Connection, *, edge: AdminEdge, wanted: WhatToPause) -> _Covered:
    if wanted.service is not None:
        account, service = the_service(c, edge.cloud_id, wanted.account, wanted.service)
        return _Covered(scope=Scope.SERVICE, of=service.id, name=f"{service.name} of {account.username}")
    if wanted.account is not None:
        account = the_account(c, edge.cloud_id, wanted.account)
        return _Covered(scope=Scope.ACCOUNT, of=account.id, name=account.username)
    return _Covered(scope=Scope.ALL, of=0, name="everything")


async def _changed(edge: AdminEdge, covered: _Covered, *, changed: bool, done: str, action: str) -> Response:
    if edge.calls is not None:
        edge.calls.look_again()
    if changed:
        log.warning(done, action=action, scope=covered.scope, name=covered.name)
    return json_answer({"scope": covered.scope, "name": covered.name, "changed": changed, "paused": await paused(edge)})
