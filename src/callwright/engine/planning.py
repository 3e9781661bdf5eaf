"""From an order to its INVITE: the way it goes, what it says, and all places it may be sent to. Sends nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import structlog
from msgspec.structs import replace

from callwright.engine.attempt import Attempt
from callwright.engine.caller_identity import from_uri
from callwright.engine.interface import CallFacts, CallFailed, CallOrder, Refusal
from callwright.engine.outcomes import retry_after
from callwright.engine.routes import Route, Routes, TrunkRoute
from callwright.engine.sip_socket import SipSocket
from callwright.engine.trunk_identity import dress
from callwright.engine.trunk_link import credentials_of
from callwright.engine.trunk_setup import Trunk
from callwright.engine.trunks import Passage
from callwright.sip.auth import Credentials
from callwright.sip.errors import UnsafeText
from callwright.sip.event import Failed
from callwright.sip.headers import header_value, safe_pairs
from callwright.sip.invite_plan import InvitePlan, check_plan
from callwright.sip.uri import SipUri, parse_sip_uri
from callwright.sip.way import Target, Transport, Way
from callwright.values.outcome import EndedBy, Outcome, failed_outcome

log = structlog.get_logger()

_WAYS = {transport: Way(transport=transport) for transport in Transport}
_LONGEST_INVITE = 32_000  # our choice: longer ones come in so many fragments that hardly a network delivers them


class Planning:
    """Works for one engine; ``domain`` is our own SIP domain, ``clock`` gives epoch seconds."""

    def __init__(self, sip: SipSocket, routes: Routes, *, domain: str, clock: Callable[[], float]) -> None:
        self._sip = sip
        self._routes = routes
        self._domain = domain
        self._clock = clock

    async def prepare(self, order: CallOrder, facts: CallFacts) -> tuple[InvitePlan, Passage | None]:
        """Return what to send, but for its sound, and the call's seat on a trunk if it goes through one.

        Raise ``CallFailed`` when it can never be sent, ``TrunksBusy`` when it cannot be sent now.
        """
        sender = from_uri(order, domain=self._domain)
        facts.originating = sender.removeprefix("sip:")
        route = self._routes.find(order.destination, trunk=order.trunk)
        if isinstance(route, Refusal):
            raise self.not_placed(facts, 404, route.reason)
        if isinstance(route, TrunkRoute):
            passage = await route.trunks.take(route.digits, order.call_id, route.only)
            try:
                return await self._located(self.by_trunk(order, passage.trunk), passage.trunk, facts), passage
            except UnsafeText as problem:
                passage.release()
                raise self.not_placed(facts, 400, str(problem)) from problem
            except BaseException:
                passage.release()
                raise
        try:
            plan = _plan(
                route.request_uri,
                route.next_hop,
                Transport.TLS if route.secure else route.transport or Transport.UDP,
                sender=sender,
                headers=order.headers,
                credentials=route.credentials,
                ring_s=order.ring_timeout_s,
            )
        except UnsafeText as problem:
            raise self.not_placed(facts, 400, str(problem)) from problem
        return await self._found(plan, route, facts), None

    def by_trunk(self, order: CallOrder, trunk: Trunk) -> InvitePlan:
        """Return what to send to a trunk; raise ``UnsafeText``."""
        worn = dress(trunk, order, domain=self._domain)
        return _plan(
            worn.request_uri,
            trunk.address,
            trunk.transport,
            sender=worn.from_uri,
            display=worn.from_display,
            headers=worn.headers,
            credentials=credentials_of(trunk),
            ring_s=order.ring_timeout_s,
        )

    def by_next_trunk(self, attempt: Attempt, event: Failed, *, is_given_up: bool) -> InvitePlan | None:
        """Return what to send to the next trunk of a call that its trunk could not carry; None when there is none, or
        nothing may be sent any more. The trunk is told of the failure either way.
        """
        passage = attempt.passage
        if passage is None:
            return None
        is_settled = attempt.rang or bool(attempt.trail.followed) or is_given_up
        if not passage.fails(event.code, local=event.local, rang=is_settled, retry_after_s=retry_after(event)):
            return None
        try:
            plan = self.by_trunk(attempt.order, passage.trunk)
        except UnsafeText as problem:
            log.warning(
                f"A trunk could not be tried: {problem}",
                action="trunk_left_out",
                call=attempt.order.call_id,
                trunk=passage.trunk.name,
            )
            return None
        attempt.call.facts.remote = passage.trunk.authority
        return plan

    async def _located(self, plan: InvitePlan, trunk: Trunk, facts: CallFacts) -> InvitePlan:
        """Return the plan with all places the trunk is at; a name nobody knows fails when the INVITE is sent."""
        facts.remote = trunk.authority
        try:
            found = await self._sip.locate(trunk.host, port=trunk.port, transport=trunk.transport)
        except OSError:
            return plan
        return _aimed(plan, found, facts)

    async def _found(self, plan: InvitePlan, route: Route, facts: CallFacts) -> InvitePlan:
        """Return the plan with all places its address leads to."""
        host, port = route.next_hop
        facts.remote = where(route.next_hop)
        try:
            # So that the INVITE need not wait for it. A name nobody knows fails only when the INVITE would be sent: it
            # is the far end's fault, and has its place in the records.
            found = await self._sip.locate(host, port=port, transport=route.transport, secure=route.secure)
            await self._check_places(route, found, facts)
        except OSError:
            return plan
        return _aimed(plan, found, facts)

    async def _check_places(self, route: Route, found: list[Target], facts: CallFacts) -> None:
        """Raise ``CallFailed`` when a SIP address leads to where only numbers are called."""
        if route.is_address:
            await self._routes.learn_places()
            for target in found:
                if refusal := self._routes.guarded(target.host, target.port):
                    raise self.not_placed(facts, 403, f"No route: {refusal}")

    def not_placed(self, facts: CallFacts, why: int | Outcome, detail: str = "") -> CallFailed:
        """Return what says that a call was not placed: a SIP code of ours with a text, or a whole outcome."""
        outcome = why if isinstance(why, Outcome) else failed_outcome(why, ended_by=EndedBy.PLATFORM, detail=detail)
        facts.outcome = outcome
        facts.ended_at = self._clock()
        return CallFailed(facts)


def _plan(
    request_uri: str,
    next_hop: tuple[str, int],
    transport: Transport,
    *,
    sender: str,
    display: str = "",
    headers: tuple[tuple[str, str], ...],
    credentials: Credentials | None,
    ring_s: float,
) -> InvitePlan:
    """Return the plan of an INVITE without its body; raise ``UnsafeText`` when SIP cannot carry it."""
    if header_value(headers, "expires") is None:
        # A telephone left ringing, because we died or our CANCEL was lost, stops by itself (RFC 3261 section 13.3.1).
        headers += (("Expires", str(math.ceil(ring_s))),)
    plan = InvitePlan(
        request_uri=request_uri,
        next_hop=next_hop,
        from_uri=sender,
        from_display=display,
        to_uri=_whom(request_uri),
        body=b"",
        headers=headers,
        credentials=credentials,
        hold_ack=True,
        way=_WAYS[transport],
    )
    check_plan(plan)
    length = sum(len(name) + len(value.encode()) + 4 for name, value in safe_pairs(headers))
    length += 3 * len(request_uri.encode()) + len(sender.encode())
    if length > _LONGEST_INVITE:
        raise UnsafeText(f"headers and addresses of {length} bytes do not fit into an INVITE; shorten the headers")
    return plan


def _whom(request_uri: str) -> str:
    """Return who is called, for To; how to get there belongs into the Request-URI alone (RFC 3261 table 1)."""
    uri = parse_sip_uri(request_uri)
    if uri.params or uri.headers:
        uri = SipUri(scheme=uri.scheme, user=uri.user, password=uri.password, host=uri.host, port=uri.port)
    return str(uri)


def _aimed(plan: InvitePlan, found: list[Target], facts: CallFacts) -> InvitePlan:
    """Return the plan with the places its next hop was found to be."""
    first, *others = found
    facts.remote = where(first.to)
    if not others and first.to == plan.next_hop and first.way == plan.way:
        return plan
    return replace(plan, next_hop=first.to, way=first.way, alternatives=tuple(others))


def where(next_hop: tuple[str, int]) -> str:
    """Return a host and port as records show them."""
    host, port = next_hop
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host
