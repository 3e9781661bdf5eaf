"""The action ``hang_up``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from callwright.apps.rest.fields import Fields
from callwright.apps.rest.stage import Next, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Hang up the call; what is left of the list is dropped. No properties, no result."""

    name: ClassVar[str] = "hang_up"

    @classmethod
    def read(cls, fields: Fields, /) -> Self:
        return cls()

    async def run(self, stage: Stage) -> Next:
        return Next(hang_up=True)
