from __future__ import annotations

from tests.support.stages import Acting, act, read_fields

from callwright.apps.rest.actions.hang_up import HangUp
from callwright.apps.rest.stage import Next


def test_hang_up_wants_the_call_ended_and_nothing_else() -> None:
    async def story(here: Acting) -> None:
        fields, findings = read_fields({})
        assert await HangUp.read(fields).run(here.stage) == Next(hang_up=True)
        assert findings.problems == []

    act(story)
