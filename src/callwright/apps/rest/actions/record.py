"""The action ``record``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Self

from callwright.accounts.service import Page
from callwright.apps.rest.document import ActionResult, one_decimal
from callwright.apps.rest.fields import Fields
from callwright.apps.rest.stage import Next, Stage
from callwright.engine.interface import CallEnded, Recorded, RecordingFormat, RecordingOrder

MAX_DURATION_S = 60
MAX_SILENCE_MS = 3000
LONGEST_S = 4 * 3600
LONGEST_SILENCE_MS = LONGEST_S * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResult:
    """``action_result.result`` of a recording."""

    filename: str
    contains_sound: bool
    seconds_duration: float
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Record the far end until it falls silent, a limit is reached or one of some keys is pressed.

    Keys typed before the recording are dropped. When the far end hangs up, what was recorded is kept and the page
    for available recordings is notified; the next page is not asked for.
    """

    name: ClassVar[str] = "record"
    next_page: Page
    id: str = ""
    barge_in_digits: str = "#"
    max_duration_s: int = MAX_DURATION_S
    max_silence_ms: int = MAX_SILENCE_MS
    max_initial_silence_ms: int = 0
    format: RecordingFormat | None = None
    beep: bool = False
    available_page: Page | None = None

    @classmethod
    def read(cls, fields: Fields, /) -> Self:
        fields.not_available("encryption_cipher")
        format = fields.choice("format", ("alaw", "ulaw"))
        return cls(
            next_page=fields.required_page("next_page"),
            id=fields.text("id", default=""),
            barge_in_digits=fields.digits("barge_in_digits", default="#"),
            max_duration_s=fields.integer("seconds_max_duration", default=MAX_DURATION_S, minimum=1, maximum=LONGEST_S),
            max_silence_ms=fields.integer(
                "milliseconds_max_silence", default=MAX_SILENCE_MS, minimum=1, maximum=LONGEST_SILENCE_MS
            ),
            max_initial_silence_ms=fields.integer(
                "milliseconds_max_initial_silence", default=0, minimum=0, maximum=LONGEST_SILENCE_MS
            ),
            format=RecordingFormat(format) if format in ("alaw", "ulaw") else None,
            beep=fields.boolean("beep_on_start", default=False),
            available_page=fields.page("recording_available_page"),
        )

    async def run(self, stage: Stage) -> Next:
        stage.keys.drop_waiting()
        name, path = await stage.new_recording()
        try:
            recorded = await self._record(stage, path)
        except CallEnded:
            kept = stage.call.last_recording
            if kept is not None and kept.path == path:
                self._publish(stage, name, kept)
            raise
        return Next(page=self.next_page, result=self._publish(stage, name, recorded))

    async def _record(self, stage: Stage, path: str) -> Recorded:
        order = RecordingOrder(
            path=path,
            max_duration_s=self.max_duration_s,
            max_silence_s=self.max_silence_ms / 1000,
            max_initial_silence_s=(self.max_initial_silence_ms or self.max_silence_ms) / 1000,
            beep=self.beep,
            format=self.format,
        )
        listening = asyncio.create_task(self._stop_at_key(stage), name="keys that stop a recording")
        try:
            return await stage.record(order)
        finally:
            listening.cancel()
            await asyncio.wait({listening})

    async def _stop_at_key(self, stage: Stage) -> None:
        try:
            while (key := await stage.keys.next(None)) is None or key not in self.barge_in_digits:
                pass
        except CallEnded:
            return  # the recording ends by itself, and says so
        stage.chose(key)
        stage.call.stop_recording()

    def _publish(self, stage: Stage, name: str, recorded: Recorded) -> ActionResult:
        """Tell whoever wants to know that the recording is there, and return the action's result."""
        result = ActionResult(
            action=self.name,
            result=RecordResult(
                filename=name,
                contains_sound=recorded.contains_sound,
                seconds_duration=one_decimal(recorded.duration_s),
                id=self.id,
            ),
        )
        stage.recorded(name, recorded)
        if self.available_page is not None:
            stage.notify(self.available_page, result)
        return result
