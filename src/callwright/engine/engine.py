"""Places calls on the telephone network: SIP signalling from this process, sound from the media workers.

``place`` reads top to bottom as the life of a call until its answer; from then on the ``OutgoingCall`` it returns
carries the verbs, and events from the SIP core find it by its dialog handle. The engine writes no records: it
returns facts. docs/reference/calls.md tells what is sent when.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

import structlog

from callwright.engine.attempt import Attempt, MayFollow, OnMoved, UnusableSound
from callwright.engine.call import OutgoingCall
from callwright.engine.inbound import inbound_call
from callwright.engine.inbound_offer import InboundOffer, OfferGone, OfferState, OnInbound
from callwright.engine.info_keys import info_key
from callwright.engine.interface import CallFacts, CallFailed, CallOrder, CallProgress, Refusal
from callwright.engine.media_client import Leg, MediaClient
from callwright.engine.outside_log import outside_log
from callwright.engine.planning import Planning, where
from callwright.engine.redirecting import Redirecting
from callwright.engine.redirects import FOLLOWED_CODES
from callwright.engine.routes import Routes
from callwright.engine.saved_call import SavedCall, decode_call
from callwright.engine.sip_socket import SipSocket
from callwright.engine.trunk_link import credentials_of
from callwright.engine.trunks import Passage
from callwright.sip import event as sip_event
from callwright.sip.core import InvitePlan
from callwright.sip.errors import UnsafeText
from callwright.sip.headers import header_value
from callwright.sip.reason import q850_cause
from callwright.sip.uri import is_literal
from callwright.trace.recorder import MessageTrace
from callwright.values.destination import Destination, DestinationKind
from callwright.values.ids import CallId
from callwright.values.outcome import Cause, EndedBy, Outcome, RestCause, answered_outcome, failed_outcome

log = structlog.get_logger()

HANG_UP_GRACE_S = 35.0  # a BYE is given up after 64*T1 = 32 s (RFC 3261 17.1.2.2)
LAST_WORD_S = 150.0  # longer than INVITE, CANCEL and BYE can take together: 64*T1 each, and once more to log in
_TASKS_GRACE_S = 30.0  # media legs and their files are closed in less
_RINGING = (180, 183)


class CallEngine:
    """The real ``Engine``: one SIP socket, the media workers and the routes of this node.

    ``media_host`` is the address session descriptions tell far ends, "" for the one the media workers listen on.
    ``trace`` keeps the messages of calls, None for a node that keeps none.
    ``on_progress`` must not raise and must not wait, nor must ``on_inbound``: it gets every call somebody makes to us,
    and is None while nobody takes such calls.
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
        self._media = media
        self._routes = routes
        self._redirecting = Redirecting(sip, routes)
        self._planning = Planning(sip, routes, domain=sip_domain, clock=clock)
        self._clock = clock
        self._on_progress = on_progress
        self._media_host = media_host
        self._preparing: dict[CallId, Attempt] = {}
        self._attempts: dict[str, Attempt] = {}
        self._byes: dict[str, asyncio.Future[int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._offers: dict[str, InboundOffer] = {}
        self.on_inbound: OnInbound | None = None
        sip.on_event = self._on_sip_event
        sip.on_closed = self._on_sip_closed
        media.on_worker_lost = self._on_worker_lost

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
        plan, invite = self._sip.core.named(plan)
        attempt = await self._attempt(order, facts, passage, may_follow, on_moved)
        call = attempt.call
        self._preparing[order.call_id] = attempt
        try:
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
            await self._until_answered(attempt, order)
            dialog = self._sip.core.export(attempt.handle)
            await on_answered(facts, SavedCall(dialog=dialog, trunk=facts.trunk).encode())
            # Only now that the call is on the disk may the far end stop repeating its answer: were we to die before, a
            # later life would get to know of the call by the repetition, after it by what was written.
            self._command(lambda _now: self._sip.core.acknowledge(attempt.handle))
        except CallFailed:
            await call.wait_closed()
            raise
        except BaseException:
            # Cancelled, or the answer could not be recorded: nobody will own this call, so it must not stay up.
            call.end(answered_outcome(ended_by=EndedBy.PLATFORM, detail="nobody took the call"))
            await call.wait_closed()
            raise
        if attempt.handle in self._attempts:  # the far end may have hung up by now
            attempt.limit = asyncio.get_running_loop().call_later(order.max_duration_s, self._limit, call, order)
        return call

    async def hang_up_saved(self, saved: bytes) -> None:
        call = decode_call(saved)
        if self._trace is not None:
            self._trace.takes_up(*(part.call_id for part in (call.invite, call.dialog) if part is not None))
        if call.invite is not None:
            self._sip.core.cancel_saved(call.invite, self._now())
            self._sip.pump()
        if call.dialog is None:
            return
        line = self._routes.trunks.line(call.trunk) if self._routes.trunks is not None else None
        credentials = credentials_of(line.trunk) if line is not None else None
        handle = self._sip.core.bye_saved(call.dialog, self._now(), credentials=credentials)
        done = self._byes[handle] = asyncio.get_running_loop().create_future()
        self._sip.pump()
        try:
            async with asyncio.timeout(LAST_WORD_S):
                code = await done
        except TimeoutError:
            code = 408
        finally:
            self._byes.pop(handle, None)
        # A line for each of a thousand calls would hold up the BYEs of the others; only what went wrong is worth one.
        say = log.debug if code in (200, 481) else log.info
        said = f"A call of an earlier life was hung up: its BYE ended with {code}."
        say(said, action="bye_after_restart", sip_call_id=call.dialog.call_id)

    async def close(self, limit_s: float = HANG_UP_GRACE_S) -> None:
        """Place no more calls, hang up every one and wait, at most ``limit_s`` seconds, until the far ends know."""
        self._closing = True
        for offer in list(self._offers.values()):
            offer.reject(503)
        stopped = answered_outcome(ended_by=EndedBy.PLATFORM, detail="the platform stopped")
        attempts = list(self._attempts.values())
        for attempt in attempts:
            self._give_up(attempt, stopped.detail)
            attempt.call.end(stopped)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(attempt.call.wait_closed() for attempt in attempts))
                if self._byes:
                    await asyncio.wait(list(self._byes.values()))
        for attempt in list(self._attempts.values()):
            self._over(attempt, failed_outcome(487, ended_by=EndedBy.PLATFORM, detail=stopped.detail))
        for bye in self._byes.values():
            if not bye.done():
                bye.set_result(408)
        self._byes.clear()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=_TASKS_GRACE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the way up

    async def _attempt(
        self,
        order: CallOrder,
        facts: CallFacts,
        passage: Passage | None,
        may_follow: MayFollow | None = None,
        on_moved: OnMoved | None = None,
    ) -> Attempt:
        try:
            leg = await self._media.open_leg()
        except BaseException:
            if passage is not None:
                passage.release()
            raise
        call = OutgoingCall(
            facts=facts,
            leg=leg,
            send_bye=lambda reason: self._bye(attempt, reason),
            clock=self._clock,
            on_progress=self._on_progress,
        )
        # Unique among our sessions, as RFC 8866 section 5.2 wants it: no two live at a time share a port.
        session_id = int(self._clock() * 1000) << 16 | leg.port
        attempt = Attempt(
            call=call,
            order=order,
            passage=passage,
            leg=leg,
            media_host=self._media_host or leg.host,
            session_id=session_id,
            may_follow=may_follow,
            on_moved=on_moved,
        )
        return attempt

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
            raise self._planning.not_placed(
                facts, 503, f"{plan.next_hop[0][:80]} has no address that can be reached from here"
            )
        self._send_invite(attempt, plan)

    def _send_invite(self, attempt: Attempt, plan: InvitePlan) -> None:
        facts = attempt.call.facts
        line = attempt.passage.line if attempt.passage is not None else None
        facts.trunk = line.name if line is not None else ""
        attempt.plan = plan
        attempt.trail.begin(plan.request_uri)
        call_id = plan.call_id if self._trace is None else self._trace.begins(facts.call_id, plan.call_id or "")
        plan = replace(plan, call_id=call_id, body=attempt.offer())
        attempt.handle = self._sip.core.invite(plan, self._now())
        self._attempts[attempt.handle] = attempt
        self._sip.pump()
        if line is not None:
            line.leaves(self._now())  # not before: the next one keeps its distance from the moment this one was sent
        self._progress(facts, "INVITE", f"{plan.request_uri} by {facts.trunk}" if facts.trunk else plan.request_uri)

    def _goes_on(self, attempt: Attempt, event: sip_event.Failed) -> bool:
        """Leave a call that its trunk could not carry to the next one, still the same attempt."""
        passage, facts = attempt.passage, attempt.call.facts
        if passage is None:
            return False
        is_settled = attempt.rang or bool(attempt.trail.followed) or self._is_given_up(attempt)
        may_go_on = passage.fails(event.code, local=event.local, rang=is_settled, retry_after_s=_asked(event))
        if not may_go_on:
            return False
        try:
            plan = self._planning.by_trunk(attempt.order, passage.trunk)
        except UnsafeText as problem:
            log.warning(
                f"A trunk could not be tried: {problem}",
                action="trunk_left_out",
                call=facts.call_id,
                trunk=passage.trunk.name,
            )
            return False
        self._attempts.pop(attempt.handle, None)
        attempt.forget_early()
        self._progress(facts, f"{event.code} {event.reason}", f"trunk {facts.trunk} could not carry the call")
        facts.remote = passage.trunk.authority
        self._move(attempt, plan)
        return True

    def _move(self, attempt: Attempt, plan: InvitePlan) -> None:
        """Send the INVITE of a call to another place, and tell how a later life would cancel it there."""
        plan, invite = self._sip.core.named(plan)
        self._send_invite(attempt, plan)
        if attempt.on_moved is not None:
            attempt.on_moved(SavedCall(invite=invite).encode())

    def _is_given_up(self, attempt: Attempt) -> bool:
        return bool(attempt.gave_up or attempt.verdict or attempt.media_lost or self._closing)

    async def _until_answered(self, attempt: Attempt, order: CallOrder) -> None:
        """Return when the call is up; raise ``CallFailed`` when it is not answered in time or at all."""
        try:
            async with asyncio.timeout(order.ring_timeout_s):
                await asyncio.shield(attempt.answered)
        except TimeoutError:
            # An answer that came in the same instant is an answer: giving up does nothing then.
            self._give_up(attempt, f"not answered within {order.ring_timeout_s:g} s")
            await asyncio.shield(attempt.answered)
        except asyncio.CancelledError:
            self._give_up(attempt, "the platform gave the call up")
            raise

    def _give_up(self, attempt: Attempt, why: str) -> None:
        """CANCEL a call that was not answered yet. The core says Failed in the end, whatever crosses the CANCEL."""
        if attempt.answered.done() or attempt.gave_up:
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
        self._command(lambda now: self._sip.core.bye(attempt.handle, now, reason))
        if self._sip.is_closed:
            self._no_word(attempt)

    def _no_word(self, attempt: Attempt) -> None:
        """End a call here that the SIP core says nothing more about."""
        log.error("Nobody could say how a call ended; it is over.", action="call_abandoned", call=attempt.call.call_id)
        detail = attempt.gave_up or "the SIP socket was closed"
        is_answered = attempt.call.facts.answered_at is not None
        outcome = (
            answered_outcome(ended_by=EndedBy.PLATFORM, detail=detail)
            if is_answered
            else failed_outcome(487, ended_by=EndedBy.PLATFORM, detail=detail)
        )
        self._over(attempt, attempt.verdict or outcome)

    def _on_sip_closed(self) -> None:
        for attempt in list(self._attempts.values()):
            self._bye(attempt)

    def _limit(self, call: OutgoingCall, order: CallOrder) -> None:
        call.end(answered_outcome(ended_by=EndedBy.PLATFORM, detail=f"limit of {order.max_duration_s:g} s reached"))

    # --- events of the SIP core

    def _on_sip_event(self, event: sip_event.Event) -> None:
        if isinstance(event, sip_event.Invited):
            self._invited(event)
            return
        if isinstance(event, sip_event.CancelledByPeer):
            if (offer := self._offers.pop(event.handle, None)) is not None:
                offer.close(OfferState.GONE)
            return
        if isinstance(event, sip_event.ByeDone) and (bye := self._byes.pop(event.handle, None)) is not None:
            if not bye.done():
                bye.set_result(event.code)
            return
        attempt = self._attempts.get(event.handle)
        if attempt is None:
            if self._routes.trunks is not None:
                self._routes.trunks.link.take(event)
            if isinstance(event, sip_event.ExtraAnswer):
                outside_log.warning(
                    "An answer that nobody waits for is hung up: its call was placed before a restart, or given up.",
                    action="stray_answer",
                    source=f"{event.source[0]}:{event.source[1]}",
                )
            return
        facts = attempt.call.facts
        match event:
            case sip_event.Trying():
                self._progress(facts, "100 Trying")
            case sip_event.Provisional():
                attempt.rang = attempt.rang or event.code >= 180
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
                self._over(attempt, _hung_up_by_far_end(event))
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
            case sip_event.Reoffered():
                self._answer_reoffer(attempt, event)
            case sip_event.InfoReceived():
                if (key := info_key(event.content_type, event.body)) is not None:
                    attempt.call.key_told(key)
            case sip_event.Acked(body=body) if body:
                self._take_late_answer(attempt, body)
            case _:
                pass

    # --- calls to us

    def _invited(self, event: sip_event.Invited) -> None:
        """Offer a call to whoever listens; without anybody the caller learns only that this user is not here."""
        if self.on_inbound is None or self._closing:
            code, reason = (503, "Service Unavailable") if self._closing else (404, "Not Found")
            self._command(lambda now: self._sip.core.respond(event.handle, code, reason, now=now))
            return
        trunk = self._routes.trunks.at(*event.source) if self._routes.trunks is not None else ""

        def respond(code: int, reason: str) -> None:
            if code >= 200:
                self._offers.pop(event.handle, None)
            self._command(lambda now: self._sip.core.respond(event.handle, code, reason, now=now))

        offer = InboundOffer(
            inbound_call(event, trunk=trunk, at=self._clock()),
            respond=respond,
            answer=lambda call_id: self._accept(event, offer, call_id),
        )
        self._offers[event.handle] = offer
        self.on_inbound(offer)

    async def _accept(self, event: sip_event.Invited, offer: InboundOffer, call_id: CallId) -> OutgoingCall:
        """Answer a call that was offered; its life from then on is that of any other."""
        called = event.request_uri
        destination = Destination(kind=DestinationKind.SIP, address=called.partition(":")[2], given=called)
        facts = CallFacts(
            call_id=call_id,
            destination=destination,
            originating=event.from_uri,
            initiated_at=offer.facts.at,
            remote=where(event.source),
            trunk=offer.facts.trunk,
        )
        order = CallOrder(call_id=call_id, destination=destination, caller_id="", service_name="")
        attempt = await self._attempt(order, facts, None)
        attempt.handle = event.handle
        try:
            if offer.state is not OfferState.WAITING:
                raise OfferGone("the caller gave up")
            # An INVITE without a description gets our offer; its answer comes with the ACK.
            body = attempt.take_offer(event.body) if event.body else attempt.offer()
        except UnusableSound as problem:
            offer.reject(488)
            await attempt.leg.close()
            raise OfferGone(f"the offered sound is of no use: {problem}") from problem
        except BaseException:
            await attempt.leg.close()
            raise
        offer.close(OfferState.TAKEN)
        self._offers.pop(event.handle, None)
        self._attempts[event.handle] = attempt
        if self._trace is not None:
            self._trace.begins(call_id, event.call_id)
        facts.answered_at = self._clock()
        attempt.call.went_up()
        attempt.is_answered()
        self._progress(facts, "INVITE received", f"accepted, from {facts.remote}")
        self._command(lambda now: self._sip.core.respond(event.handle, 200, body=body, now=now))
        if attempt.handle in self._attempts:  # the caller may have hung up by now
            attempt.limit = asyncio.get_running_loop().call_later(
                order.max_duration_s, self._limit, attempt.call, order
            )
        return attempt.call

    # --- what becomes of calls

    def _answered(self, attempt: Attempt, event: sip_event.Answered) -> None:
        call = attempt.call
        call.facts.answered_at = self._clock()
        call.facts.take_diversions(event.headers)
        call.went_up()
        self._progress(call.facts, f"{event.code} {event.reason}", "answered")
        try:
            attempt.take_answer(event.tag, event.body)
        except UnusableSound as problem:
            call.end(_platform_error(488, f"the answer has no sound we can use: {problem}"), reason="SIP;cause=488")
            attempt.fail()
        else:
            attempt.is_answered()

    def _failed(self, attempt: Attempt, event: sip_event.Failed) -> None:
        attempt.call.facts.take_diversions(event.headers)
        if self._goes_on(attempt, event):
            return
        if not self._is_given_up(attempt) and attempt.trail.goes_on(
            event.code, event.headers, local=event.local, rang=attempt.rang
        ):
            self._own(self._follow(attempt, event), f"follow a redirection of {attempt.call.call_id}")
        else:
            self._not_answered(attempt, event)

    async def _follow(self, attempt: Attempt, event: sip_event.Failed) -> None:
        """Ask the next place a redirection named; without one the call ends as it failed."""
        facts, plan = attempt.call.facts, None
        try:
            following = await self._redirecting.next_plan(attempt)
            if following is not None and attempt.passage is not None:
                await attempt.passage.turn()
            plan = following
        finally:
            if plan is None or self._is_given_up(attempt):
                self._not_answered(attempt, event)
        if plan is None or self._is_given_up(attempt):
            return
        self._attempts.pop(attempt.handle, None)
        attempt.forget_early()
        attempt.rang = False
        facts.redirects += (plan.request_uri,)
        facts.remote = where(plan.next_hop)
        self._progress(facts, f"{event.code} {event.reason}", f"goes on to {plan.request_uri}")
        self._move(attempt, plan)

    def _not_answered(self, attempt: Attempt, event: sip_event.Failed) -> None:
        facts = attempt.call.facts
        self._progress(facts, f"{event.code} {event.reason}", "not answered")
        facts.retry_after_s = _asked(event)
        reason = header_value(event.headers, "reason")
        why_not = f"not followed: {attempt.trail.why_not}" if attempt.trail.why_not else ""
        detail = attempt.gave_up or "; ".join(part for part in (event.reason, reason, why_not) if part)
        ended_by = EndedBy.PLATFORM if attempt.gave_up or event.local else EndedBy.FAR_END
        # A redirection that came before we gave up was followed no more: then our giving up is what ended the call.
        code = 487 if attempt.gave_up and event.code in FOLLOWED_CODES else event.code
        q850 = None if attempt.gave_up else q850_cause(reason or "")
        outcome = failed_outcome(code, ended_by=ended_by, detail=detail, q850=q850)
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
        self._own(attempt.call.close_media(), f"close media of {attempt.call.call_id}")

    def _answer_reoffer(self, attempt: Attempt, event: sip_event.Reoffered) -> None:
        """Hold, resume, a new address: agree to what we can, keep the call as it was otherwise (RFC 3261 14.2)."""
        try:
            # Without a body the far end wants our offer; its answer comes with the ACK.
            body = attempt.take_offer(event.body) if event.body else attempt.offer()
        except UnusableSound as problem:
            outside_log.warning(
                f"A new offer was refused: {problem}", action="reoffer_refused", call=attempt.call.call_id
            )
            self._progress(attempt.call.facts, f"{event.method} again", "refused")
            self._command(lambda now: self._sip.core.refuse_reinvite(event.handle, 488, "Not Acceptable Here", now))
            return
        self._progress(attempt.call.facts, f"{event.method} again", "accepted")
        self._command(lambda now: self._sip.core.answer_reinvite(event.handle, body, now))

    def _take_late_answer(self, attempt: Attempt, body: bytes) -> None:
        try:
            attempt.take_answer("", body)
        except UnusableSound as problem:
            outside_log.warning(
                f"A late answer was of no use: {problem}", action="late_answer", call=attempt.call.call_id
            )

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


def _platform_error(code: int, detail: str) -> Outcome:
    return Outcome(cause=Cause.ERROR, code=code, rest_cause=RestCause.FAILED, ended_by=EndedBy.PLATFORM, detail=detail)


_MEDIA_LOST = _platform_error(500, "the media worker of this call died")


def _hung_up_by_far_end(event: sip_event.Ended) -> Outcome:
    said = event.reason_header
    return answered_outcome(ended_by=EndedBy.FAR_END, detail=said, q850=q850_cause(said))


def _asked(event: sip_event.Failed) -> int | None:
    return _seconds(header_value(event.headers, "retry-after"))


def _seconds(value: str | None) -> int | None:
    """Read a Retry-After value, leaving its comment and parameters (RFC 3261 20.33); None for what is no number."""
    digits = (value or "").partition(";")[0].partition("(")[0].strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else None


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.error("Work on a call failed.", action="engine_task_failed", task=task.get_name(), exc_info=problem)
