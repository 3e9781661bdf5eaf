"""The real call engine with the simulated phone network behind it: real SIP, real RTP, real processes."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from callwright.engine.engine import CallEngine
from callwright.engine.interface import CallProgress
from callwright.engine.media_client import MediaClient
from callwright.engine.routes import Routes, Sandbox
from callwright.engine.sip_socket import SipSocket
from callwright.sandbox.process import start_sandbox
from callwright.sip.auth import Credentials
from callwright.sip.core import SipCore

HOST = "127.0.0.1"
RTP_PORTS = (30000, 30999)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealEngine:
    """An engine on the air, its parts, and what it told on its way (``progress``)."""

    engine: CallEngine
    sip: SipSocket
    media: MediaClient
    progress: list[CallProgress]


@asynccontextmanager
async def real_engine(
    *,
    sandbox: Sandbox | None = None,
    rtp_ports: tuple[int, int] = RTP_PORTS,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[RealEngine]:
    """Open an engine on free ports of the loopback address and close it with everything it started."""
    progress: list[CallProgress] = []
    sip = await SipSocket.open(
        host=HOST,
        port=0,
        core_factory=lambda host, port: SipCore(
            contact_host=host, contact_port=port, new_id=partial(secrets.token_hex, 16)
        ),
    )
    try:
        media = await MediaClient.start(host=HOST, port_range=rtp_ports)
        try:
            engine = CallEngine(
                sip=sip,
                media=media,
                routes=Routes(sandbox=sandbox),
                sip_domain="sip-0-0-0.callwright.test",
                clock=clock,
                on_progress=progress.append,
            )
            yield RealEngine(engine=engine, sip=sip, media=media, progress=progress)
            await engine.close()
        finally:
            await media.close()
    finally:
        await sip.close()


@asynccontextmanager
async def sandboxed_engine(folder: Path | None = None) -> AsyncIterator[RealEngine]:
    """Open an engine with a simulated phone network of its own; ``folder`` keeps what the telephones saw."""
    with tempfile.TemporaryDirectory(prefix="callwright-sandbox-") as scratch:
        process = await start_sandbox(data=folder or Path(scratch))
        try:
            beside = Sandbox(
                address=(process.host, process.port), credentials=Credentials(user="sandbox", password="sandbox")
            )
            async with real_engine(sandbox=beside) as engine:
                yield engine
        finally:
            await process.close()
