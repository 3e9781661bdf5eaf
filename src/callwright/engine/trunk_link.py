"""Asks trunks things outside of calls over the node's SIP socket: OPTIONS and REGISTER, and waits for the answers."""

from __future__ import annotations

import asyncio

from callwright.engine.sip_socket import SipSocket
from callwright.engine.sip_tls import TlsSettings
from callwright.engine.trunk_setup import Trunk
from callwright.sip import event as sip_event
from callwright.sip.ask import AskPlan
from callwright.sip.auth import Credentials
from callwright.sip.event import AskDone
from callwright.sip.way import Target, Transport, Way

CHECK_TIMEOUT_S = 4.0


class TrunkLink:
    """The requests that are open. ``take`` must get the events of the SIP core that belong to no call."""

    def __init__(self, sip: SipSocket) -> None:
        self._sip = sip
        self._asks: dict[str, asyncio.Future[AskDone]] = {}

    async def ping(self, trunk: Trunk) -> int | None:
        """Send OPTIONS with the trunk's user; return the code it was answered with, None for silence.

        A challenge is answered: an exchange counts one that is not as a failed login, and may lock us out for many.
        """
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                done = await self.ask(options_plan(trunk, domain=self._sip.core.host))
        except TimeoutError:
            return None
        return None if done.local else done.code

    async def ask(self, plan: AskPlan) -> AskDone:
        """Send a request and return its final answer; silence is one with code 408 after 32 s."""
        handle = self._sip.core.ask(plan, self._now())
        done: asyncio.Future[AskDone] = asyncio.get_running_loop().create_future()
        self._asks[handle] = done
        self._sip.pump()
        try:
            return await done
        finally:
            self._asks.pop(handle, None)

    @property
    def tls(self) -> TlsSettings:
        """How connections by TLS are made."""
        return self._sip.tls

    def own_places(self, transport: Transport) -> tuple[tuple[str, int], ...]:
        """Return where this node itself takes requests by this transport: as it listens and as it is told to others."""
        host, port = self._sip.address
        port = self._sip.tls_port if transport is Transport.TLS else port
        return ((host, port), (self._sip.core.host.strip("[]"), port)) if port else ()

    async def locate(self, trunk: Trunk) -> list[Target]:
        """Return where a trunk's requests go, in the order to try; raise OSError when that is nowhere."""
        return await self._sip.locate(trunk.host, port=trunk.port, transport=trunk.transport)

    def known(self, trunk: Trunk) -> list[Target]:
        """Return what ``locate`` found a while ago."""
        return self._sip.known(trunk.host, port=trunk.port, transport=trunk.transport)

    def take(self, event: sip_event.Event) -> None:
        """Hand an answer to whoever waits for it; others are none of ours."""
        match event:
            case AskDone() if (ask := self._asks.get(event.handle)) is not None and not ask.done():
                ask.set_result(event)
            case _:
                pass

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def options_plan(trunk: Trunk, *, domain: str) -> AskPlan:
    """OPTIONS that answers a challenge, so that a test can tell what a trunk thinks of our password."""
    user = trunk.from_user or trunk.user
    us = f"sip:{user}@{trunk.from_domain or domain}" if user else f"sip:{domain}"
    return AskPlan(
        method="OPTIONS",
        request_uri=f"sip:{trunk.authority}",
        next_hop=trunk.address,
        from_uri=us,
        to_uri=f"sip:{trunk.authority}",
        headers=(("Accept", "application/sdp"),),
        credentials=credentials_of(trunk),
        way=Way(transport=trunk.transport),
    )


def register_plan(trunk: Trunk, *, expires_s: int, call_id: str, cseq: int) -> AskPlan:
    """REGISTER for the trunk's user; ``call_id`` and ``cseq`` go on from the one before (RFC 3261 section 10.2.4)."""
    user = f"sip:{trunk.user}@{trunk.domain}"
    return AskPlan(
        method="REGISTER",
        request_uri=f"sip:{trunk.domain}",
        next_hop=trunk.address,
        from_uri=user,
        to_uri=user,
        headers=(("Expires", str(expires_s)),),
        credentials=credentials_of(trunk),
        contact_user=trunk.user,
        call_id=call_id,
        cseq=cseq,
        way=Way(transport=trunk.transport),
    )


def credentials_of(trunk: Trunk) -> Credentials | None:
    """Return what answers the trunk's challenges, None when it has no user."""
    return Credentials(user=trunk.user, password=trunk.password) if trunk.user else None
