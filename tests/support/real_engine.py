"""The real call engine on the loopback address: real SIP, real RTP, real processes; a leak fails the test."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from callwright.engine.engine import CallEngine
from callwright.engine.interface import CallProgress
from callwright.engine.media_client import MediaClient
from callwright.engine.routes import Routes, Sandbox
from callwright.engine.sip_names import Names
from callwright.engine.sip_socket import SipSocket
from callwright.engine.sip_tls import TlsSettings
from callwright.engine.trunk_setup import Trunk
from callwright.engine.trunks import Trunks
from callwright.sandbox.process import start_sandbox
from callwright.sip.auth import Credentials
from callwright.sip.core import SipCore, Timers

HOST = "127.0.0.1"
RTP_PORTS = (30000, 30999)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealEngine:
    """An engine on the air, its parts, and what it told on its way (``progress``)."""

    engine: CallEngine
    sip: SipSocket
    media: MediaClient
    progress: list[CallProgress]
    trunks: Trunks

    def rtp_ports(self) -> set[int]:
        """The UDP ports the media workers hold now, RTP and RTCP, by the kernel's own tables; without those of legs
        that are kept open in advance.
        """
        held: set[int] = set()
        for pid in self.media.pids:
            links = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
            for table in ("udp", "udp6"):
                rows = [row.split() for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]
                held |= {int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in links}
        spare = self.media.spare_ports
        return held - spare - {port + 1 for port in spare}

    def assert_nothing_left(self) -> None:
        """Fail when a call, a port or, once all its timers have run, a dialog of the SIP core is still there."""
        assert self.engine.live_calls == 0, f"{self.engine.live_calls} calls are still there"
        assert self.rtp_ports() == set()
        while (at := self.sip.core.wake_at()) is not None:
            self.sip.core.wake(at)
        assert self.sip.core.dialogs() == 0, f"{self.sip.core.dialogs()} dialogs or transactions are never forgotten"


@asynccontextmanager
async def real_engine(
    *,
    sandbox: Sandbox | None = None,
    routes: Routes | None = None,
    trunks: Sequence[Trunk] = (),
    host: str = HOST,
    media_host: str = "",
    timers: Timers | None = None,
    rtp_ports: tuple[int, int] = RTP_PORTS,
    clock: Callable[[], float] = time.time,
    names: Names | None = None,
    tls: TlsSettings | None = None,
    advertised: str = "",
    media_workers: int = 1,
) -> AsyncIterator[RealEngine]:
    """Open an engine on free ports and close it with everything it started; nothing of it may be left then."""
    progress: list[CallProgress] = []
    sip = await SipSocket.open(
        host=host,
        port=0,
        core_factory=lambda host, port: SipCore(
            contact_host=advertised or host,
            contact_port=port,
            new_id=partial(secrets.token_hex, 16),
            timers=timers or Timers(),
        ),
        names=names,
        tls=tls,
    )
    try:
        media = await MediaClient.start(host=host, port_range=rtp_ports, workers=media_workers)
        try:
            lines = Trunks(sip=sip, chance=random.random)
            engine = CallEngine(
                sip=sip,
                media=media,
                routes=routes or Routes(sandbox=sandbox, trunks=lines),
                sip_domain="sip-0-0-0.callwright.test",
                clock=clock,
                on_progress=progress.append,
                media_host=media_host,
            )
            real = RealEngine(engine=engine, sip=sip, media=media, progress=progress, trunks=lines)
            await lines.set_up(trunks)
            try:
                yield real
            except BaseException:
                await engine.close(limit_s=1.0)  # calls that were left up must not hold the failure back
                raise
            await engine.close()
            await lines.close()
            await asyncio.to_thread(real.assert_nothing_left)
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
