"""Places calls on the telephone network: SIP signalling from this process, sound from the media workers.

``place`` reads top to bottom as the life of a call until its answer; from then on the ``OutgoingCall`` it returns
carries the verbs, and events from the SIP core find it by its dialog handle. The engine writes no records: it
returns facts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import structlog

from callwright.engine.call import OutgoingCall
from callwright.engine.interface import CallFacts, CallFailed, CallOrder, CallProgress, Refusal
from callwright.engine.media_client import Leg, MediaClient, MediaError
from callwright.engine.routes import Route, Routes
from callwright.engine.sip_socket import SipSocket
from callwright.media import offer_answer
from callwright.sip import event as sip_event
from callwright.sip.core import InvitePlan
from callwright.sip.dialog import SavedDialog
from callwright.values.destination import Destination, DestinationKind
from callwright.values.errors import PeerError
from callwright.values.outcome import Cause, EndedBy, Outcome, RestCause, answered_outcome, failed_outcome

log = structlog.get_logger()

HANG_UP_GRACE_S = 35.0  # a BYE is given up after 64*T1 = 32 s (RFC 3261 17.1.2.2)


class CallEngine:
    """The real ``Engine``: one SIP socket, the media workers and the routes of this node."""

    def __init__(
        self,
        *,
        sip: SipSocket,
        media: MediaClient,
        routes: Routes,
        sip_domain: str,
        clock: Callable[[], float],
        on_progress: Callable[[CallProgress], None],
    ) -> None:
        self._sip = sip
        self._media = media
        self._routes = routes
        self._sip_domain = sip_domain
        self._clock = clock
        self._on_progress = on_progress
        self._attempts: dict[str, _Attempt] = {}
        self._byes: dict[str, asyncio.Future[int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        sip.on_event = self._on_sip_event
        media.on_worker_lost = self._on_worker_lost

    @property
    def live_calls(self) -> int:
        return len(self._attempts)

    def refusal(self, destination: Destination) -> Refusal | None:
        route = self._routes.find(destination)
        return route if isinstance(route, Refusal) else None

    async def place(
        self,
        order: CallOrder,
        *,
        before_invite: Callable[[], Awaitable[None]],
        on_answered: Callable[[CallFacts, bytes], Awaitable[None]],
    ) -> OutgoingCall:
        from_uri = self._from_uri(order)
        facts = CallFacts(
            call_id=order.call_id, destination=order.destination, originating=from_uri.removeprefix("sip:")
        )
        route = self._routes.find(order.destination)
        if isinstance(route, Refusal):
            raise _not_placed(facts, 404, route.reason)
        try:
            leg = await self._media.open_leg()
        except MediaError as problem:
            raise _not_placed(facts, 503, f"no media port: {problem}") from problem
        try:
            await before_invite()
        except BaseException:
            await leg.close()
            raise
        attempt = self._invite(order, route, from_uri, facts, leg)
        call = attempt.call
        try:
            await self._until_answered(attempt, order)
            await on_answered(facts, msgspec.json.encode(self._sip.core.export(attempt.handle)))
        except CallFailed:
            await call.wait_closed()
            raise
        except BaseException:
            # Cancelled, or the answer could not be recorded: nobody will own this call, so it must not stay up.
            await call.end(answered_outcome(ended_by=EndedBy.PLATFORM, detail="nobody took the call"))
            raise
        self._own(self._limit(call, order.max_duration_s), f"duration limit of {order.call_id}")
        return call

    async def hang_up_saved(self, saved: bytes) -> None:
        handle = self._sip.core.bye_saved(msgspec.json.decode(saved, type=SavedDialog), self._now())
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._byes[handle] = done
        self._sip.pump()
        code = await done
        log.info(f"A call of an earlier life was hung up: its BYE ended with {code}.", action="bye_after_restart")

    async def close(self, limit_s: float = HANG_UP_GRACE_S) -> None:
        """Hang up every call and wait, at most ``limit_s`` seconds, until the far ends know."""
        ended_here = answered_outcome(ended_by=EndedBy.PLATFORM, detail="the platform stopped")
        for attempt in self._attempts.values():
            attempt.gave_up = attempt.gave_up or "the platform stopped"
            self._cancel(attempt)
        ends = [attempt.call.end(ended_here) for attempt in self._attempts.values()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*ends, *self._byes.values())
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the way up

    def _invite(self, order: CallOrder, route: Route, from_uri: str, facts: CallFacts, leg: Leg) -> _Attempt:
        """Send the INVITE; nothing may wait between the stamp and this."""
        attempt = _Attempt()
        attempt.call = OutgoingCall(
            facts=facts,
            leg=leg,
            send_bye=lambda reason: self._command(lambda now: self._sip.core.bye(attempt.handle, now, reason)),
            clock=self._clock,
            on_progress=self._on_progress,
        )
        attempt.leg = leg
        plan = InvitePlan(
            request_uri=route.request_uri,
            next_hop=route.next_hop,
            from_uri=from_uri,
            to_uri=route.request_uri.partition(";")[0],
            body=offer_answer.offer(leg.host, leg.port),
            headers=order.headers,
            credentials=route.credentials,
        )
        facts.initiated_at = self._clock()
        facts.remote = f"{route.next_hop[0]}:{route.next_hop[1]}"
        attempt.handle = self._sip.core.invite(plan, self._now())
        self._attempts[attempt.handle] = attempt
        self._sip.pump()
        self._progress(facts, "INVITE", route.request_uri)
        return attempt

    async def _until_answered(self, attempt: _Attempt, order: CallOrder) -> None:
        """Return when the call is up; raise ``CallFailed`` when it is not answered in time or at all."""
        try:
            async with asyncio.timeout(order.ring_timeout_s):
                await asyncio.shield(attempt.answered)
        except TimeoutError:
            attempt.gave_up = f"not answered within {order.ring_timeout_s:g} s"
            self._cancel(attempt)
            await asyncio.shield(attempt.answered)
        except asyncio.CancelledError:
            attempt.gave_up = "the platform gave the call up"
            self._cancel(attempt)
            raise

    def _cancel(self, attempt: _Attempt) -> None:
        if not attempt.answered.done():
            self._command(lambda now: self._sip.core.cancel(attempt.handle, now))
            self._progress(attempt.call.facts, "CANCEL", attempt.gave_up)

    def _on_answered(self, attempt: _Attempt, event: sip_event.Answered) -> None:
        facts = attempt.call.facts
        facts.answered_at = self._clock()
        attempt.call.went_up()
        self._progress(facts, f"{event.code} {event.reason}", "answered")
        try:
            agreed = offer_answer.choose(event.body or attempt.early_body)
            facts.codec = agreed.codec.name
            attempt.connect(agreed)
        except (PeerError, MediaError) as problem:
            outcome = Outcome(
                cause=Cause.ERROR,
                code=488,
                rest_cause=RestCause.FAILED,
                ended_by=EndedBy.PLATFORM,
                detail=f"the answer has no sound we can use: {problem}",
            )
            attempt.fail(outcome)
            self._own(attempt.call.end(outcome, reason="SIP;cause=488"), f"hang up {facts.call_id}")
            return
        if not attempt.answered.done():
            attempt.answered.set_result(None)

    # --- events of the SIP core

    def _on_sip_event(self, event: sip_event.Event) -> None:
        if isinstance(event, sip_event.Invited):
            # Inbound services come later; a stranger learns only that this user is not here.
            self._command(lambda now: self._sip.core.respond(event.handle, 404, "Not Found", now=now))
            return
        if isinstance(event, sip_event.ByeDone) and event.handle in self._byes:
            self._byes.pop(event.handle).set_result(event.code)
            return
        attempt = self._attempts.get(event.handle)
        if attempt is None:
            return
        call = attempt.call
        match event:
            case sip_event.Trying():
                self._progress(call.facts, "100 Trying")
            case sip_event.Provisional():
                attempt.early_body = event.body or attempt.early_body
                if call.facts.ringing_at is None:
                    call.facts.ringing_at = self._clock()
                self._progress(call.facts, f"{event.code} {event.reason}")
            case sip_event.Answered():
                self._on_answered(attempt, event)
            case sip_event.Failed():
                detail = attempt.gave_up or event.reason
                ended_by = EndedBy.PLATFORM if attempt.gave_up or event.local else EndedBy.FAR_END
                outcome = failed_outcome(event.code, ended_by=ended_by, detail=detail)
                self._progress(call.facts, f"{event.code} {event.reason}", "not answered")
                self._over(event.handle, outcome)
                attempt.fail(outcome)
            case sip_event.Ended():
                self._progress(call.facts, "BYE", "received")
                detail = event.reason_header or ""
                self._over(event.handle, answered_outcome(ended_by=EndedBy.FAR_END, detail=detail))
            case sip_event.ByeDone():
                detail = "" if event.code == 200 else f"BYE ended with {event.code}"
                self._over(event.handle, answered_outcome(ended_by=EndedBy.APPLICATION, detail=detail))
            case sip_event.Reoffered():
                self._answer_reoffer(attempt, event)
            case sip_event.Acked(body=body) if body:
                self._take_late_answer(attempt, body)
            case _:
                pass

    def _over(self, handle: str, outcome: Outcome) -> None:
        attempt = self._attempts.pop(handle)
        attempt.call.over(outcome)
        self._own(attempt.call.close_media(), f"close media of {attempt.call.call_id}")

    def _answer_reoffer(self, attempt: _Attempt, event: sip_event.Reoffered) -> None:
        """Hold, resume, a new address: agree to what we can, keep the call as it was otherwise (RFC 3261 14.2)."""
        leg = attempt.leg
        if not event.body:  # the far end wants our offer; its answer comes with the ACK
            body = offer_answer.offer(leg.host, leg.port, version=attempt.next_version())
            self._command(lambda now: self._sip.core.answer_reinvite(event.handle, body, now))
            return
        try:
            answer = offer_answer.answer(event.body, leg.host, leg.port, version=attempt.next_version())
        except PeerError as problem:
            log.warning(f"A re-INVITE was refused: {problem}", action="reinvite_refused", call=attempt.call.call_id)
            self._command(lambda now: self._sip.core.refuse_reinvite(event.handle, 488, "Not Acceptable Here", now))
            return
        attempt.connect(answer.agreed)
        self._command(lambda now: self._sip.core.answer_reinvite(event.handle, answer.body, now))

    def _take_late_answer(self, attempt: _Attempt, body: bytes) -> None:
        try:
            attempt.connect(offer_answer.choose(body))
        except (PeerError, MediaError) as problem:
            log.warning(f"A late answer was of no use: {problem}", action="late_answer", call=attempt.call.call_id)

    def _on_worker_lost(self, legs: list[Leg]) -> None:
        lost = set(map(id, legs))
        outcome = Outcome(
            cause=Cause.ERROR,
            code=500,
            rest_cause=RestCause.FAILED,
            ended_by=EndedBy.PLATFORM,
            detail="the media worker of this call died",
        )
        for handle, attempt in list(self._attempts.items()):
            if id(attempt.leg) in lost:
                log.error(
                    "A call lost its media worker and is hung up.", action="worker_lost", call=attempt.call.call_id
                )
                if attempt.call.is_up:
                    self._own(attempt.call.end(outcome, reason="SIP;cause=500"), f"hang up {handle}")
                else:
                    attempt.gave_up = outcome.detail
                    self._cancel(attempt)

    # --- small things

    async def _limit(self, call: OutgoingCall, max_duration_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(call.wait_ended(), max_duration_s)
            return
        await call.end(answered_outcome(ended_by=EndedBy.PLATFORM, detail=f"limit of {max_duration_s:g} s reached"))

    def _from_uri(self, order: CallOrder) -> str:
        """The From address: the caller id, or the service's name when there is none (ruling 15)."""
        caller = order.caller_id.removeprefix("sip:") or order.service_name
        if order.destination.kind is DestinationKind.TEL:
            caller = caller.removeprefix("tel:").lstrip("+").replace("-", "")
        return f"sip:{caller}" if "@" in caller else f"sip:{caller}@{self._sip_domain}"

    def _command(self, command: Callable[[float], object]) -> None:
        command(self._now())
        self._sip.pump()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_report_failure)

    def _progress(self, facts: CallFacts, what: str, detail: str = "") -> None:
        self._on_progress(CallProgress(call_id=facts.call_id, what=what, at=self._clock(), detail=detail))


class _Attempt:
    """One INVITE under way or answered: its call, its dialog handle and what its outcome will be blamed on."""

    call: OutgoingCall
    leg: Leg
    handle: str

    def __init__(self) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.early_body = b""
        self.gave_up = ""
        self._version = 1

    def next_version(self) -> int:
        """The version of our next session description: one higher each time (RFC 3264 8)."""
        self._version += 1
        return self._version

    def connect(self, agreed: offer_answer.Agreed) -> None:
        self.leg.connect(
            remote=agreed.remote, codec=agreed.codec, dtmf_payload=agreed.dtmf_payload, direction=agreed.direction
        )

    def fail(self, outcome: Outcome) -> None:
        self.call.facts.outcome = outcome
        if not self.answered.done():
            self.answered.set_exception(CallFailed(self.call.facts))
            self.answered.exception()  # read once here: nobody may be waiting when the call was given up


def _not_placed(facts: CallFacts, code: int, detail: str) -> CallFailed:
    facts.outcome = failed_outcome(code, ended_by=EndedBy.PLATFORM, detail=detail)
    return CallFailed(facts)


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.error("Work on a call failed.", action="engine_task_failed", task=task.get_name(), exc_info=problem)
