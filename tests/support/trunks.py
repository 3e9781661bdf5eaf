"""Trunks on the air without a call engine: for health checks, registration and tests of single trunks."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from callwright.engine.sip_socket import SipSocket
from callwright.engine.sip_tls import TlsSettings
from callwright.engine.trunk_setup import Trunk
from callwright.engine.trunks import Trunks
from callwright.sip.core import SipCore

HOST = "127.0.0.1"


def trunk(name: str, port: int, **fields: Any) -> Trunk:
    """Return a trunk at a port of this machine, without health checks unless they are asked for."""
    plain: dict[str, Any] = {"name": name, "host": HOST, "port": port, "check_every_s": 0}
    return Trunk(**(plain | fields))


async def open_socket(tls: TlsSettings | None = None) -> SipSocket:
    """Open a SIP socket on a free port."""
    return await SipSocket.open(
        host=HOST,
        port=0,
        tls=tls,
        core_factory=lambda host, port: SipCore(
            contact_host=host, contact_port=port, new_id=partial(secrets.token_hex, 16)
        ),
    )


@asynccontextmanager
async def trunks_alone(*set_up: Trunk, tls: TlsSettings | None = None) -> AsyncIterator[Trunks]:
    """Watch trunks; leaving the block takes registrations back."""
    sip = await open_socket(tls)
    trunks = Trunks(sip=sip, chance=random.random)
    sip.on_event = trunks.link.take
    try:
        await trunks.set_up(set_up)
        try:
            yield trunks
        finally:
            await trunks.close()
    finally:
        await sip.close()


async def until(condition: Callable[[], object], *, within_s: float = 20.0) -> None:
    """Return when a condition holds; fail when it does not by the deadline."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 the state of a trunk is asked, it has no event
            await asyncio.sleep(0.02)
