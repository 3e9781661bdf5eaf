from __future__ import annotations

import asyncio

import pytest

from callwright.values.ids import ServiceReference
from callwright.web.follow import EVENTS_KEPT, STARTS_KEPT, WATCHER_BUFFER, Broadcaster, TooSlow

ONE, OTHER = ServiceReference("a"), ServiceReference("b")


def test_a_watcher_hears_the_events_of_its_start_in_order() -> None:
    async def run() -> None:
        broadcaster = Broadcaster()
        with broadcaster.watch(ONE) as watcher:
            broadcaster.publish(OTHER, "not mine")
            for event in "abc":
                broadcaster.publish(ONE, event)
            assert [await watcher.next(1) for _ in range(3)] == ["a", "b", "c"]
            assert await watcher.next(0) is None

    asyncio.run(run())


def test_waiting_ends_when_something_happens() -> None:
    async def run() -> None:
        broadcaster = Broadcaster()
        with broadcaster.watch(ONE) as watcher:
            asyncio.get_running_loop().call_soon(broadcaster.publish, ONE, "now")
            assert await watcher.next(60) == "now"

    asyncio.run(run())


def test_who_begins_to_watch_late_is_told_what_happened_before() -> None:
    async def run() -> None:
        broadcaster = Broadcaster()
        broadcaster.publish(ONE, "before")
        with broadcaster.watch(ONE) as watcher:
            broadcaster.publish(ONE, "after")
            assert [await watcher.next(1), await watcher.next(1)] == ["before", "after"]

    asyncio.run(run())


def test_every_watcher_of_a_start_hears_everything() -> None:
    async def run() -> None:
        broadcaster = Broadcaster()
        with broadcaster.watch(ONE) as first, broadcaster.watch(ONE) as second:
            broadcaster.publish(ONE, "x")
            assert broadcaster.watching == 2
            assert await first.next(1) == await second.next(1) == "x"
        assert broadcaster.watching == 0

    asyncio.run(run())


def test_a_slow_watcher_is_dropped_and_told_so_and_the_others_are_not() -> None:
    async def run() -> None:
        broadcaster = Broadcaster()
        with broadcaster.watch(ONE) as slow, broadcaster.watch(ONE) as quick:
            for n in range(WATCHER_BUFFER + 1):
                broadcaster.publish(ONE, n)
                assert await quick.next(1) == n
            broadcaster.publish(ONE, "more")
            assert await quick.next(1) == "more"
            with pytest.raises(TooSlow):
                await slow.next(1)
            assert broadcaster.watching == 1

    asyncio.run(run())


def test_what_is_kept_is_bounded() -> None:
    async def run() -> None:
        broadcaster = Broadcaster()
        for n in range(EVENTS_KEPT + 5):
            broadcaster.publish(ONE, n)
        with broadcaster.watch(ONE) as watcher:
            assert await watcher.next(1) == 5
        for n in range(STARTS_KEPT):
            broadcaster.publish(ServiceReference(f"r{n}"), n)
        with broadcaster.watch(ONE) as watcher:
            assert await watcher.next(0) is None
        with broadcaster.watch(ServiceReference("r0")) as watcher:
            assert await watcher.next(1) == 0

    asyncio.run(run())
