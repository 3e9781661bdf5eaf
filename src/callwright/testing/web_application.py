"""A customer's web application for tests and demonstrations: a real web server on a free port of this machine.

    async with WebApplication() as web:
        web.page("/first", say("Hello."), token="t1")
        web.reply("/broken", Reply(status=500))
        ...
        assert [asked.path for asked in web.asked] == ["/first", "/final"]

A page that was given several answers gives them one after the other, the last one for ever. A page nobody described
answers 204.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

API_VERSION = "2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it arrived. ``info`` is the decoded ``instance_info``, None when there was none."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    body: bytes
    info: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. ``delay_s`` None never answers; ``breaks`` closes the connection instead of answering."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float | None = 0.0
    breaks: bool = False


def action_list(*actions: Mapping[str, object], **properties: object) -> bytes:
    """Return the JSON of an action list; ``properties`` are further ones of the response, such as ``token``."""
    return json.dumps({"api_version": API_VERSION, "actions": list(actions), **properties}).encode()


def say(text: str) -> dict[str, object]:
    """Return a play action that says a text."""
    return {"play": {"play_list": [{"text_to_say": text}]}}


class WebApplication:
    """The server. ``asked`` keeps every request in the order of arrival."""

    def __init__(self, *, host: str = "127.0.0.1") -> None:
        self.asked: list[Asked] = []
        self._host = host
        self._replies: dict[str, list[Reply]] = {}
        self._arrived = asyncio.Condition()
        self._closing = asyncio.Event()
        self._runner: web.ServerRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    def page(self, path: str, *actions: Mapping[str, object], **properties: object) -> None:
        """Let a page answer with an action list; ``properties`` are further ones of the response."""
        self.reply(path, Reply(body=action_list(*actions, **properties)))

    def reply(self, path: str, *replies: Reply) -> None:
        """Let a page answer with anything."""
        self._replies.setdefault(path, []).extend(replies)

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]

    def infos(self, path: str) -> list[dict[str, Any]]:
        """Return what a page was asked with."""
        return [one.info for one in self.asked if one.path == path and one.info is not None]

    async def wait_for(self, path: str, *, times: int = 1, deadline_s: float = 10.0) -> Asked:
        """Return the request to a page once it was asked so often."""

        def there() -> bool:
            return self.paths().count(path) >= times

        async with asyncio.timeout(deadline_s), self._arrived:
            await self._arrived.wait_for(there)
        return [one for one in self.asked if one.path == path][times - 1]

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        text = body or request.query.get("instance_info", "").encode()
        async with self._arrived:
            self.asked.append(
                Asked(
                    method=request.method,
                    path=request.path,
                    query=dict(request.query),
                    headers=dict(request.headers),
                    cookies=dict(request.cookies),
                    body=body,
                    info=_object(text),
                )
            )
            self._arrived.notify_all()
        reply = self._next_reply(request.path)
        try:
            async with asyncio.timeout(reply.delay_s):
                await self._closing.wait()
        except TimeoutError:
            pass  # the time of the answer has come
        if reply.breaks and request.transport is not None:
            request.transport.abort()
        return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))

    def _next_reply(self, path: str) -> Reply:
        replies = self._replies.get(path, [])
        if not replies:
            return Reply(status=204)
        return replies.pop(0) if len(replies) > 1 else replies[0]


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
