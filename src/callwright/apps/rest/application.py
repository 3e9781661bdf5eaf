"""The web application of one instance: asks its pages, reads the answers, and sends it notifications.

Every request and answer is written to the instance's log with secrets masked. One page request is under way at a time;
notifications go out beside it, in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import msgspec

from callwright.accounts.service import Page, Service
from callwright.apps.events import EventKind, Journal
from callwright.apps.rest.actions import ACTIONS, NOT_AVAILABLE, Action
from callwright.apps.rest.document import (
    ActionResult,
    CallInfo,
    CallState,
    ErrorResult,
    PageAnswer,
    action_names,
    call_address,
    instance_info,
    parse_response,
)
from callwright.apps.rest.fields import MAX_FINDINGS
from callwright.apps.rest.log import Level
from callwright.apps.rest.masking import masked_body, masked_info
from callwright.apps.rest.pages import Pages, shown_url
from callwright.apps.rest.problem import Problem
from callwright.apps.rest.webhook import PageRefused, PageReply, PageSession
from callwright.engine.interface import CallFacts
from callwright.values.destination import Destination
from callwright.values.outcome import Outcome

T = TypeVar("T")

_MOST_NOTIFICATIONS_WAITING = 1000
_SHORT_BODY_BYTES = 32 * 1024
_REMEMBERED_BODY_BYTES = 2 * 1024
_BODIES_REMEMBERED = 256  # most pages have a few things to say, each of them to many calls


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What every request says about the instance, whatever happens in it."""

    instance_id: str
    call_id: str
    service: Service
    destination: Destination
    caller_id: str
    outbound_parameters: str
    log_filename: str


class WebApplication:
    """Asks the pages of one instance. ``pages`` knows the order, the token and what relative URLs mean."""

    def __init__(
        self,
        identity: Identity,
        *,
        token: str | None,
        session: PageSession,
        journal: Journal,
        clock: Callable[[], float],
    ) -> None:
        service = identity.service
        self.pages: Pages[Action] = Pages(first=service.first_page, error=service.error_page, token=token)
        self.session = session
        self._identity = identity
        self._journal = journal
        self._clock = clock
        self._notifications: deque[tuple[Page, bytes]] = deque()
        self._notifier: asyncio.Task[None] | None = None

    async def ask(self, page: Page, facts: CallFacts, result: ActionResult | None) -> None:
        """Ask for a page whose answer says how to go on; raise ``Problem`` when it does not."""
        page = self.pages.resolve(page)
        info = self._info(this_call=self._call(facts), action_result=result)
        reply = await self._request(page, info, "page")
        answer = await self._read(reply.body)
        self.pages.supersede(answer, reply.url)

    async def ask_error_page(self, problem: Problem, facts: CallFacts) -> None:
        """Tell the error page, if there is one and it was not told before, what went wrong."""
        page = self.pages.take_error_page()
        if page is None:
            return
        info = self._info(
            is_notification=True,
            this_call=self._call(facts),
            error_result=ErrorResult(action=problem.action, result=problem.text),
        )
        try:
            await self._notify(page, info, "error page")
        except Problem as another:
            self._journal.tell(EventKind.PAGE_FAILED, f"error page: {another.text}", level=Level.WARNING)

    async def ask_final_page(self, page: Page, facts: CallFacts, outcome: Outcome) -> None:
        """Tell the final page how the call ended. Its actions have no call to act on; a failure changes nothing."""
        info = self._info(this_call=self._call(facts, outcome))
        try:
            reply = await self._request(page, info, "final page")
            ignored = await _aside(reply.body, action_names)
        except Problem as problem:
            self._journal.tell(EventKind.PAGE_FAILED, f"final page: {problem.text}", level=Level.WARNING)
            return
        for name in ignored[:MAX_FINDINGS]:
            self._journal.log.line(Level.WARNING, f"the final page's action {name} is skipped: there is no call")

    def notify(self, page: Page, result: ActionResult) -> None:
        """Tell a page something in the background. When that fails it is not repeated and changes nothing."""
        try:
            page = self.pages.resolve(page)
        except Problem as problem:
            self._journal.tell(EventKind.PAGE_FAILED, f"notification: {problem.text}", level=Level.WARNING)
            return
        if len(self._notifications) >= _MOST_NOTIFICATIONS_WAITING:
            self._journal.log.line(Level.WARNING, f"too many notifications wait: {shown_url(page.url)} is not notified")
            return
        self._notifications.append((page, self._info(is_notification=True, action_result=result)))
        if self._notifier is None or self._notifier.done():
            self._notifier = asyncio.create_task(
                self._send_notifications(), name=f"notifications {self._identity.instance_id}"
            )

    @property
    def has_notified(self) -> bool:
        """Whether there are notifications to finish or to drop."""
        return self._notifier is not None

    async def finish_notifications(self) -> None:
        """Return when every notification was sent or has failed."""
        if self._notifier is not None:
            await asyncio.wait({self._notifier})

    async def drop_notifications(self) -> None:
        """Give up what was not sent yet."""
        if self._notifier is not None:
            self._notifier.cancel()
            await asyncio.gather(self._notifier, return_exceptions=True)

    async def _send_notifications(self) -> None:
        while self._notifications:
            page, info = self._notifications.popleft()
            try:
                await self._notify(page, info, "notification")
            except Problem as problem:
                self._journal.tell(EventKind.PAGE_FAILED, f"notification: {problem.text}", level=Level.WARNING)

    async def _request(self, page: Page, info: bytes, what: str) -> PageReply:
        shown = masked_info(info, self.pages.token)
        self._journal.log.line(Level.INFO, f"asking {what}: {page.method} {shown_url(page.url)} {shown}")
        try:
            reply = await self.session.ask(page, info)
        except PageRefused as refused:
            await self._tell(page, refused.reply, what)
            raise
        await self._tell(page, reply, what)
        return reply

    async def _notify(self, page: Page, info: bytes, what: str) -> None:
        self._journal.log.line(Level.INFO, f"asking {what}: {page.method} {shown_url(page.url)} {masked_body(info)}")
        try:
            reply = await self.session.notify(page, info)
        except PageRefused as refused:
            await self._tell(page, refused.reply, what)
            raise
        await self._tell(page, reply, what)

    async def _tell(self, page: Page, reply: PageReply, what: str) -> None:
        text = f"{what}: {page.method} {shown_url(page.url)} {reply.status}"
        self._journal.tell(EventKind.PAGE, text, seconds=reply.seconds)
        is_short = len(reply.body) <= _REMEMBERED_BODY_BYTES
        shown = _remembered_text(reply.body) if is_short else await _aside(reply.body, masked_body)
        self._journal.log.line(Level.INFO, f"answer: {shown}")

    async def _read(self, body: bytes) -> PageAnswer[Action]:
        is_short = len(body) <= _REMEMBERED_BODY_BYTES
        answer = _remembered_answer(body) if is_short else await _aside(body, _parsed)
        for warning in answer.warnings:
            self._journal.log.line(Level.WARNING, warning)
        return answer

    def _info(
        self,
        *,
        is_notification: bool = False,
        this_call: CallInfo | None = None,
        action_result: ActionResult | None = None,
        error_result: ErrorResult | None = None,
    ) -> bytes:
        return instance_info(
            instance_id=self._identity.instance_id,
            token=self.pages.token,
            log_filename=self._identity.log_filename,
            is_notification=is_notification,
            this_call=this_call,
            action_result=action_result,
            error_result=error_result,
        )

    def _call(self, facts: CallFacts, outcome: Outcome | None = None) -> CallInfo:
        """Describe the call as it is now, or, with an outcome, as it was."""
        until = facts.ended_at if facts.ended_at is not None else self._clock()
        is_up = outcome is None and facts.answered_at is not None and facts.ended_at is None
        return CallInfo(
            call_id=self._identity.call_id,
            call_from=shown_caller(self._identity.caller_id or facts.originating),
            call_to=call_address(self._identity.destination),
            duration_s=0.0 if facts.answered_at is None else until - facts.answered_at,
            state=CallState.ANSWERED if is_up else CallState.IDLE,
            application_parameters=self._identity.service.application_parameters,
            outbound_parameters=self._identity.outbound_parameters,
            cause=None if outcome is None else outcome.rest_cause.value,
            raw_cause=None if outcome is None else str(outcome.code),
        )


def _parsed(body: bytes) -> PageAnswer[Action]:
    return parse_response(body, ACTIONS, NOT_AVAILABLE)


_remembered_answer = lru_cache(maxsize=_BODIES_REMEMBERED)(_parsed)
_remembered_text = lru_cache(maxsize=_BODIES_REMEMBERED)(masked_body)


async def _aside(body: bytes, read: Callable[[bytes], T]) -> T:
    """Read a body, a long one in a thread: other calls must not wait for it."""
    return read(body) if len(body) <= _SHORT_BODY_BYTES else await asyncio.to_thread(read, body)


def shown_caller(caller: str) -> str:
    """Return a caller id as pages see it: the digits of a number, a SIP address with its prefix, else as it is."""
    bare = caller.removeprefix("tel:").removeprefix("+")
    if bare.replace("-", "").isdecimal():
        return bare.replace("-", "")
    return f"sip:{caller}" if "@" in caller and not caller.startswith(("sip:", "sips:")) else caller
