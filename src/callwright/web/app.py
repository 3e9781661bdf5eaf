"""The web application of a node: routes, and the frame every request passes through.

The frame takes leading double slashes and a trailing slash off the path, notes when the request arrived, and turns
whatever a handler raises into its answer: it is the bulkhead of a request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callwright.web.api import applications, errors_page, health, starts
from callwright.web.edge import Edge
from callwright.web.errors import answer

log = structlog.get_logger()

Handler = Callable[[Request, Edge], Awaitable[Response]]


def make_app(edge: Edge) -> Starlette:
    """Return the ASGI application that serves the web services on ``edge``."""
    return framed(
        [
            operation("/service_start", starts.service_start, edge),
            operation("/service_cancel", starts.service_cancel, edge),
            operation("/service_status", starts.service_status, edge),
            operation("/job_status", starts.job_status, edge),
            operation("/application_status", applications.application_status, edge),
            operation("/health", health.health, edge, methods=("GET", "HEAD")),
            operation("/errors/{number}", errors_page.errors_page, edge, methods=("GET", "HEAD")),
        ],
        link_base=edge.link_base,
        clock=edge.clock,
    )


def framed(routes: list[Route], *, link_base: str, clock: Callable[[], float]) -> Starlette:
    """Return an ASGI application of ``routes`` inside the frame."""
    return Starlette(
        routes=routes,
        middleware=[Middleware(Frame, link_base=link_base, clock=clock)],
        exception_handlers={HTTPException: _pass_on},
    )


def operation(path: str, handler: Handler, edge: Edge, *, methods: tuple[str, ...] = ("GET", "POST")) -> Route:
    """Return the route of one operation. HEAD is only there when named: a GET may start calls."""

    async def endpoint(request: Request) -> Response:
        return await handler(request, edge)

    route = Route(path, endpoint, methods=list(methods))
    route.methods = set(methods)
    return route


async def _pass_on(_request: Request, error: Exception) -> Response:
    """Let the frame answer unknown paths and methods too, so that errors have one place."""
    raise error


@dataclass(slots=True)
class Frame:
    """The ASGI middleware around every request."""

    app: ASGIApp
    link_base: str
    clock: Callable[[], float]

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
            await self.app(scope, receive, watched_send)
        except ClientDisconnect:
            log.info("A client went away in the middle of its request", action="web.client_gone", path=path)
        except Exception as error:  # the bulkhead of a request
            if started:
                raise
            response = answer(error, scope, link_base=self.link_base, received_at=received_at, now=self.clock())
            await response(scope, receive, send)
