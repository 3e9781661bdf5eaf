"""Everything an instance needs, small and fast: a fake engine, a real database, a real web server, tones for speech."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from callwright.accounts import store
from callwright.accounts.service import ApplicationKind, CallType, Direction, Page, Service
from callwright.apps.events import EventKind, InstanceEvent
from callwright.apps.instance import InstanceOrder, InstanceResult, Surroundings, run_instance
from callwright.apps.rest.addresses import AddressPolicy
from callwright.apps.rest.webhook import PageClient
from callwright.db.database import Database
from callwright.records import ledger
from callwright.speech import Speech
from callwright.speech.synthesiser import Sound
from callwright.speech.voices import Voice
from callwright.testing.fake_engine import FakeEngine
from callwright.testing.personas import Persona, persona_of
from callwright.testing.web_application import WebApplication
from callwright.values.destination import Destination, parse_destination
from callwright.values.ids import AccountId, CallId, InstanceId, ServiceId, ServiceReference

ACCOUNT = AccountId(1)
SPEED = 50.0
DEADLINE_S = 20.0

_numbers = count(1)


class ToneSynthesiser:
    """Speaks every text as a tone of 1 s; ``spoken`` keeps the texts."""

    engine = "flite"
    version = "tone"
    max_characters = 1000

    def __init__(self) -> None:
        self.spoken: list[str] = []

    async def speak(self, text: str, voice: Voice, rate: float) -> Sound:
        self.spoken.append(text)
        return Sound(samples=(0.3 * np.sin(np.arange(8000) * 0.35)).astype(np.float32), rate=8000)

    async def close(self) -> None:
        pass


@dataclass(slots=True, kw_only=True)
class Scene:
    """One test's platform. ``events`` is what the watcher was told."""

    web: WebApplication
    engine: FakeEngine
    around: Surroundings
    tones: ToneSynthesiser
    events: list[InstanceEvent] = field(default_factory=list)
    happened: dict[EventKind, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    media_root: Path
    logs_root: Path

    def watch(self, event: InstanceEvent) -> None:
        self.events.append(event)
        self.happened[event.kind].set()

    async def wait_for(self, kind: EventKind) -> None:
        """Return once an event of this kind was told."""
        async with asyncio.timeout(10):
            await self.happened[kind].wait()

    async def run(self, order: InstanceOrder) -> InstanceResult:
        return await run_instance(order, self.opening(order), around=self.around)

    def opening(self, order: InstanceOrder) -> Callable[[bytes], Any]:
        """Return a ``before_invite`` that opens the records, as the dispatcher's does."""

        async def before_invite(saved: bytes) -> None:
            await self.around.database.write(lambda c: _open_records(c, order))

        return before_invite

    async def status(self, order: InstanceOrder) -> dict[str, Any]:
        """Return the application_status of a finished instance."""
        found = await self.around.database.read(lambda c: ledger.application_status(c, ACCOUNT, order.instance_id))
        assert found is not None, "the records are not closed"
        return found

    def log_text(self, order: InstanceOrder) -> str:
        """Return the instance's log under its start-time name."""
        found = sorted(self.logs_root.rglob(f"*{order.instance_id}.log"))
        return found[0].read_text() if found else ""

    def told(self, kind: EventKind) -> list[str]:
        return [event.text for event in self.events if event.kind is kind]

    def order(
        self,
        number: str = "999005550009",
        *,
        final: bool = True,
        error: bool = True,
        token: str | None = "order-7",
        method: str = "POST",
        caller_id: str = "441908273800",
    ) -> InstanceOrder:
        """Return an order whose service has the pages /first, /final and /error of the web application."""
        hex16 = f"{next(_numbers):016x}"
        service = Service(
            id=ServiceId(1),
            account_id=ACCOUNT,
            name="reminder",
            direction=Direction.OUTBOUND,
            application=ApplicationKind.REST,
            enabled=True,
            first_page=Page(url=f"{self.web.url}/first", method="GET" if method == "GET" else "POST"),
            final_page=Page(url=f"{self.web.url}/final") if final else None,
            error_page=Page(url=f"{self.web.url}/error") if error else None,
            application_parameters="campaign=7",
            tts_voice="",
            call_type=CallType.TELEPHONE,
            max_cps=None,
            min_cps=None,
            max_running=None,
            ring_timeout_s=60.0,
            uas_application_name="",
        )
        return InstanceOrder(
            instance_id=InstanceId(f"{hex16}.12"),
            call_id=CallId(f"{hex16}.1.2"),
            reference=ServiceReference("2e891aea_0.1366641192.77832"),
            account_id=ACCOUNT,
            service=service,
            destination=parse_destination(f"tel:{number}"),
            caller_id=caller_id,
            token=token,
            outbound_parameters="customer=991",
            extra_sip_headers=(),
            started_at=self.around.clock(),
        )


def _open_records(c: Any, order: InstanceOrder) -> None:
    ledger.open_adr(
        c,
        instance_id=order.instance_id,
        account_id=order.account_id,
        application_name=order.service.name,
        started_at=order.started_at,
        reference=order.reference,
    )
    ledger.open_cdr(
        c,
        call_id=order.call_id,
        instance_id=order.instance_id,
        destination_address=order.destination.prefixed,
        originating_user=order.caller_id,
        initiated_at=order.started_at,
    )


@asynccontextmanager
async def scene(
    tmp_path: Path,
    *,
    speed: float = SPEED,
    persona: Callable[[Destination], Persona] = persona_of,
    total_timeout_s: float = 5.0,
) -> AsyncIterator[Scene]:
    """Open a platform for one test."""
    tones = ToneSynthesiser()
    engine = FakeEngine(speed=speed, persona_of=persona)
    told: list[Scene] = []
    with Database.open(tmp_path / "data" / "callwright.db") as database:
        database.write_now(lambda c: store.create_account(c, username="tester", created_at=time.time()))
        async with (
            WebApplication() as web,
            Speech(tmp_path / "speech", synthesisers=[tones]) as speech,
            await PageClient.open(
                AddressPolicy(allow_loopback=True),
                media_cache=tmp_path / "page_sounds",
                total_timeout_s=total_timeout_s,
            ) as pages,
        ):
            around = Surroundings(
                engine=engine,
                database=database,
                pages=pages,
                speech=speech,
                media_root=tmp_path / "media",
                logs_root=tmp_path / "logs",
                clock=time.time,
                watcher=lambda event: told[0].watch(event),
            )
            here = Scene(
                web=web,
                engine=engine,
                around=around,
                tones=tones,
                media_root=tmp_path / "media",
                logs_root=tmp_path / "logs",
            )
            told.append(here)
            yield here


def play_out(tmp_path: Path, story: Callable[[Scene], Awaitable[None]], **options: Any) -> None:
    """Play one story in a scene of its own, within a deadline."""

    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S), scene(tmp_path, **options) as here:
            await story(here)

    asyncio.run(main(), debug=True)
