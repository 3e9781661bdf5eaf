from __future__ import annotations

import pytest
from tests.support.stages import Acting, act, read_fields

from callwright.accounts.service import Page
from callwright.apps.rest.actions.redirect import Redirect
from callwright.apps.rest.stage import Next


@pytest.mark.parametrize("name", ["next_page", "page"])
def test_redirect_asks_for_its_page_without_a_result(name: str) -> None:
    async def story(here: Acting) -> None:
        fields, findings = read_fields({name: {"url": "on?x=1", "method": "GET"}})
        assert await Redirect.read(fields).run(here.stage) == Next(page=Page(url="on?x=1", method="GET"))
        assert findings.problems == []

    act(story)
