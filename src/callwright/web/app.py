"""The web application of a node: the table of operations, each with its path, inside the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from callwright.web.api.openapi_page import Description
from callwright.web.edge import Edge
from callwright.web.frame import Endpoint, Frame, Routes, admit_all
from callwright.web.openapi import openapi
from callwright.web.operations import OPERATIONS, PAGE, Credential, Handler, Operation
from callwright.web.rates import address_key


def make_app(edge: Edge) -> Frame:
    """Return the ASGI application that serves the web services on ``edge``."""
    routes = _routes(described(OPERATIONS), edge)
    return Frame(routes, link_base=edge.link_base, clock=edge.clock, admit=_admission(edge))


def described(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Return the operations together with the two that describe all of them."""
    description = Description()
    both = (
        Operation(
            name="openapi",
            path="/openapi.json",
            methods=PAGE,
            handler=description.openapi_json,
            opened_by=Credential.NONE,
            answer=dict[str, Any],
            answers={"openapi": "3.1.0"},
        ),
        Operation(
            name="docs",
            path="/docs",
            methods=PAGE,
            handler=description.docs,
            opened_by=Credential.NONE,
            answer=str,
            answers="",
            is_page=True,
        ),
    )
    description.of(openapi((*operations, *both)))
    return (*operations, *both)


def _routes(operations: Sequence[Operation], edge: Edge) -> Routes:
    """Return one route for each path, so that 405 names every method of the path."""
    routes: dict[str, dict[str, Endpoint]] = {}
    for operation in operations:
        endpoint = partial(_ask, operation.handler, edge)
        routes.setdefault(operation.path, {}).update(dict.fromkeys(operation.methods, endpoint))
    return routes


async def _ask(handler: Handler, edge: Edge, request: Request) -> Response:
    return await handler(request, edge)


def _admission(edge: Edge) -> Callable[[Scope], None]:
    """Return what counts a request against its address before anything else is looked at."""

    def admit(scope: Scope) -> None:
        client = scope.get("client")
        edge.hold_back(edge.address_rate, address_key(client[0] if client else ""))

    return admit if edge.address_rate.is_on else admit_all
