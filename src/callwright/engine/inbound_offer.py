"""A call somebody makes to us while it waits: whoever listens rings, accepts or rejects it, once.

waiting -> taken      accepted: from then on it is a ``Call``
        -> over       rejected, or nobody said anything for ``LONGEST_WAIT_S``
        -> gone       the caller gave up
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum

from callwright.engine.call import OutgoingCall
from callwright.engine.inbound import InboundCall
from callwright.values.errors import CallwrightError
from callwright.values.ids import CallId

LONGEST_WAIT_S = 180.0  # our choice: the least a proxy waits for an answer (timer C, RFC 3261 section 16.6)


class OfferState(Enum):
    WAITING = "waiting"
    TAKEN = "taken"
    OVER = "over"
    GONE = "gone"


class OfferGone(CallwrightError):
    """The call cannot be accepted any more: the caller gave up, it was rejected, or its sound is of no use."""


class InboundOffer:
    """``facts`` say who calls whom. ``gone`` is set when the caller has given up."""

    def __init__(
        self,
        facts: InboundCall,
        *,
        respond: Callable[[int, str], None],
        answer: Callable[[CallId], Awaitable[OutgoingCall]],
    ) -> None:
        self.facts = facts
        self.state = OfferState.WAITING
        self.gone = asyncio.Event()
        self._respond = respond
        self._answer = answer
        self._limit = asyncio.get_running_loop().call_later(LONGEST_WAIT_S, self.reject, 480)

    def ring(self) -> None:
        """Let the caller hear that it rings; when the offer does not wait any more this changes nothing."""
        if self.state is OfferState.WAITING:
            self._respond(180, "")

    def reject(self, code: int, reason: str = "") -> None:
        """Refuse with a code from 300 to 699; when the offer does not wait any more this changes nothing."""
        if not 300 <= code <= 699:
            raise ValueError(f"{code} does not reject a call: 300 to 699 do")
        if self.state is OfferState.WAITING:
            self.close(OfferState.OVER)
            self._respond(code, reason)

    async def accept(self, call_id: CallId) -> OutgoingCall:
        """Answer, and return the call; raise ``OfferGone``, or ``OutsideError`` when there is no room for its sound."""
        if self.state is not OfferState.WAITING:
            raise OfferGone("the call does not wait for an answer any more")
        return await self._answer(call_id)

    def close(self, state: OfferState) -> None:
        """Wait no longer: the engine says so."""
        self.state = state
        self._limit.cancel()
        if state is OfferState.GONE:
            self.gone.set()


OnInbound = Callable[[InboundOffer], None]
