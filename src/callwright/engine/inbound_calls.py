"""Calls somebody makes to us until they are answered: offered to whoever listens, then handed to the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from callwright.engine.attempt import Attempt, UnusableSound
from callwright.engine.call import OutgoingCall
from callwright.engine.inbound import inbound_call
from callwright.engine.inbound_offer import InboundOffer, OfferGone, OfferState, OnInbound
from callwright.engine.interface import CallFacts, CallOrder
from callwright.engine.opening import Opening
from callwright.engine.planning import where
from callwright.engine.routes import Routes
from callwright.engine.sip_socket import SipSocket
from callwright.sip import event as sip_event
from callwright.values.destination import Destination, DestinationKind
from callwright.values.ids import CallId


class InboundCalls:
    """Works for one engine. ``on_inbound`` gets every call somebody makes to us; it must not raise and must not wait,
    and is None while nobody takes such calls.

    ``take_over`` is given an accepted call and its SIP Call-ID just before the 200 leaves: from then on it lives as any
    other. ``clock`` gives epoch seconds.
    """

    def __init__(
        self,
        sip: SipSocket,
        routes: Routes,
        opening: Opening,
        *,
        clock: Callable[[], float],
        take_over: Callable[[Attempt, str], None],
    ) -> None:
        self.on_inbound: OnInbound | None = None
        self._sip = sip
        self._routes = routes
        self._opening = opening
        self._clock = clock
        self._take_over = take_over
        self._offers: dict[str, InboundOffer] = {}
        self._closing = False

    def close(self) -> None:
        """Refuse the calls that wait, and every later one."""
        self._closing = True
        for offer in list(self._offers.values()):
            offer.reject(503)

    def offer(self, event: sip_event.Invited) -> None:
        """Offer a call to whoever listens; without anybody the caller learns only that this user is not here."""
        if self._closing:
            self._respond(event.handle, 503)
            return
        if self.on_inbound is None:
            self._respond(event.handle, 404)
            return
        trunk = self._routes.trunks.at(*event.source) if self._routes.trunks is not None else ""

        def respond(code: int, reason: str) -> None:
            if code >= 200:
                self._offers.pop(event.handle, None)
            self._respond(event.handle, code, reason)

        offer = InboundOffer(
            inbound_call(event, trunk=trunk, at=self._clock()),
            respond=respond,
            answer=lambda call_id: self._accept(event, offer, call_id),
        )
        self._offers[event.handle] = offer
        self.on_inbound(offer)

    def withdraw(self, event: sip_event.CancelledByPeer) -> None:
        """The caller gave up."""
        if (offer := self._offers.pop(event.handle, None)) is not None:
            offer.close(OfferState.GONE)

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
        attempt = await self._opening.attempt(order, facts)
        attempt.handle = event.handle
        attempt.leg.signalled_by = event.source[0]
        try:
            if offer.state is not OfferState.WAITING:
                raise OfferGone("the caller gave up")
            body = attempt.describe(event.body)
        except UnusableSound as problem:
            offer.reject(488)
            await attempt.leg.close()
            raise OfferGone(f"the offered sound is of no use: {problem}") from problem
        except BaseException:
            await attempt.leg.close()
            raise
        offer.close(OfferState.TAKEN)
        self._offers.pop(event.handle, None)
        self._take_over(attempt, event.call_id)
        self._respond(event.handle, 200, body=body)
        return attempt.call

    def _respond(self, handle: str, code: int, reason: str = "", *, body: bytes = b"") -> None:
        self._sip.core.respond(handle, code, reason, body=body, now=asyncio.get_running_loop().time())
        self._sip.pump()
