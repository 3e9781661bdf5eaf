"""Places calls on the telephone network: SIP signalling from this process, sound from the media workers.

``place`` reads top to bottom as the life of a call until its answer; from then on the ``OutgoingCall`` it returns
carries the verbs, and events from the SIP core find it by its dialog handle. The engine writes no records: it
returns facts. docs/reference/calls.md tells what is sent when.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from callwright.engine.attempt import Attempt, MayFollow, OnMoved, UnusableSound
from callwright.engine.call import OutgoingCall
from callwright.engine.former_calls import FormerCalls
from callwright.engine.inbound_calls import InboundCalls
from callwright.engine.inbound_offer import OnInbound
from callwright.engine.interface import CallFacts, CallFailed, CallOrder, CallProgress, Refusal
from callwright.engine.media_client import Leg, MediaClient
from callwright.engine.opening import Opening
from callwright.engine.outcomes import ended_by_us, hung_up_by_far_end, not_answered, platform_error, retry_after
from callwright.engine.outside_log import outside_log
from callwright.engine.owned_tasks import OwnedTasks
from callwright.engine.planning import Planning, where
from callwright.engine.redirecting import Redirecting
from callwright.engine.routes import Routes
from callwright.engine.saved_call import SavedCall
from callwright.engine.sip_socket import SipSocket
from callwright.engine.within_dialog import WithinDialog
from callwright.sip import event as sip_event
from callwright.sip.core import InvitePlan
from callwright.sip.uri import is_literal
from callwright.trace.recorder import MessageTrace
from callwright.values.destination import Destination
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy, Outcome, answered_outcome

log = structlog.get_logger()

HANG_UP_GRACE_S = 35.0  # a BYE is given up after 64*T1 = 32 s (RFC 3261 17.1.2.2)
LAST_WORD_S = 150.0  # longer than INVITE, CANCEL and BYE can take together: 64*T1 each, and once more to log in
_RINGING = (180, 183)


class CallEngine:
    """The real ``Engine``: one SIP socket, the media workers and the routes of this node.

    ``media_host`` is the address session descriptions tell far ends, "" for the one the media workers listen on.
    ``trace`` keeps the messages of calls, None for a node that keeps none.
    ``on_progress`` must not raise and must not wait.
    """

    def __init__(
        self,
        *,
        sip: SipSocket,
        media: MediaClient,
        routes: Routes,
        sip_domain: str,
        clock: Callable[[], float],
        on_progress: Callable[[CallProgress], None],
        media_host: str = "",
        trace: MessageTrace | None = None,
    ) -> None:
        self._sip = sip
        self._trace = trace
        self._routes = routes
        self._redirecting = Redirecting(sip, routes)
        self._planning = Planning(sip, routes, domain=sip_domain, clock=clock)
        self._clock = clock
        self._on_progress = on_progress
        self._preparing: dict[CallId, Attempt] = {}
        self._attempts: dict[str, Attempt] = {}
        self._leaving: set[OutgoingCall] = set()  # those that are over, while their media close
        self._tasks = OwnedTasks()
        self._closing = False
        self._opening = Opening(media, media_host=media_host, send_bye=self._bye, clock=clock, on_progress=on_progress)
        self._former = FormerCalls(sip, routes, trace)
        self._inbound = InboundCalls(sip, routes, self._opening, clock=clock, take_over=self._take_over)
        self._within = WithinDialog(sip, self._progress)
        sip.on_event = self._on_sip_event
        sip.on_closed = self._on_sip_closed
        media.on_worker_lost = self._on_worker_lost

    @property
    def on_inbound(self) -> OnInbound | None:
        """What gets every call somebody makes to us, None while nobody does; it must not raise and must not wait."""
        return self._inbound.on_inbound

    @on_inbound.setter
    def on_inbound(self, on_inbound: OnInbound | None) -> None:
        self._inbound.on_inbound = on_inbound

    @property
    def live_calls(self) -> int:
        """How many calls take up a dialog: dialling, up, or waiting for the answer to a BYE."""
        return len(self._attempts)

    def refusal(self, destination: Destination) -> Refusal | None:
        route = self._routes.find(destination)
        return route if isinstance(route, Refusal) else None

    def turn_of(self, call_id: CallId) -> float:
        attempt = self._preparing.get(call_id)
        return 0.0 if attempt is None or attempt.passage is None else attempt.passage.turn_at()

    async def place(
        self,
        order: CallOrder,
        *,
        before_invite: Callable[[bytes], Awaitable[None]],
        on_answered: Callable[[CallFacts, bytes], Awaitable[None]],
        may_follow: MayFollow | None = None,
        on_moved: OnMoved | None = None,
        facts: CallFacts | None = None,
    ) -> OutgoingCall:
        facts = facts or CallFacts(call_id=order.call_id, destination=order.destination)
        plan, passage = await self._planning.prepare(order, facts)
        attempt = await self._opening.attempt(
            order, facts, passage, listener=self._listener(order), may_follow=may_follow, on_moved=on_moved
        )
        call = attempt.call
        self._preparing[order.call_id] = attempt
        try:
            plan, invite = self._sip.core.named(plan, attempt.offer())
            await before_invite(SavedCall(invite=invite).encode())
            if passage is not None:
                await passage.turn()
            self._invite(attempt, plan)
        except BaseException:
            if passage is not None:
                passage.release()
            await attempt.leg.close()
            raise
        finally:
            del self._preparing[order.call_id]
        try:
            await self._until_answered(attempt)
            dialog = self._sip.core.export(attempt.handle)
            await on_answered(facts, SavedCall(dialog=dialog, trunk=facts.trunk).encode())
            # Only now that the call is on the disk may the far end stop repeating its answer: were we to die before, a
            # later life would get to know of the call by the repetition, after it by what was written.
            self._sip.core.acknowledge(attempt.handle)
            self._sip.pump()
        except CallFailed:
            await call.wait_closed()
            raise
        except BaseException:
            # Cancelled, or the answer could not be recorded: nobody will own this call, so it must not stay up.
            call.end(answered_outcome(ended_by=EndedBy.PLATFORM, detail="nobody took the call"))
            await call.wait_closed()
            raise
        if attempt.handle in self._attempts:  # the far end may have hung up by now
            self._limit(attempt)
        return call

    async def hang_up_saved(self, saved: bytes) -> None:
        await self._former.hang_up(saved, limit_s=LAST_WORD_S)

    async def close(self, limit_s: float = HANG_UP_GRACE_S) -> None:
        """Place no more calls, hang up every one and wait, at most ``limit_s`` seconds, until the far ends know."""
        self._closing = True
        self._inbound.close()
        stopped = answered_outcome(ended_by=EndedBy.PLATFORM, detail="the platform stopped")
        attempts = list(self._attempts.values())
        for attempt in attempts:
            self._give_up(attempt, stopped.detail)
            attempt.call.end(stopped)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(attempt.call.wait_closed() for attempt in attempts))
                await self._former.wait_hung_up()
        for attempt in list(self._attempts.values()):
            self._over(attempt, ended_by_us(stopped.detail, was_answered=False))
        self._former.give_up()
        await self._tasks.close()
        await asyncio.gather(*(call.wait_closed() for call in self._leaving))

    # --- the way up

    def _invite(self, attempt: Attempt, plan: InvitePlan) -> None:
        """Send the INVITE; nothing may wait between the stamp and this."""
        facts = attempt.call.facts
        if self._closing:
            raise self._planning.not_placed(facts, 503, "the platform stopped")
        if attempt.media_lost:
            raise self._planning.not_placed(facts, _MEDIA_LOST)
        facts.initiated_at = self._clock()
        if attempt.passage is None and not is_literal(plan.next_hop[0]):
            # Asked again, the name might lead to where nobody has judged whether the call may go.
            raise self._planning.not_placed(facts, 503, f"{plan.next_hop[0][:80]} {sip_event.NO_ADDRESS}")
        self._send_invite(attempt, plan)

    def _send_invite(self, attempt: Attempt, plan: InvitePlan) -> None:
        facts = attempt.call.facts
        line = attempt.passage.line if attempt.passage is not None else None
        facts.trunk = line.name if line is not None else ""
        attempt.plan = plan
        attempt.trail.begin(plan.request_uri)
        if self._trace is not None:
            self._trace.begins(facts.call_id, plan.call_id or "")
        attempt.handle = self._sip.core.invite(plan, self._now())
        self._attempts[attempt.handle] = attempt
        self._sip.pump()
        if line is not None:
            line.leaves(self._now())  # not before: the next one keeps its distance from the moment this one was sent
        self._progress(facts, "INVITE", f"{plan.request_uri} by {facts.trunk}" if facts.trunk else plan.request_uri)

    def _move(self, attempt: Attempt, plan: InvitePlan, event: sip_event.Failed, why: str) -> None:
        """Send the INVITE of a call that failed at one place to another, still the same attempt, and tell how a later
        life would cancel it there.
        """
        self._attempts.pop(attempt.handle, None)
        self._progress(attempt.call.facts, f"{event.code} {event.reason}", why)
        plan, invite = self._sip.core.named(plan, attempt.offer())
        self._send_invite(attempt, plan)
        if attempt.on_moved is not None:
            attempt.on_moved(SavedCall(invite=invite).encode())

    def _is_given_up(self, attempt: Attempt) -> bool:
        return bool(attempt.gave_up or attempt.verdict or attempt.media_lost or self._closing)

    async def _until_answered(self, attempt: Attempt) -> None:
        """Return when the call is up; raise ``CallFailed`` when it is not answered in time or at all."""
        ringing = asyncio.get_running_loop().call_later(attempt.order.ring_timeout_s, self._rang_out, attempt)
        try:
            await attempt.answered
        except asyncio.CancelledError:
            self._give_up(attempt, "the platform gave the call up")
            raise
        finally:
            ringing.cancel()

    def _rang_out(self, attempt: Attempt) -> None:
        # An answer that came in the same instant is an answer: giving up does nothing then.
        self._give_up(attempt, f"not answered within {attempt.order.ring_timeout_s:g} s")

    def _give_up(self, attempt: Attempt, why: str) -> None:
        """CANCEL a call that was not answered yet. The core says Failed in the end, whatever crosses the CANCEL."""
        if attempt.is_settled or attempt.gave_up:
            return
        attempt.gave_up = why
        attempt.call.facts.ended_at = self._clock()
        self._progress(attempt.call.facts, "CANCEL", why)
        self._bye(attempt)

    def _bye(self, attempt: Attempt, reason: str | None = None) -> None:
        """Send BYE, or CANCEL before the answer. The core tells in the end what came of it; should it never, because
        its socket is closed or a fault of ours lost its word, the call is over all the same: somebody waits for that.
        """
        if attempt.last_word is None:
            attempt.last_word = asyncio.get_running_loop().call_later(LAST_WORD_S, self._no_word, attempt)
        attempt.end_early()
        self._sip.core.bye(attempt.handle, self._now(), reason)
        self._sip.pump()
        if self._sip.is_closed:
            self._no_word(attempt)

    def _no_word(self, attempt: Attempt) -> None:
        """End a call here that the SIP core says nothing more about."""
        log.error("Nobody could say how a call ended; it is over.", action="call_abandoned", call=attempt.call.call_id)
        detail = attempt.gave_up or "the SIP socket was closed"
        was_answered = attempt.call.facts.answered_at is not None
        self._over(attempt, attempt.verdict or ended_by_us(detail, was_answered=was_answered))

    def _on_sip_closed(self) -> None:
        for attempt in list(self._attempts.values()):
            self._bye(attempt)

    def _limit(self, attempt: Attempt) -> None:
        """Hang up a call that is up when its longest duration is over."""
        loop = asyncio.get_running_loop()
        attempt.limit = loop.call_later(attempt.order.max_duration_s, self._limit_reached, attempt)

    def _limit_reached(self, attempt: Attempt) -> None:
        detail = f"limit of {attempt.order.max_duration_s:g} s reached"
        attempt.call.end(answered_outcome(ended_by=EndedBy.PLATFORM, detail=detail))

    # --- events of the SIP core

    def _on_sip_event(self, event: sip_event.Event) -> None:
        attempt = self._attempts.get(event.handle)
        if attempt is not None:
            self._take(attempt, event)
            return
        match event:
            case sip_event.Invited():
                self._inbound.offer(event)
            case sip_event.CancelledByPeer():
                self._inbound.withdraw(event)
            case _:
                self._former.take(event)
                if self._routes.trunks is not None:
                    self._routes.trunks.link.take(event)

    def _take(self, attempt: Attempt, event: sip_event.Event) -> None:
        facts = attempt.call.facts
        match event:
            case sip_event.Trying():
                self._progress(facts, "100 Trying")
            case sip_event.Provisional():
                attempt.rang = attempt.rang or event.code >= 180
                attempt.leg.signalled_by = event.source[0]
                attempt.keep_early(event.tag, event.headers, event.body)
                facts.take_diversions(event.headers)
                if facts.ringing_at is None and event.code in _RINGING:
                    facts.ringing_at = self._clock()
                self._progress(facts, f"{event.code} {event.reason}")
            case sip_event.Answered():
                self._answered(attempt, event)
            case sip_event.Failed():
                self._failed(attempt, event)
            case sip_event.Ended():
                self._progress(facts, "BYE", "received")
                self._over(attempt, hung_up_by_far_end(event))
            case sip_event.ByeDone():
                self._progress(facts, f"{event.code} to BYE", "no answer" if event.local else "")
                if event.code != 200:
                    outside_log.warning(
                        f"A far end did not confirm that it hung up: {event.code}.",
                        action="bye_refused",
                        call=facts.call_id,
                    )
                # Asked by us, its outcome is fixed; unasked, the core had to hang up.
                self._over(attempt, answered_outcome(ended_by=EndedBy.PLATFORM, detail=event.cause))
            case _:
                self._within.take(attempt, event)

    # --- what becomes of calls

    def _take_over(self, attempt: Attempt, sip_call_id: str) -> None:
        """Own a call to us that was accepted."""
        facts = attempt.call.facts
        self._attempts[attempt.handle] = attempt
        if self._trace is not None:
            self._trace.begins(facts.call_id, sip_call_id)
        facts.answered_at = self._clock()
        attempt.call.went_up()
        attempt.is_answered()
        self._progress(facts, "INVITE received", f"accepted, from {facts.remote}")
        self._limit(attempt)

    def _answered(self, attempt: Attempt, event: sip_event.Answered) -> None:
        call = attempt.call
        call.facts.answered_at = self._clock()
        call.facts.take_diversions(event.headers)
        call.went_up()
        self._progress(call.facts, f"{event.code} {event.reason}", "answered")
        attempt.leg.signalled_by = event.source[0]
        try:
            attempt.take_answer(event.tag, event.body)
        except UnusableSound as problem:
            call.end(platform_error(488, f"the answer has no sound we can use: {problem}"), reason="SIP;cause=488")
            attempt.fail()
        else:
            attempt.is_answered()

    def _failed(self, attempt: Attempt, event: sip_event.Failed) -> None:
        """Go on by the next trunk or to where a redirection leads, else the call is over."""
        facts, is_given_up = attempt.call.facts, self._is_given_up(attempt)
        facts.take_diversions(event.headers)
        attempt.forget_early()
        plan = self._planning.by_next_trunk(attempt, event, is_given_up=is_given_up)
        if plan is not None:
            self._move(attempt, plan, event, f"trunk {facts.trunk} could not carry the call")
        elif not is_given_up and attempt.trail.goes_on(event.code, event.headers, local=event.local, rang=attempt.rang):
            self._tasks.start(self._follow(attempt, event), f"follow a redirection of {facts.call_id}")
        else:
            self._not_answered(attempt, event)

    async def _follow(self, attempt: Attempt, event: sip_event.Failed) -> None:
        """Ask the next place a redirection named; without one the call ends as it failed."""
        try:
            plan = await self._redirecting.next_plan(attempt)
            if plan is not None and attempt.passage is not None:
                await attempt.passage.turn()
        except BaseException:
            self._not_answered(attempt, event)
            raise
        if plan is None or self._is_given_up(attempt):
            self._not_answered(attempt, event)
            return
        facts = attempt.call.facts
        attempt.rang = False
        facts.redirects += (plan.request_uri,)
        facts.remote = where(plan.next_hop)
        self._move(attempt, plan, event, f"goes on to {plan.request_uri}")

    def _not_answered(self, attempt: Attempt, event: sip_event.Failed) -> None:
        facts = attempt.call.facts
        self._progress(facts, f"{event.code} {event.reason}", "not answered")
        facts.retry_after_s = retry_after(event)
        outcome = not_answered(event, gave_up=attempt.gave_up, not_followed=attempt.trail.why_not)
        self._over(attempt, attempt.verdict or outcome)

    def _over(self, attempt: Attempt, outcome: Outcome) -> None:
        self._attempts.pop(attempt.handle, None)
        if attempt.passage is not None:
            attempt.passage.release()
        for timer in (attempt.limit, attempt.last_word):
            if timer is not None:
                timer.cancel()
        attempt.call.over(outcome)
        if self._trace is not None:
            self._trace.ends(attempt.call.call_id)
        attempt.fail()
        if attempt.call.is_recording:
            self._tasks.start(self._close_recording(attempt.call), f"close media of {attempt.call.call_id}")
        else:
            self._close_media(attempt.call)

    async def _close_recording(self, call: OutgoingCall) -> None:
        try:
            await call.finish_recording()
        finally:
            self._close_media(call)

    def _close_media(self, call: OutgoingCall) -> None:
        self._leaving.add(call)
        call.close_media(self._leaving.discard)

    def _on_worker_lost(self, legs: list[Leg]) -> None:
        lost = set(map(id, legs))
        for attempt in [*self._preparing.values(), *self._attempts.values()]:
            if id(attempt.leg) not in lost:
                continue
            log.error("A call lost its media worker and ends.", action="worker_lost", call=attempt.call.call_id)
            attempt.media_lost = True
            if attempt.handle:
                attempt.verdict = attempt.verdict or (None if attempt.gave_up else _MEDIA_LOST)
                self._give_up(attempt, _MEDIA_LOST.detail)
                attempt.call.end(_MEDIA_LOST, reason="SIP;cause=500")

    # --- small things

    def _listener(self, order: CallOrder) -> Leg | None:
        """The leg whose far end hears the call of this order before its answer."""
        if order.heard_by is None:
            return None
        up = (one for one in self._attempts.values() if one.call.is_up)
        return next((one.leg for one in up if one.call.call_id == order.heard_by), None)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _progress(self, facts: CallFacts, what: str, detail: str = "") -> None:
        self._on_progress(CallProgress(call_id=facts.call_id, what=what, at=self._clock(), detail=detail))


_MEDIA_LOST = platform_error(500, "the media worker of this call died")
