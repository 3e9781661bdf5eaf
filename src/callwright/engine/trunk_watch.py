"""Keeps an eye on one trunk while it is set up: health checks in their period, its registration alive.

Two loops that live as long as the trunk; ``close`` removes the registration first.
"""

from __future__ import annotations

import asyncio

import structlog

from callwright.engine.trunk_line import Refused, TrunkLine
from callwright.engine.trunk_link import TrunkLink, register_plan
from callwright.sip import registration as machine
from callwright.sip.registration import Registration, RegistrationState

UNREGISTER_LIMIT_S = 2.0

log = structlog.get_logger()


class TrunkWatch:
    """The loops of one trunk; they begin at once."""

    def __init__(self, line: TrunkLine, link: TrunkLink) -> None:
        self._line = line
        self._link = link
        self._nudged = asyncio.Event()
        self._checking = self._begin_checking()
        self._registering = asyncio.create_task(self._register(), name=f"register at trunk {line.name}")
        self._registering.add_done_callback(_report_failure)

    def follow(self, line: TrunkLine) -> None:
        """Go on with the changed line of the same trunk, whose registration is still this one."""
        self._line = line
        self._checking.cancel()
        self._checking = self._begin_checking()

    def _begin_checking(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self._check(), name=f"check trunk {self._line.name}")
        task.add_done_callback(_report_failure)
        return task

    async def close(self) -> None:
        """Stop checking and take the registration back; a registrar that stays silent is not waited for long."""
        self._checking.cancel()
        if self._line.registration is not None:
            self._line.registration.stop(_now())
            self._nudged.set()
            await asyncio.wait({self._registering}, timeout=UNREGISTER_LIMIT_S)
        self._registering.cancel()
        await asyncio.gather(self._checking, self._registering, return_exceptions=True)

    async def _check(self) -> None:
        line = self._line
        while (at := line.health.wake_at()) is not None:
            await asyncio.sleep(max(0.0, at - _now()))
            code = await self._link.ping(line.trunk)
            if line.health.checked(code, _now()):
                said = "no answer" if code is None else f"answer {code}"
                tell = log.warning if line.health.is_down else log.info
                tell(
                    f"A trunk is {line.health.state}: {said} to OPTIONS.",
                    action="trunk_health",
                    trunk=line.name,
                    state=line.health.state.value,
                )

    async def _register(self) -> None:
        registration = self._line.registration
        if registration is None:
            return
        call_id, cseq = "", 0
        while registration.state is not RegistrationState.OVER:
            for send in registration.take_sends():
                plan = register_plan(self._line.trunk, expires_s=send.expires_s, call_id=call_id, cseq=cseq + 1)
                done = await self._link.ask(plan)
                call_id, cseq = done.call_id, done.cseq
                registration.receive(
                    code=done.code, reason=done.reason, headers=done.headers, local=done.local, now=_now()
                )
                self._tell(registration)
                break  # what it wants now may be something new
            else:
                await self._sleep_until(registration.wake_at())
                registration.wake(_now())
        self._tell(registration)

    async def _sleep_until(self, at: float | None) -> None:
        """Return at a moment, or as soon as something else is wanted of the registration."""
        try:
            async with asyncio.timeout_at(at):
                await self._nudged.wait()
        except TimeoutError:
            return
        self._nudged.clear()

    def _tell(self, registration: Registration) -> None:
        line = self._line
        for event in registration.take_events():
            match event:
                case machine.Registered():
                    line.refused = None
                    log.info(
                        f"Registered at a trunk for {event.until - event.at:g} s.",
                        action="trunk_registered",
                        trunk=line.name,
                    )
                case machine.RegistrationFailed():
                    text = event.reason if event.local else f"{event.code} {event.reason}"
                    line.refused = Refused(text=text, retry_at=event.retry_at)
                    log.warning(
                        f"A trunk did not register us: {text}. Next try in {event.retry_at - event.at:.0f} s.",
                        action="trunk_not_registered",
                        trunk=line.name,
                    )
                case machine.Unregistered():
                    log.info("Not registered at a trunk any more.", action="trunk_unregistered", trunk=line.name)


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.error(
            "A trunk is not watched any more.", action="trunk_watch_failed", task=task.get_name(), exc_info=problem
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
