"""Find the next place of a redirected call: ask the rules of ``redirects``, names, and whoever owns the call."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from callwright.engine.attempt import Attempt
from callwright.engine.redirects import NotFollowed, address_beyond, is_inner, number_within
from callwright.engine.routes import TEST_NUMBER_PREFIX, Routes
from callwright.engine.sip_socket import SipSocket
from callwright.engine.trunk_identity import rewritten
from callwright.engine.trunk_setup import Trunk
from callwright.sip.errors import UnsafeText
from callwright.sip.invite_plan import InvitePlan, check_plan
from callwright.sip.way import Target
from callwright.values.destination import parse_destination
from callwright.values.errors import RequestError


class Redirecting:
    """Works for one engine."""

    def __init__(self, sip: SipSocket, routes: Routes) -> None:
        self._sip = sip
        self._routes = routes

    async def next_plan(self, attempt: Attempt) -> InvitePlan | None:
        """Return what to send next, None when no place is left; ``trail.why_not`` then says why the last was not."""
        trail = attempt.trail
        while (uri := trail.next()) is not None:
            try:
                plan = await self._plan_for(attempt, uri)
                check_plan(plan)
            except (NotFollowed, UnsafeText) as problem:
                trail.why_not = str(problem)
                continue
            trail.followed.append(uri)
            return replace(plan, call_id=None, tag="", branch="")
        return None

    async def _plan_for(self, attempt: Attempt, uri: str) -> InvitePlan:
        assert attempt.plan is not None
        plan = attempt.plan
        hosts = {plan.next_hop[0], *(target.host for target in plan.alternatives)}
        if attempt.passage is not None:
            trunk = attempt.passage.trunk
            number = number_within(trunk, uri, hosts=hosts)
            await self._check_number(attempt, number)
            return replace(plan, request_uri=f"sip:{rewritten(trunk, number)}@{trunk.authority};user=phone")
        sandbox = self._routes.sandbox
        if sandbox is not None and plan.next_hop == sandbox.address:
            beside = Trunk(name="sandbox", host=sandbox.address[0], port=sandbox.address[1])
            number = number_within(beside, uri, hosts=hosts)
            if not number.startswith(TEST_NUMBER_PREFIX):
                raise NotFollowed(f"{number} is not a number of the simulated phone network")
            await self._check_number(attempt, number)
            return replace(plan, request_uri=f"sip:{number}@{beside.authority};user=phone")
        return await self._beyond(plan, uri, hosts)

    async def _check_number(self, attempt: Attempt, number: str) -> None:
        """Let whoever owns the call judge a number it was redirected to; raise ``NotFollowed``."""
        dialled = attempt.order.destination
        try:
            destination = parse_destination(f"tel:{number}")
        except RequestError as problem:
            raise NotFollowed(str(problem)) from problem
        if destination.address == dialled.address:
            return
        if attempt.may_follow is None:
            raise NotFollowed("another number than the one dialled may not be called")
        if why := await attempt.may_follow(destination):
            raise NotFollowed(f"tel:{number} may not be called: {why}")

    async def _beyond(self, plan: InvitePlan, uri: str, hosts: Iterable[str]) -> InvitePlan:
        place = address_beyond(uri, secure=plan.request_uri.lower().startswith("sips:"))
        if (refusal := self._routes.guarded(place.host, place.port)) is not None:
            raise NotFollowed(refusal)
        try:
            found = await self._sip.locate(place.host, port=place.port, transport=place.transport, secure=place.secure)
        except OSError as problem:
            raise NotFollowed(str(problem)) from problem
        await self._routes.learn_places()
        from_inside = all(_is_inner_host(host) for host in hosts)
        targets = [
            target
            for target in found
            if self._routes.guarded(target.host, target.port) is None and (from_inside or not is_inner(target.host))
        ]
        if not targets:
            raise NotFollowed(f"{place.host} is an address that nobody outside may send us to")
        return _aimed(plan, place.request_uri, targets)


def _aimed(plan: InvitePlan, request_uri: str, targets: list[Target]) -> InvitePlan:
    first, *others = targets
    return replace(
        plan,
        request_uri=request_uri,
        next_hop=first.to,
        way=first.way,
        alternatives=tuple(others),
        credentials=None,  # those of the place asked first are no business of this one
    )


def _is_inner_host(host: str) -> bool:
    try:
        return is_inner(host)
    except ValueError:
        return False  # a name nobody could look up
