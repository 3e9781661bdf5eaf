"""A stage for one action: a fake call on virtual time, speech that takes no time, and everything that was told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.support.virtual_time import run_virtual

from callwright.accounts.service import Page
from callwright.apps.events import EventKind, InstanceEvent, Journal
from callwright.apps.rest.document import ActionResult
from callwright.apps.rest.fields import Fields, Findings
from callwright.apps.rest.log import InstanceLog, Level
from callwright.apps.rest.media_store import MediaStore
from callwright.apps.rest.problem import Problem, ProblemKind
from callwright.apps.rest.stage import SpokenSeconds, Stage
from callwright.apps.rest.webhook import PageSession
from callwright.engine.interface import CallFacts, CallOrder, Keys, MediaUnavailable, SoundFile
from callwright.speech import Rendered, Speech
from callwright.testing.fake_call import FakeCall
from callwright.testing.personas import LISTENER, Persona
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId, InstanceId

INSTANCE = InstanceId("00000000000000aa.5")
CALL = CallId("00000000000000aa.1.2")
PROMPT_S = 3.0
NOW = 1_770_000_000.0


class Lines:
    """A log in memory."""

    name = "log"

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, level: Level, text: str) -> None:
        self.lines.append(f"{level} {text}")


class QuickSpeech:
    """Speaks every text as ``PROMPT_S`` of sound; a voice with "Neural" in it is neural."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, str, bool]] = []
        self.failure: Exception | None = None
        self.warnings: tuple[str, ...] = ()
        self.takes_s = 0.0

    async def render(self, text: str, *, selector: str | None, default_selector: str, private: bool) -> Rendered:
        self.asked.append((text, selector, default_selector, private))
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(self.takes_s)
        return Rendered(
            path=Path(f"/speech/{text}.wav"),
            duration_s=PROMPT_S,
            engine="tone",
            engine_version="1",
            voice="tone",
            neural="Neural" in (selector or default_selector),
            warnings=self.warnings,
        )


class PageSounds:
    """Delivers sounds of pages; a URL with "broken" in it cannot be fetched."""

    async def fetch_sound(self, url: str) -> str:
        if "broken" in url:
            raise Problem(ProblemKind.PAGE_REQUEST_FAILED, f"GET {url}: status 404")
        return f"/cache/{url.rpartition('/')[2]}"


def length_of(path: str) -> float:
    """Every sound lasts ``PROMPT_S``; one with "unreadable" in its path is none."""
    if "unreadable" in path:
        raise MediaUnavailable(f"cannot play {path}: it is not a sound file that can be read (Error opening '{path}')")
    return PROMPT_S


@dataclass(slots=True, kw_only=True)
class Acting:
    """A stage with its insides in the open."""

    stage: Stage
    call: FakeCall
    speech: QuickSpeech
    notified: list[tuple[Page, ActionResult]]
    log: Lines
    events: list[InstanceEvent] = field(default_factory=list)

    def heard(self) -> list[str]:
        """Return what the far end was played, in order; what was stopped before its end has an ellipsis."""
        shown = []
        for played in self.call.played:
            sound = played.sound
            what = Path(sound.path).stem if isinstance(sound, SoundFile) else str(sound)
            what = sound.digits if isinstance(sound, Keys) else what
            shown.append(what if played.finished else f"{what}…")
        return shown

    def told(self, kind: EventKind) -> list[str]:
        return [event.text for event in self.events if event.kind is kind]

    def at(self, seconds: float, do: Callable[[], object]) -> None:
        """Let something happen at this second of the call."""
        asyncio.get_running_loop().call_at(seconds, do)

    def now(self) -> float:
        return asyncio.get_running_loop().time()


def act(
    story: Callable[[Acting], Coroutine[Any, Any, None]],
    *,
    folder: Path | None = None,
    persona: Persona = LISTENER,
    voice: str = "",
) -> None:
    """Run a story with an answered call at second 0 of virtual time."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        facts = CallFacts(call_id=CALL, destination=parse_destination("tel:999005550009"), answered_at=NOW)
        order = CallOrder(call_id=CALL, destination=facts.destination, caller_id="441908273800", service_name="s")
        call = FakeCall(order, facts, persona=persona, clock=loop.time, length_of=length_of)
        log, speech = Lines(), QuickSpeech()
        events: list[InstanceEvent] = []
        notified: list[tuple[Page, ActionResult]] = []
        stage = Stage(
            call=call,
            instance_id=INSTANCE,
            speech=cast(Speech, speech),
            voice=voice,
            media=MediaStore(folder=folder or Path("/nowhere")),
            session=cast(PageSession, PageSounds()),
            resolve=lambda page: page,
            notify=lambda page, result: notified.append((page, result)),
            journal=Journal(
                instance_id=INSTANCE,
                call_id=CALL,
                log=cast(InstanceLog, log),
                watcher=events.append,
                clock=loop.time,
            ),
            clock=lambda: NOW + loop.time(),
            spoken=SpokenSeconds(),
        )
        await story(Acting(stage=stage, call=call, speech=speech, notified=notified, log=log, events=events))

    run_virtual(main())


def read_fields(properties: object) -> tuple[Fields, Findings]:
    """Return the reader of an action's properties and what it will find."""
    findings = Findings()
    return Fields(properties, "actions[0].it", findings), findings
