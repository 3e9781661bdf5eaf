"""An outbound node for tests: a real database, the real dispatcher, a fake engine, and instances without pages."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from callwright.accounts.account import ANY, Account, AccountType, CallerIds
from callwright.accounts.secrets import PasswordHash
from callwright.accounts.service import ApplicationKind, CallType, Page, Service
from callwright.accounts.store import create_account, create_service, get_service
from callwright.apps.instance import InstanceOrder, InstanceResult
from callwright.db.database import DATABASE_FILE, Database
from callwright.db.errors import DatabaseUnavailable
from callwright.engine.interface import CallFacts, CallFailed, CallOrder, Engine
from callwright.outbound import queue
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import StartEvent, Step
from callwright.outbound.identifiers import Identifiers
from callwright.outbound.intake import Enqueued
from callwright.outbound.request import StartRequest
from callwright.outbound.start import StartState, StartStatus
from callwright.outbound.tables import starts
from callwright.records import ledger
from callwright.values.ids import AccountId, ServiceId, ServiceReference
from callwright.values.outcome import Outcome

T = TypeVar("T")

NO_PASSWORD = PasswordHash("no password opens this")
ANSWERS_AT_ONCE = "tel:999005550012"
BUSY = "tel:999005550002"
NEVER_ANSWERS = "tel:999005550004"


def open_database(folder: Path) -> Database:
    return Database.open(folder / DATABASE_FILE)


def add_account(
    c: Connection,
    *,
    username: str = "ann@example.com",
    max_cps: float = 50.0,
    max_running: int | None = None,
    caller_ids: CallerIds = ANY,
) -> Account:
    account, _ = create_account(
        c,
        username=username,
        created_at=0.0,
        type=AccountType.PREMIUM,
        max_cps=max_cps,
        max_running=max_running,
        caller_ids=caller_ids,
    )
    return account


def add_service(
    c: Connection,
    account_id: AccountId,
    *,
    name: str = "calls",
    application: ApplicationKind = ApplicationKind.REST,
    max_cps: float | None = None,
    min_cps: float | None = None,
    max_running: int | None = None,
    call_type: CallType = CallType.TELEPHONE,
    enabled: bool = True,
) -> Service:
    rest = application is ApplicationKind.REST
    return create_service(
        c,
        account_id,
        name=name,
        created_at=0.0,
        password_hash=NO_PASSWORD,
        application=application,
        enabled=enabled,
        first_page=Page(url="http://127.0.0.1/first" if rest else ""),
        call_type=call_type,
        max_cps=max_cps,
        min_cps=min_cps,
        max_running=max_running,
        uas_application_name="" if rest else "application",
    )


def the_service(c: Connection) -> Service:
    """The first service of a database."""
    return get_service(c, ServiceId(1))


def counted_identifiers(clock: Callable[[], float] = time.time, *, first: int = 1) -> Identifiers:
    """Identifiers whose "random" digits count up from ``first``: unique within one test."""
    numbers = itertools.count(first)
    return Identifiers(new_hex=lambda size: f"{next(numbers):0{2 * size}x}", clock=clock)


def enqueue(
    c: Connection,
    service: Service,
    calls: Sequence[StartRequest],
    *,
    identifiers: Identifiers,
    now: float,
    unique_id: str | None = None,
    digest: bytes = bytes(32),
) -> Enqueued:
    return queue.enqueue(
        c,
        account_id=service.account_id,
        service_id=service.id,
        calls=calls,
        digest=digest,
        unique_id=unique_id,
        now=now,
        new_reference=identifiers.reference,
    )


def call_to(to: str = ANSWERS_AT_ONCE, *, given_from: str = "441908273800") -> StartRequest:
    return StartRequest(given_to=to, given_from=given_from)


def instance_without_pages(
    database: Database,
    engine: Engine,
    *,
    talk_s: float = 0.0,
    clock: Callable[[], float] = time.time,
    reached: Callable[[str, str], None] = lambda step, call: None,
) -> Callable[[InstanceOrder, Callable[[bytes], Awaitable[None]]], Awaitable[InstanceResult]]:
    """Return a ``run_instance`` that calls, talks for ``talk_s`` seconds, hangs up and closes the records.

    ``reached`` is told "answered", "hung_up", "recorded" and "closed" when that has happened, with the call.
    """

    async def run(order: InstanceOrder, before_invite: Callable[[bytes], Awaitable[None]]) -> InstanceResult:
        async def on_answered(facts: CallFacts, dialog: bytes) -> None:
            at = facts.answered_at or clock()
            await database.write(lambda c: ledger.mark_answered(c, order.call_id, at, dialog))
            reached("answered", order.call_id)

        try:
            call = await engine.place(
                CallOrder(
                    call_id=order.call_id,
                    destination=order.destination,
                    caller_id=order.caller_id,
                    service_name=order.service.name,
                    ring_timeout_s=order.service.ring_timeout_s,
                ),
                before_invite=before_invite,
                on_answered=on_answered,
            )
        except CallFailed as failed:
            outcome = failed.outcome
        else:
            await asyncio.sleep(talk_s)
            await call.hang_up()
            reached("hung_up", order.call_id)
            outcome = await call.wait_ended()
        await database.write(lambda c: _close_call(c, order, outcome, clock()))
        reached("recorded", order.call_id)
        result = InstanceResult(return_code=0, outcome=outcome)
        await database.write(lambda c: _close_instance(c, order, result, clock()))
        reached("closed", order.call_id)
        return result

    return run


def _close_call(c: Connection, order: InstanceOrder, outcome: Outcome, now: float) -> None:
    assert ledger.close_cdr(c, order.call_id, ended_at=now, outcome=outcome)
    assert ledger.stamp_final_asked(c, order.instance_id, now)


def _close_instance(c: Connection, order: InstanceOrder, result: InstanceResult, now: float) -> None:
    assert ledger.close_adr(c, order.instance_id, stopped_at=now, exit_status=result.return_code)
    order.settle(c, result)


class Flaky:
    """A database whose writes can be made to fail, before or after they happened; everything else is the real one."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.fails_before = 0
        self.fails_after = 0

    @property
    def incarnation(self) -> int:
        return self.database.incarnation

    async def read(self, fn: Callable[[Connection], T]) -> T:
        return await self.database.read(fn)

    async def write(self, fn: Callable[[Connection], T], *, lasting: bool = True, brief: bool = False) -> T:
        if self.fails_before:
            self.fails_before -= 1
            raise DatabaseUnavailable("the disk is full")
        result = await self.database.write(fn, lasting=lasting, brief=brief)
        if self.fails_after:
            self.fails_after -= 1
            raise DatabaseUnavailable("the disk went away after the commit")
        return result


class Told:
    """The events of a dispatcher, and a way to wait for some of them."""

    def __init__(self) -> None:
        self.events: list[StartEvent] = []
        self._changed = asyncio.Event()

    def __call__(self, event: StartEvent) -> None:
        self.events.append(event)
        self._changed.set()

    def steps(self, reference: ServiceReference) -> list[Step]:
        return [event.step for event in self.events if event.reference == reference]

    def count(self, step: Step) -> int:
        return sum(event.step is step for event in self.events)

    async def until(self, condition: Callable[[Told], bool], *, within_s: float = 20.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def dispatching(dispatcher: Dispatcher, *, drain_s: float = 10.0) -> AsyncIterator[None]:
    """Run a dispatcher for the length of a block, then drain it."""
    task = asyncio.create_task(dispatcher.run(), name="dispatcher")
    try:
        yield
    finally:
        if not task.done():
            await dispatcher.drain(drain_s)
        await task


def make_dispatcher(database: Database, engine: Engine, **other: Any) -> Dispatcher:
    """A dispatcher on a fake engine with instances without pages, unless told otherwise."""
    defaults: dict[str, Any] = {
        "run_instance": instance_without_pages(database, engine),
        "refusal": engine.refusal,
        "turn_of": engine.turn_of,
        "identifiers": counted_identifiers(first=1_000_000 * database.incarnation),
        "clock": time.time,
    }
    return Dispatcher(database=database, **(defaults | other))


def status_of(database: Database, account_id: AccountId, reference: ServiceReference) -> StartStatus:
    return database.read_now(lambda c: queue.status(c, account_id=account_id, references=[reference]))[reference]


def states(database: Database, service_id: ServiceId) -> list[StartState]:
    wanted = select(starts.c.state).where(starts.c.service_id == service_id).order_by(starts.c.id)
    return [StartState(state) for state in database.read_now(lambda c: c.scalars(wanted).all())]
