from __future__ import annotations

import asyncio

import pytest
from tests.support.stages import Acting, act, read_fields

from callwright.apps.rest.actions.sleep import Sleep
from callwright.apps.rest.stage import DONE
from callwright.engine.interface import CallEnded


@pytest.mark.parametrize("name", ["seconds_duration", "seconds"])
def test_sleep_takes_its_seconds_and_keeps_keys(name: str) -> None:
    async def story(here: Acting) -> None:
        fields, findings = read_fields({name: 2.5})
        here.at(1.0, lambda: here.call.press("3"))
        assert await Sleep.read(fields).run(here.stage) == DONE
        assert findings.problems == []
        assert here.now() == 2.5
        assert here.stage.keys.take_waiting() == "3"

    act(story)


def test_hang_up_in_the_middle_ends_the_sleep() -> None:
    async def story(here: Acting) -> None:
        here.at(4.0, here.call.far_end_hangs_up)
        with pytest.raises(CallEnded):
            await Sleep(seconds=3600).run(here.stage)
        assert here.now() == 4.0

    act(story)


def test_cancellation_ends_the_sleep() -> None:
    async def story(here: Acting) -> None:
        running = asyncio.create_task(Sleep(seconds=3600).run(here.stage))
        here.at(4.0, running.cancel)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert here.now() == 4.0

    act(story)
