"""The web application of a node: routes, and the frame every request passes through.

The frame takes leading double slashes and a trailing slash off the path, notes when the request arrived, and turns
whatever a handler raises into its answer: it is the bulkhead of a request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callwright.web.api.openapi_page import Description
from callwright.web.edge import Edge
from callwright.web.errors import answer
from callwright.web.openapi import openapi
from callwright.web.operations import OPERATIONS, PAGE, Credential, Operation
from callwright.web.rates import address_key

log = structlog.get_logger()


def make_app(edge: Edge) -> Starlette:
    """Return the ASGI application that serves the web services on ``edge``."""
    return framed(
        routes_of(described(OPERATIONS), edge), link_base=edge.link_base, clock=edge.clock, admit=_admission(edge)
    )


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


def _admission(edge: Edge) -> Callable[[Scope], None]:
    """Return what counts a request against its address before anything else is looked at."""

    def admit(scope: Scope) -> None:
        client = scope.get("client")
        edge.hold_back(edge.address_rate, address_key(client[0] if client else ""))

    return admit if edge.address_rate.is_on else _admit_all


def _admit_all(_scope: Scope) -> None:
    pass


def routes_of(operations: Sequence[Operation], edge: Edge) -> list[Route]:
    """Return one route for each path, so that 405 names every method of the path."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {}).update(dict.fromkeys(operation.methods, operation))
    return [_route(path, by_method, edge) for path, by_method in paths.items()]


def _route(path: str, by_method: dict[str, Operation], edge: Edge) -> Route:
    async def endpoint(request: Request) -> Response:
        return await by_method[request.method].handler(request, edge)

    route = Route(path, endpoint, methods=list(by_method))
    route.methods = set(by_method)  # Starlette adds HEAD to every GET
    return route


def framed(
    routes: list[Route],
    *,
    link_base: str,
    clock: Callable[[], float],
    admit: Callable[[Scope], None] = _admit_all,
) -> Starlette:
    """Return an ASGI application of ``routes`` inside the frame; ``admit`` raises for a request that must wait."""
    return Starlette(
        routes=routes,
        middleware=[Middleware(Frame, link_base=link_base, clock=clock, admit=admit)],
        exception_handlers={HTTPException: _pass_on},
    )


async def _pass_on(_request: Request, error: Exception) -> Response:
    """Let the frame answer unknown paths and methods too, so that errors have one place."""
    raise error


@dataclass(slots=True)
class Frame:
    """The ASGI middleware around every request."""

    app: ASGIApp
    link_base: str
    clock: Callable[[], float]
    admit: Callable[[Scope], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received_at = self.clock()
        path = "/" + scope["path"].strip("/")
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            self.admit(scope)
            await self.app(scope, receive, watched_send)
        except ClientDisconnect:
            log.info("A client went away in the middle of its request", action="web.client_gone", path=path)
        except Exception as error:  # the bulkhead of a request
            if started:
                raise
            response = answer(error, scope, link_base=self.link_base, received_at=received_at, now=self.clock())
            await response(scope, receive, send)
