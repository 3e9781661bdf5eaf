"""A node with one account and one service for tests of wishes, retries and the operator: real database, fake engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tests.support import outbound_node as node

from callwright.accounts.account import Account
from callwright.accounts.service import Service
from callwright.outbound.calling_hours import CallingHours
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import Step
from callwright.outbound.request import StartRequest
from callwright.outbound.retry import Again
from callwright.outbound.start import StartStatus
from callwright.outbound.tables import attempts, starts
from callwright.outbound.wishes import Wishes
from callwright.testing.fake_engine import FakeEngine
from callwright.values.ids import ServiceReference

BeforeInvite = Callable[[bytes], Awaitable[None]]
SOON = Again(after_s=0.05, times=2)
LONG_AFTER = Again(after_s=3600.0, times=2)


class Clock:
    """The wall clock, with a screw to turn it."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


class Setting:
    """A node with one account and one service."""

    def __init__(self, folder: Path) -> None:
        self.database = node.open_database(folder)
        self.account: Account = self.database.write_now(node.add_account)
        self.service: Service = self.database.write_now(lambda c: node.add_service(c, self.account.id))
        self.engine = FakeEngine(speed=5.0)
        self.told = node.Told()
        self.clock = Clock()
        self.identifiers = node.counted_identifiers(self.clock)
        self.talk_s = 0.0

    def enqueue(self, *wished: Wishes, to: str = node.ANSWERS_AT_ONCE) -> list[ServiceReference]:
        calls = [StartRequest(given_to=to, given_from="441908273800", wishes=wishes) for wishes in wished]
        return self.database.write_now(
            lambda c: node.enqueue(c, self.service, calls, identifiers=self.identifiers, now=self.clock())
        ).references

    def status(self, reference: ServiceReference) -> StartStatus:
        return node.status_of(self.database, self.account.id, reference)

    def due_at(self, reference: ServiceReference) -> float:
        wanted = select(starts.c.due_at).where(starts.c.reference == reference)
        return float(self.database.read_now(lambda c: c.execute(wanted).scalar_one()))

    def attempts(self) -> list[Any]:
        return list(self.database.read_now(lambda c: c.execute(select(attempts).order_by(attempts.c.id)).all()))

    def run(self, scenario: Callable[[Dispatcher], Awaitable[None]], *, drain_s: float = 10.0, **other: Any) -> None:
        """Run a scenario while a dispatcher runs."""

        async def run() -> None:
            well = node.instance_without_pages(self.database, self.engine, talk_s=self.talk_s)
            defaults = {"run_instance": well, "clock": self.clock, "events": self.told}
            dispatcher = node.make_dispatcher(self.database, self.engine, **(defaults | other))
            async with node.dispatching(dispatcher, drain_s=drain_s):
                await scenario(dispatcher)

        asyncio.run(run())

    def run_until(self, step: Step, *references: ServiceReference, **other: Any) -> None:
        async def scenario(dispatcher: Dispatcher) -> None:
            await self.told.until(lambda told: all(step in told.steps(reference) for reference in references))

        self.run(scenario, **other)


def closed_now(clock: Clock, *, opens_in_s: float = 7200.0) -> CallingHours:
    """Hours of one hour that begin, by the clock of UTC, on a full minute about ``opens_in_s`` from now."""
    opens = int((clock() + opens_in_s) // 60) % 1440
    return CallingHours(time_zone="UTC", days=tuple(range(7)), opens=opens, closes=(opens + 60) % 1440)
