"""Calls of a former life of this node: hung up or cancelled by what was saved of them, and nothing else."""

from __future__ import annotations

import asyncio

import structlog

from callwright.engine.outside_log import outside_log
from callwright.engine.routes import Routes
from callwright.engine.saved_call import decode_call
from callwright.engine.sip_socket import SipSocket
from callwright.engine.trunk_link import credentials_of
from callwright.sip import event as sip_event
from callwright.trace.recorder import MessageTrace

log = structlog.get_logger()


class FormerCalls:
    """Works for one engine. ``take`` must get the events of the SIP core that belong to no call of this life."""

    def __init__(self, sip: SipSocket, routes: Routes, trace: MessageTrace | None) -> None:
        self._sip = sip
        self._routes = routes
        self._trace = trace
        self._byes: dict[str, asyncio.Future[int]] = {}

    async def hang_up(self, saved: bytes, *, limit_s: float) -> None:
        """End what ``SavedCall.encode`` wrote: CANCEL it and return at once, or BYE it and return when that was
        answered, or after ``limit_s`` seconds.
        """
        call = decode_call(saved)
        if self._trace is not None:
            self._trace.takes_up(*(part.call_id for part in (call.invite, call.dialog) if part is not None))
        now = asyncio.get_running_loop().time()
        if call.invite is not None:
            self._sip.core.cancel_saved(call.invite, now)
            self._sip.pump()
        if call.dialog is None:
            return
        line = self._routes.trunks.line(call.trunk) if self._routes.trunks is not None else None
        credentials = credentials_of(line.trunk) if line is not None else None
        handle = self._sip.core.bye_saved(call.dialog, now, credentials=credentials)
        done = self._byes[handle] = asyncio.get_running_loop().create_future()
        self._sip.pump()
        try:
            async with asyncio.timeout(limit_s):
                code = await done
        except TimeoutError:
            code = 408
        finally:
            self._byes.pop(handle, None)
        # A line for each of a thousand calls would hold up the BYEs of the others; only what went wrong is worth one.
        say = log.debug if code in (200, 481) else log.info
        said = f"A call of an earlier life was hung up: its BYE ended with {code}."
        say(said, action="bye_after_restart", sip_call_id=call.dialog.call_id)

    def take(self, event: sip_event.Event) -> None:
        """Hand the end of a BYE to whoever waits for it, and tell of answers that came too late for anybody."""
        match event:
            case sip_event.ByeDone() if (bye := self._byes.pop(event.handle, None)) is not None:
                if not bye.done():
                    bye.set_result(event.code)
            case sip_event.ExtraAnswer():
                outside_log.warning(
                    "An answer that nobody waits for is hung up: its call was placed before a restart, or given up.",
                    action="stray_answer",
                    source=f"{event.source[0]}:{event.source[1]}",
                )
            case _:
                pass

    async def wait_hung_up(self) -> None:
        """Return when every BYE that is under way was answered or given up."""
        if self._byes:
            await asyncio.wait(list(self._byes.values()))

    def give_up(self) -> None:
        """Wait for no BYE any more: those under way count as unanswered."""
        for bye in self._byes.values():
            if not bye.done():
                bye.set_result(408)
        self._byes.clear()
