"""A call engine without a network: same contract as the real one, the far end chosen by the dialled number.

Every wait is divided by ``speed``; under a loop with virtual time leave it at 1. ``on_ring`` is called with the order
at the very point where the real engine's INVITE leaves, in the same turn of the loop in which ``before_invite``
returned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from callwright.engine.interface import Call, CallFacts, CallFailed, CallOrder, CallProgress, Refusal
from callwright.testing.fake_call import FakeCall, length_of_file
from callwright.testing.personas import TEST_NUMBER_PREFIX, Persona, persona_of
from callwright.values.destination import Destination, DestinationKind, parse_destination
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy, failed_outcome

_REACHABLE = {DestinationKind.TEL, DestinationKind.SIP}


class FakeEngine:
    """Places calls to personas. ``orders`` and ``calls`` keep everything that was placed, in order."""

    def __init__(
        self,
        *,
        speed: float = 1.0,
        clock: Callable[[], float] = time.time,
        on_ring: Callable[[CallOrder], None] | None = None,
        on_progress: Callable[[CallProgress], None] | None = None,
        persona_of: Callable[[Destination], Persona] = persona_of,
        length_of: Callable[[str], float] = length_of_file,
    ) -> None:
        self.orders: list[CallOrder] = []
        self.calls: list[FakeCall] = []
        self.hung_up_saved: list[bytes] = []
        self.on_progress = on_progress
        self._speed = speed
        self._clock = clock
        self._on_ring = on_ring
        self._persona_of = persona_of
        self._length_of = length_of

    def refusal(self, destination: Destination) -> Refusal | None:
        if destination.kind not in _REACHABLE:
            return Refusal(reason=f"{destination.kind}: destinations are not available")
        if destination.kind is DestinationKind.TEL and not destination.address.startswith(TEST_NUMBER_PREFIX):
            return Refusal(reason=f"No route to {destination.prefixed}")
        return None

    def turn_of(self, call_id: CallId) -> float:
        return 0.0

    async def place(
        self,
        order: CallOrder,
        *,
        before_invite: Callable[[bytes], Awaitable[None]],
        on_answered: Callable[[CallFacts, bytes], Awaitable[None]],
        may_follow: Callable[[Destination], Awaitable[str]] | None = None,
        on_moved: Callable[[bytes], None] | None = None,
        facts: CallFacts | None = None,
    ) -> Call:
        persona = self._persona_of(order.destination)
        facts = facts or CallFacts(call_id=order.call_id, destination=order.destination)
        facts.originating = order.caller_id or order.service_name
        await before_invite(saved_invite(order))
        facts.initiated_at = self._clock()
        self.orders.append(order)
        if self._on_ring is not None:
            self._on_ring(order)
        self._report(facts, "INVITE sent")
        try:
            if persona.redirects_to:
                persona = await self._redirected(order, facts, persona, may_follow)
                if facts.redirects and on_moved is not None:
                    on_moved(saved_invite(order))
            await self._until_answered(order, facts, persona)
        except asyncio.CancelledError:
            facts.ended_at = self._clock()
            facts.outcome = failed_outcome(487, ended_by=EndedBy.PLATFORM, detail="cancelled")
            raise
        facts.answered_at = self._clock()
        facts.codec, facts.remote = "PCMA", "fake"
        call = FakeCall(order, facts, persona=persona, clock=self._clock, speed=self._speed, length_of=self._length_of)
        self.calls.append(call)
        self._report(facts, "200 OK")
        try:
            await on_answered(facts, saved_dialog(order))
        except BaseException:
            await call.hang_up()  # nobody owns this call yet: it must not stay up
            raise
        return call

    async def hang_up_saved(self, saved: bytes) -> None:
        self.hung_up_saved.append(saved)

    async def _redirected(
        self,
        order: CallOrder,
        facts: CallFacts,
        persona: Persona,
        may_follow: Callable[[Destination], Awaitable[str]] | None,
    ) -> Persona:
        """Return the persona a redirecting one points to, or itself when that may not be called."""
        number = order.destination.address
        number = number[: -len(persona.redirects_to)] + persona.redirects_to
        to = parse_destination(f"tel:{number}")
        if may_follow is None or await may_follow(to):
            return persona
        facts.redirects += (f"sip:{number}@fake",)
        return self._persona_of(to)

    async def _until_answered(self, order: CallOrder, facts: CallFacts, persona: Persona) -> None:
        left_s = order.ring_timeout_s
        if persona.rings_after_s is not None:
            left_s -= persona.rings_after_s
            await asyncio.sleep(persona.rings_after_s / self._speed)
            facts.ringing_at = self._clock()
            self._report(facts, "180 Ringing")
        if persona.refuses_with is not None:
            raise self._failed(facts, persona.refuses_with, EndedBy.FAR_END)
        if persona.answers_after_s is None or persona.answers_after_s > left_s:
            await asyncio.sleep(left_s / self._speed)
            raise self._failed(facts, 487, EndedBy.PLATFORM)
        await asyncio.sleep(persona.answers_after_s / self._speed)

    def _failed(self, facts: CallFacts, code: int, ended_by: EndedBy) -> CallFailed:
        facts.ended_at = self._clock()
        facts.outcome = failed_outcome(code, ended_by=ended_by)
        self._report(facts, str(code))
        return CallFailed(facts)

    def _report(self, facts: CallFacts, what: str) -> None:
        if self.on_progress is not None:
            self.on_progress(CallProgress(call_id=facts.call_id, what=what, at=self._clock()))


def saved_invite(order: CallOrder) -> bytes:
    """Return what ``place`` hands to ``before_invite`` for this order: a later life cancels the call with it."""
    return f"fake invite of {order.call_id}".encode()


def saved_dialog(order: CallOrder) -> bytes:
    """Return the saved dialog that ``place`` hands to ``on_answered`` for this order."""
    return f"fake dialog of {order.call_id}".encode()
