from __future__ import annotations

import asyncio

import pytest
from tests.support.stages import Acting, act

from callwright.apps.rest.typed_keys import MAX_HELD_KEYS
from callwright.engine.interface import CallEnded


def test_waiting_keys_come_in_the_order_they_were_pressed() -> None:
    async def story(here: Acting) -> None:
        keys = here.stage.keys
        here.call.press("12")
        assert keys.take_waiting() == "1"
        here.call.press("3")
        assert [keys.take_waiting(), keys.take_waiting(), keys.take_waiting()] == ["2", "3", ""]

    act(story)


def test_next_takes_a_waiting_key_first_then_waits_then_gives_up() -> None:
    async def story(here: Acting) -> None:
        keys = here.stage.keys
        here.call.press("1")
        here.at(2.0, lambda: here.call.press("2"))
        assert await keys.next(5.0) == "1"
        assert here.now() == 0.0
        assert await keys.next(5.0) == "2"
        assert here.now() == 2.0
        assert await keys.next(5.0) is None
        assert here.now() == 7.0

    act(story)


def test_another_ignores_keys_that_were_waiting_and_takes_none() -> None:
    async def story(here: Acting) -> None:
        keys = here.stage.keys
        here.call.press("1")
        keys.hold_waiting()
        here.at(2.0, lambda: here.call.press("2"))
        await keys.another()
        assert here.now() == 2.0
        assert [keys.take_waiting(), keys.take_waiting()] == ["1", "2"]

    act(story)


def test_dropped_keys_are_gone() -> None:
    async def story(here: Acting) -> None:
        keys = here.stage.keys
        here.call.press("12")
        keys.take_waiting()
        keys.drop_waiting()
        assert keys.take_waiting() == ""

    act(story)


def test_end_of_the_call_reaches_whoever_waits() -> None:
    async def story(here: Acting) -> None:
        here.at(1.0, here.call.far_end_hangs_up)
        waiting = asyncio.create_task(here.stage.keys.another())
        with pytest.raises(CallEnded):
            await here.stage.keys.next(None)
        with pytest.raises(CallEnded):
            await waiting

    act(story)


def test_keys_pressed_after_the_mark_count_as_another_and_those_before_do_not() -> None:
    async def story(here: Acting) -> None:
        keys = here.stage.keys
        here.call.press("1")
        keys.hold_waiting()
        here.call.press("2")
        await keys.another()
        assert here.now() == 0.0
        assert [keys.take_waiting(), keys.take_waiting()] == ["1", "2"]

    act(story)


def test_far_end_that_leans_on_its_keypad_fills_no_memory() -> None:
    async def story(here: Acting) -> None:
        keys = here.stage.keys
        for _ in range(3):
            here.call.press("1" * MAX_HELD_KEYS)
            keys.hold_waiting()
        taken = 0
        while keys.take_waiting():
            taken += 1
        assert taken == MAX_HELD_KEYS

    act(story)
