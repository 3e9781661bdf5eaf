"""The action ``play``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from callwright.apps.rest.fields import Fields
from callwright.apps.rest.play_list import PlayList, read_play_list
from callwright.apps.rest.stage import DONE, Next, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Play texts, files and digits one after the other, to their end or the first key.

    A key skips what is left of this action only, and waits for the next action that takes keys. No page, no result.
    """

    name: ClassVar[str] = "play"
    play_list: PlayList

    @classmethod
    def read(cls, fields: Fields, /) -> Self:
        return cls(play_list=read_play_list(fields))

    async def run(self, stage: Stage) -> Next:
        await stage.play(self.play_list)
        return DONE
