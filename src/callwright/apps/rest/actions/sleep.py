"""The action ``sleep``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Self

from callwright.apps.rest.fields import Fields
from callwright.apps.rest.stage import DONE, Next, Stage

MAX_SLEEP_S = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Wait. Keys pressed meanwhile are kept for the next action. No result."""

    name: ClassVar[str] = "sleep"
    seconds: float

    @classmethod
    def read(cls, fields: Fields, /) -> Self:
        return cls(seconds=fields.number("seconds_duration", "seconds", minimum=0.0, maximum=MAX_SLEEP_S))

    async def run(self, stage: Stage) -> Next:
        await stage.while_up(asyncio.sleep(self.seconds))
        return DONE
