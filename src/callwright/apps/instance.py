"""One application instance, from its call's first INVITE to its closed records (docs/reference/rest-applications.md).

    place the call → run the application while it is up → call down → CDR closed, final page stamped → final page
    → ADR closed

The ADR and the CDR were opened, in one transaction with the stamp, by ``before_invite``. Whatever happens after that,
the call is down and both records are closed when ``run_instance`` returns or raises; the end cannot be cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection

from callwright.accounts.service import Page, Service
from callwright.apps import return_codes
from callwright.apps.events import EventKind, InstanceEvent, Journal
from callwright.apps.rest import runner
from callwright.apps.rest.application import Identity, WebApplication
from callwright.apps.rest.log import InstanceLog, Level, find_log_name
from callwright.apps.rest.media_store import MediaStore
from callwright.apps.rest.stage import SpokenSeconds, Stage
from callwright.apps.rest.webhook import PageClient
from callwright.db.database import Database
from callwright.db.errors import DatabaseUnavailable
from callwright.engine.interface import MAX_CALL_DURATION_S, Call, CallFacts, CallFailed, CallOrder, Engine
from callwright.engine.redirects import where_led
from callwright.records import ledger
from callwright.records.settings import DEFAULT_SETTINGS, RecordSettings
from callwright.speech import Speech
from callwright.values.destination import Destination
from callwright.values.errors import OutsideError
from callwright.values.ids import AccountId, CallId, InstanceId, ServiceReference
from callwright.values.outcome import EndedBy, Outcome, answered_outcome, failed_outcome
from callwright.values.times import rest_log_name

logger = structlog.get_logger()

T = TypeVar("T")

FINAL_PAGE_WHEN_CANCELLED_S = 5.0  # a node that stops does not wait longer for a final page
END_AGAIN_AFTER_S = (0.2, 1.0, 3.0)  # how a call ended is known here only: a commit that fails once may not lose it


def _nothing_to_settle(c: Connection, result: InstanceResult) -> None:
    pass


class InstanceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One instance to run. ``caller_id`` is "" when the start named none; ``started_at`` is epoch seconds;
    ``max_duration_s`` limits its call beyond the node's own limit. ``settle`` is run in the transaction that closes the
    records of an instance whose call was placed.
    """

    instance_id: InstanceId
    call_id: CallId
    reference: ServiceReference
    account_id: AccountId
    service: Service
    destination: Destination
    caller_id: str
    token: str | None
    outbound_parameters: str | None
    extra_sip_headers: tuple[tuple[str, str], ...]
    started_at: float
    max_duration_s: float | None = None
    settle: Callable[[Connection, InstanceResult], None] = _nothing_to_settle


class InstanceResult(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance ended: its return code (``return_codes``) and how its call did."""

    return_code: int
    outcome: Outcome


def _nobody_watches(event: InstanceEvent) -> None:
    pass


async def _nothing_is_followed(account: AccountId, dialled: Destination, to: Destination) -> str:
    return "redirections to other numbers are not followed here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the node gives its instances. ``watcher`` is told what happens; it must not raise and must not wait.
    ``may_follow`` says why a call of an account to one number may not be redirected to another, "" when it may.
    """

    engine: Engine
    database: Database
    pages: PageClient
    speech: Speech
    media_root: Path
    logs_root: Path
    clock: Callable[[], float]
    records: RecordSettings = DEFAULT_SETTINGS
    max_duration_s: float = MAX_CALL_DURATION_S
    watcher: Callable[[InstanceEvent], None] = field(default=_nobody_watches)
    may_follow: Callable[[AccountId, Destination, Destination], Awaitable[str]] = field(default=_nothing_is_followed)

    def log_folder(self, account: AccountId) -> Path:
        """Where the logs of an account's REST instances are; names below it are those of ``log_filename``."""
        return _log_folder(self.logs_root, account)


@lru_cache(maxsize=1024)
def _log_folder(logs_root: Path, account: AccountId) -> Path:
    return logs_root / "rest" / str(account)


async def run_instance(
    order: InstanceOrder, before_invite: Callable[[bytes], Awaitable[None]], *, around: Surroundings
) -> InstanceResult:
    """Run one instance to its end.

    ``before_invite`` is awaited right before the INVITE leaves: it stamps the start and opens both records, the call's
    with the bytes it is given (what cancels it in another life), or raises.
    What is raised before it has returned is passed on, and nothing happened. After it, cancelling ends the instance in
    an orderly way before the cancellation is passed on.
    """
    journal, application = _opened(order, around, rest_log_name(order.started_at, order.instance_id))
    return await _Instance(order, before_invite, around, journal, application).run()


async def ask_final_page_later(
    order: InstanceOrder, facts: CallFacts, outcome: Outcome, *, around: Surroundings
) -> bool:
    """Ask the final page of an instance that an earlier life of this node left behind; False when it was asked before.

    The token is the one the instance was started with: what its pages said later is gone. ``facts.ended_at`` is taken
    for the end of the instance too: its log gets that name.
    """
    log_name = await asyncio.to_thread(
        find_log_name, around.log_folder(order.account_id), order.started_at, order.instance_id
    )
    page = order.service.final_page
    journal, application = _opened(order, around, log_name)
    journal.log.line(Level.WARNING, "the platform restarted while this instance ran")
    try:
        asked = await around.database.write(lambda c: ledger.stamp_final_asked(c, order.instance_id, around.clock()))
        if page is None or not page.url or not asked:
            return False
        await application.ask_final_page(page, facts, outcome)
        return True
    finally:
        stopped_at = around.clock() if facts.ended_at is None else facts.ended_at
        await to_the_end(journal.log.close(rest_log_name(stopped_at, order.instance_id)))


def _opened(order: InstanceOrder, around: Surroundings, log_name: str) -> tuple[Journal, WebApplication]:
    """Return the log of an instance, which is to be closed, and its way to its web application."""
    journal = Journal(
        instance_id=order.instance_id,
        call_id=order.call_id,
        log=InstanceLog(around.log_folder(order.account_id), log_name, around.clock),
        watcher=around.watcher,
        clock=around.clock,
    )
    identity = Identity(
        instance_id=order.instance_id,
        call_id=order.call_id,
        service=order.service,
        destination=order.destination,
        caller_id=order.caller_id,
        outbound_parameters=order.outbound_parameters or "",
        log_filename=log_name,
    )
    session = around.pages.session(cache_scope=str(order.account_id))
    return journal, WebApplication(identity, token=order.token, session=session, journal=journal, clock=around.clock)


class _Instance:
    """The state of one instance between its steps."""

    def __init__(
        self,
        order: InstanceOrder,
        before_invite: Callable[[bytes], Awaitable[None]],
        around: Surroundings,
        journal: Journal,
        application: WebApplication,
    ) -> None:
        self._order = order
        self._before_invite = before_invite
        self._around = around
        self._journal = journal
        self._application = application
        self._spoken = SpokenSeconds()
        self._facts = CallFacts(
            call_id=order.call_id, destination=order.destination, originating=order.caller_id or order.service.name
        )
        self._call: Call | None = None
        self._stamped = False
        self._cancelled = False
        self._has_left = False
        self._moving: list[asyncio.Task[None]] = []
        self._return_code = return_codes.INTERNAL
        self._stop_name = journal.log.name

    async def run(self) -> InstanceResult:
        self._log_start()
        try:
            self._return_code = await self._live()
        except (Exception, asyncio.CancelledError) as failure:
            # The bulkhead of an instance: a bug in one must not touch the others, and nothing keeps its call up.
            if not self._stamped:
                await to_the_end(self._journal.log.discard())
                raise
            self._note(failure)
        try:
            outcome = await to_the_end(self._end())
            if self._cancelled:
                raise asyncio.CancelledError
            await self._application.finish_notifications()
        finally:
            if not self._has_left:
                await to_the_end(self._leave())
        return InstanceResult(return_code=self._return_code, outcome=outcome)

    def _note(self, failure: BaseException) -> None:
        """Say what broke into the instance, and with which return code it ends."""
        if isinstance(failure, asyncio.CancelledError):
            self._return_code, self._cancelled = return_codes.CANCELLED, True
            self._journal.log.line(Level.ERROR, "ended from outside: by the operator, or because the platform stops")
            return
        self._journal.tell(EventKind.PROBLEM, "internal error", level=Level.ERROR)
        logger.error(
            "An instance failed; its call is hung up and its records are closed.",
            action="instance_failed",
            instance=self._order.instance_id,
            call=self._order.call_id,
            exc_info=failure,
        )

    # --- living

    async def _live(self) -> int:
        """Place the call and run the application on it; return the return code."""
        try:
            self._call = await self._around.engine.place(
                self._call_order(),
                before_invite=self._stamp,
                on_answered=self._answered,
                may_follow=self._may_follow,
                on_moved=self._moved,
                facts=self._facts,
            )
        except CallFailed as failed:
            if not self._stamped:
                raise  # it can never be placed, and nobody was dialled: the owner of the start says so
            self._facts = failed.facts
            self._journal.tell(EventKind.NOT_ANSWERED, failed.outcome.hangup_cause)
            return return_codes.COMPLETED
        self._facts = self._call.facts
        stage = Stage(
            call=self._call,
            instance_id=self._order.instance_id,
            speech=self._around.speech,
            voice=self._order.service.tts_voice,
            media=MediaStore.of(self._around.media_root, self._order.account_id),
            session=self._application.session,
            resolve=self._application.pages.resolve,
            notify=self._application.notify,
            journal=self._journal,
            clock=self._around.clock,
            spoken=self._spoken,
        )
        problem = await runner.run(self._application, stage)
        return return_codes.COMPLETED if problem is None else return_codes.code_of(problem.kind)

    async def _may_follow(self, to: Destination) -> str:
        return await self._around.may_follow(self._order.account_id, self._order.destination, to)

    def _moved(self, saved: bytes) -> None:
        self._moving.append(asyncio.create_task(self._save_move(saved), name=f"save move of {self._order.call_id}"))

    async def _save_move(self, saved: bytes) -> None:
        try:
            await self._around.database.write(
                lambda c: ledger.save_call(c, self._order.call_id, saved, detail=where_led(self._facts.redirects)),
                brief=True,
            )
        except OutsideError as failure:
            # Only a crash in the next moments would need it; the call itself goes on.
            logger.warning("A call's new place was not written", action="move_not_written", reason=str(failure))

    async def _stamp(self, saved: bytes) -> None:
        await self._before_invite(saved)
        self._stamped = True
        self._journal.tell(EventKind.DIALLING, self._order.destination.prefixed)

    async def _answered(self, facts: CallFacts, dialog: bytes) -> None:
        self._facts = facts
        answered_at = facts.answered_at if facts.answered_at is not None else self._around.clock()
        self._journal.tell(EventKind.ANSWERED)
        await self._around.database.write(
            lambda c: ledger.mark_answered(
                c, self._order.call_id, answered_at, dialog, initiated_at=facts.initiated_at, trunk=facts.trunk
            ),
            brief=True,
        )

    # --- ending

    async def _end(self) -> Outcome:
        """Call down, CDR closed, final page, ADR closed. Runs to its end whoever cancels what."""
        if self._call is not None:
            await self._call.hang_up()
        outcome = self._outcome()
        self._journal.tell(EventKind.CALL_ENDED, outcome.hangup_cause)
        page = self._order.service.final_page
        if page is None or not page.url:
            stopped_at = self._around.clock()
            await self._write_end(lambda c: self._close_both(c, outcome, stopped_at))
        else:
            if await self._write_end(lambda c: self._close_before_final_page(c, outcome)):
                await self._ask_final(page, outcome)
            stopped_at = self._around.clock()
            await self._write_end(lambda c: self._close_instance(c, outcome, stopped_at))
        self._stop_name = rest_log_name(stopped_at, self._order.instance_id)
        self._journal.tell(EventKind.ENDED, f"{self._return_code} ({return_codes.MEANINGS[self._return_code]})")
        if not self._application.has_notified:
            await self._leave()
        return outcome

    async def _write_end(self, fn: Callable[[Connection], T]) -> T:
        """Write a part of the end; it changes nothing when it is on the disk already although that was told to fail."""
        for again_in_s in END_AGAIN_AFTER_S:
            try:
                return await self._around.database.write(fn, brief=True)
            except DatabaseUnavailable as failure:
                logger.warning(
                    "The end of an instance could not be written; trying again",
                    action="end_not_written",
                    instance=self._order.instance_id,
                    again_in_s=again_in_s,
                    reason=str(failure),
                )
            await asyncio.sleep(again_in_s)
        return await self._around.database.write(fn, brief=True)

    def _outcome(self) -> Outcome:
        """How the call ended; when the engine was interrupted before it could say, what is known of it."""
        if self._facts.ended_at is None:
            self._facts.ended_at = self._around.clock()
        if self._facts.outcome is not None:
            return self._facts.outcome
        if self._facts.answered_at is not None:
            return answered_outcome(ended_by=EndedBy.PLATFORM)
        return failed_outcome(487, ended_by=EndedBy.PLATFORM, detail="given up by the platform")

    def _close_both(self, c: Connection, outcome: Outcome, stopped_at: float) -> None:
        self._close_call(c, outcome)
        self._close_instance(c, outcome, stopped_at)

    def _close_before_final_page(self, c: Connection, outcome: Outcome) -> bool:
        """Close the CDR and, in the same transaction, take the right to ask the final page."""
        self._close_call(c, outcome)
        return ledger.stamp_final_asked(c, self._order.instance_id, self._around.clock())

    def _close_call(self, c: Connection, outcome: Outcome) -> None:
        ended_at = self._facts.ended_at if self._facts.ended_at is not None else self._around.clock()
        ledger.close_cdr(
            c,
            self._order.call_id,
            ended_at=ended_at,
            outcome=outcome,
            initiated_at=self._facts.initiated_at,
            connected_at=self._facts.answered_at,
            trunk=self._facts.trunk,
            settings=self._around.records,
        )

    async def _ask_final(self, page: Page, outcome: Outcome) -> None:
        asking = self._application.ask_final_page(page, self._facts, outcome)
        if not self._cancelled:
            await asking
            return
        try:
            async with asyncio.timeout(FINAL_PAGE_WHEN_CANCELLED_S):
                await asking
        except TimeoutError:
            self._journal.log.line(Level.WARNING, "the final page did not answer in the time left")

    def _close_instance(self, c: Connection, outcome: Outcome, stopped_at: float) -> None:
        for seconds, neural in ((self._spoken.standard, False), (self._spoken.neural, True)):
            if seconds:
                ledger.add_tts(c, self._order.instance_id, seconds=seconds, neural=neural)
        ledger.close_adr(
            c,
            self._order.instance_id,
            stopped_at=stopped_at,
            exit_status=self._return_code,
            settings=self._around.records,
        )
        self._order.settle(c, InstanceResult(return_code=self._return_code, outcome=outcome))

    async def _leave(self) -> None:
        try:
            if self._moving:
                await asyncio.gather(*self._moving)
            await self._application.drop_notifications()
        finally:
            self._has_left = True
            await self._journal.log.close(self._stop_name)

    # --- words

    def _call_order(self) -> CallOrder:
        return CallOrder(
            call_id=self._order.call_id,
            destination=self._order.destination,
            caller_id=self._order.caller_id,
            service_name=self._order.service.name,
            headers=self._order.extra_sip_headers,
            ring_timeout_s=self._order.service.ring_timeout_s,
            max_duration_s=min(self._around.max_duration_s, self._order.max_duration_s or self._around.max_duration_s),
        )

    def _log_start(self) -> None:
        service = self._order.service
        self._journal.log.line(
            Level.INFO,
            f"instance {self._order.instance_id} of service '{service.name}', started as {self._order.reference}; call "
            f"{self._order.call_id} to {self._order.destination.prefixed}; application parameters "
            f"'{service.application_parameters}'; outbound parameters '{self._order.outbound_parameters or ''}'",
        )


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` to its end even when this task is cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.create_task(work, name="end of an instance")
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
