"""Trunks over the admin socket: add, edit, list, show, enable, remove, test (docs/reference/trunks.md).

Passwords come in and never go out.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from callwright.engine.trunk_desk import TrunkDesk
from callwright.engine.trunk_fields import TrunkChanges, TrunkFields
from callwright.values.errors import RequestError
from callwright.web.admin_requests import AdminEdge, body_of, query_of
from callwright.web.errors import json_answer


class TrunkNamed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /trunks/remove``."""

    name: str


class TrunkToEnable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /trunks/enable``."""

    name: str
    enabled: bool


class TrunkToTest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /trunks/test``; without ``call`` nobody is called."""

    name: str
    call: str = ""
    from_: str = msgspec.field(default="", name="from")


async def trunks_list(_request: Request, edge: AdminEdge) -> Response:
    """``GET /trunks``: every trunk with its state."""
    return json_answer({"trunks": _desk(edge).reports()})


async def trunks_show(request: Request, edge: AdminEdge) -> Response:
    """``GET /trunks/show?name=``."""
    name = query_of(request).required("name")
    return json_answer({"trunk": _desk(edge).show(name)})


async def trunks_add(request: Request, edge: AdminEdge) -> Response:
    """``POST /trunks``: keep a trunk and use it from now on."""
    wanted = await body_of(request, TrunkFields)
    return json_answer({"trunk": await _desk(edge).add(wanted.trunk())})


async def trunks_edit(request: Request, edge: AdminEdge) -> Response:
    """``POST /trunks/edit``: change the fields that are given, from the next call on."""
    return json_answer({"trunk": await _desk(edge).edit(await body_of(request, TrunkChanges))})


async def trunks_enable(request: Request, edge: AdminEdge) -> Response:
    """``POST /trunks/enable``: switch a trunk on or off."""
    wanted = await body_of(request, TrunkToEnable)
    return json_answer({"trunk": await _desk(edge).enable(wanted.name, enabled=wanted.enabled)})


async def trunks_remove(request: Request, edge: AdminEdge) -> Response:
    """``POST /trunks/remove``: forget a trunk; calls that are up on it stay up."""
    wanted = await body_of(request, TrunkNamed)
    await _desk(edge).remove(wanted.name)
    return json_answer({"removed": wanted.name})


async def trunks_test(request: Request, edge: AdminEdge) -> Response:
    """``POST /trunks/test``: look a trunk over; answer ``findings`` with ``verdict`` and ``text``."""
    wanted = await body_of(request, TrunkToTest)
    findings = await _desk(edge).test(wanted.name, call=wanted.call, caller_id=wanted.from_)
    return json_answer({"findings": [{"verdict": each.verdict, "text": each.text} for each in findings]})


def _desk(edge: AdminEdge) -> TrunkDesk:
    if edge.trunks is None:
        raise RequestError("this node runs without trunks")
    return edge.trunks
