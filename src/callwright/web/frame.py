"""The frame every request passes through: an ASGI application of routes.

It takes leading double slashes and a trailing slash off the path, finds the route, notes when the request arrived, and
turns whatever a handler raises into its answer: it is the bulkhead of a request. It is written out instead of put
together from a framework's layers because every layer costs each request some ten microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from callwright.web.errors import answer, problem

log = structlog.get_logger()

Endpoint = Callable[[Request], Awaitable[Response]]
Routes = Mapping[str, Mapping[str, Endpoint]]
"""Endpoints by path and method; ``{name}`` in a path stands for one part of it, which becomes a path parameter."""


def admit_all(_scope: Scope) -> None:
    """Let every request in."""


class Frame:
    """The ASGI application; ``admit`` raises for a request that must wait."""

    def __init__(
        self,
        routes: Routes,
        *,
        link_base: str,
        clock: Callable[[], float],
        admit: Callable[[Scope], None] = admit_all,
    ) -> None:
        self._fixed = {path: methods for path, methods in routes.items() if "{" not in path}
        self._patterns = [(_pattern(path), methods) for path, methods in routes.items() if "{" in path]
        self._link_base = link_base
        self._clock = clock
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "the listener has neither WebSockets nor a lifespan"
        received_at = self._clock()
        path = "/" + scope["path"].strip("/")
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        try:
            self._admit(scope)
            response = await self._endpoint(scope)(Request(scope, receive))
        except ClientDisconnect:
            log.info("A client went away in the middle of its request", action="web.client_gone", path=path)
            return
        except Exception as error:  # the bulkhead of a request
            response = answer(error, scope, link_base=self._link_base, received_at=received_at, now=self._clock())
        await response(scope, receive, send)

    def _endpoint(self, scope: Scope) -> Endpoint:
        """Return what answers; raise 404 for an unknown path and 405 for a method it does not have."""
        methods = self._fixed.get(scope["path"]) or self._matching(scope)
        endpoint = methods.get(scope["method"])
        if endpoint is None:
            allowed = sorted(methods)
            raise problem("405", f"use {' or '.join(allowed)}", Allow=", ".join(allowed))
        return endpoint

    def _matching(self, scope: Scope) -> Mapping[str, Endpoint]:
        for pattern, methods in self._patterns:
            if found := pattern.fullmatch(scope["path"]):
                scope["path_params"] = found.groupdict()
                return methods
        raise problem("404")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"{(\w+)}", path)
    return re.compile(
        "".join(f"(?P<{part}>[^/]+)" if n % 2 else re.escape(part) for n, part in enumerate(parts)), re.DOTALL
    )
