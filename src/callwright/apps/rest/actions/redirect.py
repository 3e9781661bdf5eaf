"""The action ``redirect``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from callwright.accounts.service import Page
from callwright.apps.rest.fields import Fields
from callwright.apps.rest.stage import Next, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Go on with another page at once; its request carries no result."""

    name: ClassVar[str] = "redirect"
    next_page: Page

    @classmethod
    def read(cls, fields: Fields, /) -> Self:
        return cls(next_page=fields.required_page("next_page", "page", "redirect_page"))

    async def run(self, stage: Stage) -> Next:
        return Next(page=self.next_page)
