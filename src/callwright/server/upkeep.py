"""What a node does beside its calls while it runs: warm up, watch its own loop, forget, know its neighbours."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from pathlib import Path

import structlog

from callwright.accounts.numbers import load_all
from callwright.db.database import Database
from callwright.engine.sip_socket import SipSocket
from callwright.engine.trunks import Trunks
from callwright.housekeeping import Keeping, sweep
from callwright.speech import Speech
from callwright.values.errors import OutsideError

log = structlog.get_logger()

KNOW_EVERY_S = 10.0
SWEEP_EVERY_S = 3600.0
LAG_EVERY_S = 0.5
LAG_ALARM_S = 0.1
COLLECT_AFTER = (30_000, 10, 10)  # objects made before the garbage collector looks; then every so many looks further


async def warm_up(speech: Speech) -> None:
    """Load the numbering data, then the voice, before the first call needs them: that takes a second or two."""
    await asyncio.to_thread(load_all)
    await speech.warm_up()
    _settle_memory()


def _settle_memory() -> None:
    """Leave what start-up made, which stays for good, out of every later garbage collection, and collect less often:
    looking through it again and again cost a tenth of the processor time of each call, in pauses of all calls at once.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


async def watch_lag() -> None:
    """Warn when the event loop was held up: every call's signalling waits then."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        if (lag_s := loop.time() - due) > LAG_ALARM_S:
            log.warning(f"The event loop was held up for {lag_s * 1000:.0f} ms.", action="loop_lag")


async def forget_old(database: Database, *, keeping: Keeping, logs_root: Path, media_root: Path) -> None:
    """Forget, every hour, what has been kept long enough."""
    while True:
        try:
            await sweep(database, keeping=keeping, logs_root=logs_root, media_root=media_root, now=time.time())
        except (OutsideError, OSError) as failure:
            log.warning(
                "Old records cannot be removed now: tried again in an hour.",
                action="housekeeping_failed",
                reason=str(failure),
            )
        await asyncio.sleep(SWEEP_EVERY_S)


async def know_neighbours(sip: SipSocket, trunks: Trunks, *, beside: set[str]) -> None:
    """Keep the addresses of trunks, and those ``beside`` the node, known to the guard of the SIP port."""
    found: dict[tuple[str, int, str], set[str]] = {}
    while True:
        places = {
            (trunk.host, trunk.port, trunk.transport.value): trunk for trunk in (line.trunk for line in trunks.lines)
        }
        # A name that cannot be looked up now keeps the addresses it had.
        found = {place: hosts for place, hosts in found.items() if place in places}
        for place, trunk in places.items():
            with contextlib.suppress(OSError):
                found[place] = {target.host for target in await trunks.link.locate(trunk)}
        sip.core.guard.know(beside.union(*found.values()))
        await asyncio.sleep(KNOW_EVERY_S)
