from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from tests.support.virtual_time import run_virtual

from callwright.apps.rest import pen as pen_module
from callwright.apps.rest.log_files import Entry
from callwright.apps.rest.pen import FLUSH_MANY_S, FLUSH_S, MANY_LOGS, Pen

DEADLINE_S = 10.0


class Visits:
    """What the thread was given at each visit. A visit lasts while ``may_end`` is not set."""

    def __init__(self) -> None:
        self.paths: list[list[str]] = []
        self.may_end = threading.Event()
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def __call__(self, entries: Sequence[Entry]) -> None:
        self.paths.append([entry.path for entry in entries])
        self._loop.call_soon_threadsafe(self.begun.put_nowait, None)
        assert self.may_end.wait(DEADLINE_S)
        if entries[-1].path == "breaks":
            raise LookupError("a bug")


def tell(monkeypatch: pytest.MonkeyPatch, story: Callable[[Pen, Visits], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        visits = Visits()
        monkeypatch.setattr(pen_module, "write", visits)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await story(Pen.here(), visits)
        finally:
            visits.may_end.set()

    asyncio.run(main())


def entry(path: str) -> Entry:
    return Entry(path=path, failed=lambda error: None)


def handed_in(pen: Pen, path: str) -> asyncio.Future[None]:
    done = asyncio.get_running_loop().create_future()
    pen.hand_in(entry(path), done)
    return done


def test_what_is_handed_in_during_a_visit_shares_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pen: Pen, visits: Visits) -> None:
        first = handed_in(pen, "first")
        await visits.begun.get()
        others = [handed_in(pen, name) for name in "abc"]
        visits.may_end.set()
        await asyncio.gather(first, *others)
        assert visits.paths == [["first"], ["a", "b", "c"]]
        await handed_in(pen, "later")
        assert visits.paths[-1] == ["later"]

    tell(monkeypatch, story)


def test_nobody_waits_for_ever_when_a_visit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pen: Pen, visits: Visits) -> None:
        visits.may_end.set()
        await handed_in(pen, "breaks")
        await handed_in(pen, "next")

    tell(monkeypatch, story)


@pytest.mark.parametrize(("logs", "after_s"), [(1, FLUSH_S), (MANY_LOGS, FLUSH_MANY_S)])
def test_lines_of_many_logs_wait_longer_for_each_other(logs: int, after_s: float) -> None:
    async def story() -> None:
        flushed = asyncio.Event()
        for _ in range(logs):
            Pen.here().flush_later(flushed.set)
        await flushed.wait()
        assert asyncio.get_running_loop().time() == after_s

    run_virtual(story())
