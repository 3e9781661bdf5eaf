"""A far end in the same event loop whose every word the test chooses: our SIP core as the called side, any SDP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.rtp_peer import RtpPeer
from tests.support.sip_sipp import HOST, Ear, sip_socket

from callwright.engine.sip_socket import SipSocket
from callwright.engine.sip_tls import TlsSettings
from callwright.sip.event import Invited, Pairs


def sdp(
    address: tuple[str, int] = ("127.0.0.1", 9), *, payload: int = 8, direction: str = "sendrecv", host: str = ""
) -> bytes:
    """A session description written by hand; ``host`` stands in for the address's own."""
    law = {8: "PCMA", 0: "PCMU", 3: "GSM"}[payload]
    where = host or address[0]
    kind = "IP6" if ":" in where else "IP4"
    lines = (
        "v=0", f"o=far 7 7 IN {kind} {where}", "s=-", f"c=IN {kind} {where}", "t=0 0",
        f"m=audio {address[1]} RTP/AVP {payload} 101", f"a=rtpmap:{payload} {law}/8000",
        "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", f"a={direction}", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


class FarEnd:
    """A telephone: ``sip`` speaks, ``ear`` hears SIP, ``rtp`` is its sound."""

    def __init__(self, sip: SipSocket, ear: Ear, rtp: RtpPeer) -> None:
        self.sip = sip
        self.ear = ear
        self.rtp = rtp

    @property
    def address(self) -> tuple[str, int]:
        return self.sip.address

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def ring(self) -> Invited:
        """Take the next INVITE and let it ring."""
        invited = await self.ear.next(Invited)
        self.respond(invited, 180)
        return invited

    def respond(self, invited: Invited, code: int, body: bytes = b"", *, headers: Pairs = ()) -> None:
        self.sip.core.respond(invited.handle, code, body=body, headers=headers, now=self.now)
        self.sip.pump()

    async def redirect(self, *contacts: str, code: int = 302) -> Invited:
        """Send the next call elsewhere without ringing."""
        invited = await self.ear.next(Invited)
        self.respond(invited, code, headers=tuple(("Contact", contact) for contact in contacts))
        return invited

    async def answer(self, body: bytes | None = None) -> Invited:
        """Ring and answer the next call, with our own sound unless another description is given."""
        invited = await self.ring()
        self.respond(invited, 200, sdp(self.rtp.address) if body is None else body)
        return invited

    def hang_up(self, invited: Invited, reason: str | None = None) -> None:
        self.sip.core.bye(invited.handle, self.now, reason)
        self.sip.pump()

    def go_deaf(self) -> list[bytes]:
        """Hear nothing of SIP any more, as a machine whose power failed; return what comes in vain from now on."""
        unheard: list[bytes] = []

        def nothing(data: bytes, addr: tuple[str, int]) -> None:
            unheard.append(data)

        self.sip.datagram_received = nothing  # type: ignore[method-assign]
        return unheard

    def reoffer(self, invited: Invited, body: bytes) -> None:
        self.sip.core.reoffer(invited.handle, body, self.now)
        self.sip.pump()


@asynccontextmanager
async def far_end(*, host: str = HOST, tls: TlsSettings | None = None) -> AsyncIterator[FarEnd]:
    """Open a far end on free ports of a loopback address."""
    rtp = await RtpPeer.open(host=host)
    try:
        async with sip_socket(host=host, tls=tls) as (sip, ear):
            yield FarEnd(sip, ear, rtp)
    finally:
        rtp.close()
