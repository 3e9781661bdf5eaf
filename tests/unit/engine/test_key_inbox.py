"""Keys wait in order until they are taken, and nobody waits for keys of a dead call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from callwright.engine.interface import CallEnded
from callwright.engine.key_inbox import MAX_WAITING_KEYS, WaitingKeys
from callwright.values.outcome import EndedBy, answered_outcome

OVER = answered_outcome(ended_by=EndedBy.FAR_END)


def with_keys(story: Callable[[WaitingKeys], Awaitable[None]]) -> None:
    async def main() -> None:
        await story(WaitingKeys())

    asyncio.run(main())


def test_keys_are_taken_in_order_one_or_all() -> None:
    async def story(keys: WaitingKeys) -> None:
        for key in "1#2*":
            keys.put(key)
        assert keys.peek() == "1#2*"
        assert await keys.next(0) == "1"
        assert keys.take_all() == "#2*"
        assert keys.peek() == ""

    with_keys(story)


def test_no_key_in_time_is_none() -> None:
    async def story(keys: WaitingKeys) -> None:
        assert await keys.next(0) is None

    with_keys(story)


def test_who_waits_gets_the_key_when_it_comes_and_each_key_goes_to_one() -> None:
    async def story(keys: WaitingKeys) -> None:
        waiting = [asyncio.create_task(keys.next(None)) for _ in range(2)]
        await asyncio.sleep(0)
        keys.put("5")
        done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == ["5"]
        keys.put("6")
        assert [await task for task in left] == ["6"]

    with_keys(story)


@pytest.mark.parametrize("wait", ["next", "arrived"])
def test_the_end_of_the_call_wakes_who_waits_and_stops_who_comes_later(wait: str) -> None:
    async def story(keys: WaitingKeys) -> None:
        def waiting() -> asyncio.Task[object]:
            return asyncio.create_task(keys.next(None) if wait == "next" else keys.arrived())

        early = waiting()
        await asyncio.sleep(0)
        keys.close(OVER)
        for task in (early, waiting()):
            with pytest.raises(CallEnded) as ended:
                await task
            assert ended.value.outcome is OVER

    with_keys(story)


def test_keys_pressed_before_the_end_can_still_be_taken() -> None:
    async def story(keys: WaitingKeys) -> None:
        keys.put("9")
        keys.close(OVER)
        assert await keys.next(None) == "9"

    with_keys(story)


def test_a_leaning_elbow_does_not_fill_the_memory() -> None:
    async def story(keys: WaitingKeys) -> None:
        for _ in range(MAX_WAITING_KEYS + 5):
            keys.put("0")
        assert len(keys.peek()) == MAX_WAITING_KEYS

    with_keys(story)
