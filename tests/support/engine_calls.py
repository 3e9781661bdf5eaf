"""Calls placed through a real engine: one engine for a whole module, orders to places on the loopback, what it told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeVar

from tests.support.real_engine import RealEngine, real_engine
from tests.support.sip_sipp import until

from callwright.engine.call import OutgoingCall
from callwright.engine.interface import CallFacts, CallFailed, CallOrder, Refusal
from callwright.engine.routes import Route, Routes, TrunkRoute
from callwright.sip.auth import Credentials
from callwright.sip.core import Timers
from callwright.values.destination import Destination, parse_destination
from callwright.values.ids import CallId

DEADLINE_S = 20.0

T = TypeVar("T")
_numbers = count(1)


class PasswordRoutes(Routes):
    """Routes to SIP addresses that may know a password, as those of a trunk do."""

    credentials: Credentials | None = None

    def find(self, destination: Destination, *, trunk: str = "") -> Route | TrunkRoute | Refusal:
        route = super().find(destination, trunk=trunk)
        return replace(route, credentials=self.credentials) if isinstance(route, Route) else route


@dataclass(slots=True)
class Told:
    """What the engine told while it placed a call: ``invite`` is what it gave to keep until the answer, ``saved`` at
    the answer. ``on_answer`` is awaited within ``on_answered``.
    """

    steps: list[str] = field(default_factory=list)
    invite: bytes = b""
    saved: bytes = b""
    on_answer: Callable[[], Awaitable[object]] | None = None

    async def before_invite(self, saved: bytes) -> None:
        self.steps.append("before_invite")
        self.invite = saved

    def on_moved(self, saved: bytes) -> None:
        self.invite = saved

    async def on_answered(self, facts: CallFacts, saved: bytes) -> None:
        self.steps.append("on_answered")
        self.saved = saved
        if self.on_answer is not None:
            await self.on_answer()


def order_to(
    address: tuple[str, int] | str,
    *,
    ring_timeout_s: float = 10.0,
    max_duration_s: float = 60.0,
    caller_id: str = "441908273800",
    service_name: str = "engine test",
    headers: tuple[tuple[str, str], ...] = (),
) -> CallOrder:
    """An order for a SIP address: host and port, or the whole destination."""
    if not isinstance(address, str):
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        address = f"sip:1000@{host}:{address[1]}"
    return CallOrder(
        call_id=CallId(f"{next(_numbers):016x}.1.1"),
        destination=parse_destination(address),
        caller_id=caller_id,
        service_name=service_name,
        headers=headers,
        ring_timeout_s=ring_timeout_s,
        max_duration_s=max_duration_s,
    )


class Air:
    """An engine with an event loop of its own that lives between the tests of a module."""

    def __init__(self, runner: asyncio.Runner, real: RealEngine, routes: PasswordRoutes) -> None:
        self.real = real
        self.routes = routes
        self._runner = runner

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Run a story to its end; afterwards no call, no port and no task may be left."""

        async def whole() -> T:
            async with asyncio.timeout(DEADLINE_S):
                result = await story
                await until(lambda: not self.real.engine.live_calls and not self.real.rtp_ports())
            return result

        return self._runner.run(whole())

    async def place(self, order: CallOrder, told: Told | None = None) -> OutgoingCall:
        told = told or Told()
        return await self.real.engine.place(order, before_invite=told.before_invite, on_answered=told.on_answered)

    async def fail(self, order: CallOrder, told: Told | None = None) -> CallFailed:
        """Place a call that must not be answered."""
        try:
            await self.place(order, told)
        except CallFailed as failed:
            return failed
        raise AssertionError("the call was answered")


@contextmanager
def on_the_air(
    *,
    timers: Timers | None = None,
    host: str = "127.0.0.1",
    media_host: str = "",
    media_workers: int = 1,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> Iterator[Air]:
    """Open an engine; at the end it is closed and must leave nothing behind."""
    routes = PasswordRoutes()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        stack = AsyncExitStack()
        opening = real_engine(
            routes=routes, timers=timers, host=host, media_host=media_host, media_workers=media_workers
        )
        real = runner.run(stack.enter_async_context(opening))
        try:
            yield Air(runner, real, routes)
        finally:
            runner.run(stack.aclose())
