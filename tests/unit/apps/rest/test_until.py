from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from callwright.apps.rest.until import Until, Within

Event = asyncio.Future[None]


def tell(story: Callable[[Event], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(5):
            await story(asyncio.get_running_loop().create_future())

    asyncio.run(main())


def test_what_is_awaited_is_broken_off_when_the_event_happens() -> None:
    async def story(event: Event) -> None:
        asyncio.get_running_loop().call_soon(event.set_result, None)
        with Until(event):
            await asyncio.Event().wait()
            pytest.fail("nothing goes on after it was broken off")
        await asyncio.sleep(0)  # the task itself is not cancelled

    tell(story)


def test_what_ends_first_ends_undisturbed() -> None:
    async def story(event: Event) -> None:
        with Until(event):
            await asyncio.sleep(0)
        event.set_result(None)
        await asyncio.sleep(0)

    tell(story)


def test_event_that_happens_as_the_work_ends_does_not_strike_later() -> None:
    async def story(event: Event) -> None:
        with Until(event):
            event.set_result(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    tell(story)


def test_event_of_the_past_breaks_off_at_the_first_wait() -> None:
    async def story(event: Event) -> None:
        event.set_result(None)
        begun = False
        with Until(event):
            begun = True
            await asyncio.Event().wait()
        assert begun

    tell(story)


def test_failure_of_the_work_is_passed_on() -> None:
    async def story(event: Event) -> None:
        async def fail() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise LookupError

        asyncio.get_running_loop().call_soon(event.set_result, None)
        with pytest.raises(LookupError), Until(event):
            await fail()
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    tell(story)


@pytest.mark.parametrize("happens", [True, False])
def test_cancellation_from_outside_goes_through(happens: bool) -> None:
    async def story(event: Event) -> None:
        async def work() -> None:
            with Until(event):
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        if happens:
            event.set_result(None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    tell(story)


def test_work_that_takes_too_long_is_broken_off_with_a_timeout() -> None:
    async def story(_: Event) -> None:
        with pytest.raises(TimeoutError), Within(0.01):
            await asyncio.Event().wait()
        with Within(5):
            await asyncio.sleep(0)

    tell(story)


def test_inner_limit_is_not_taken_for_the_outer_one() -> None:
    async def story(_: Event) -> None:
        with Within(5):
            with pytest.raises(TimeoutError), Within(0.01):
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError), Within(0.01), Within(5):
            await asyncio.Event().wait()

    tell(story)


def test_cancellation_is_not_taken_for_a_timeout() -> None:
    async def story(_: Event) -> None:
        async def work() -> None:
            with Within(5):
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    tell(story)
