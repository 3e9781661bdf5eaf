"""Following starts as they happen: events fan out to whoever watches, and nobody who watches can hold up a call.

``publish`` never waits. A watcher has a bounded buffer; one that does not keep up is dropped and told so. The newest
events of recent starts are kept, so that watching may begin a moment after the start.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from callwright.values.errors import CallwrightError
from callwright.values.ids import ServiceReference

EVENTS_KEPT = 200
STARTS_KEPT = 500
WATCHER_BUFFER = 1000


class TooSlow(CallwrightError):
    """The watcher did not keep up with the events and was dropped: watch again."""


class Watcher:
    """The events of one start for one watcher, oldest first."""

    def __init__(self, former: list[object]) -> None:
        self._events: deque[object] = deque(former)
        self._arrived = asyncio.Event()
        self._dropped = False
        if former:
            self._arrived.set()

    async def next(self, timeout_s: float) -> object | None:
        """Return the next event, None when none comes within ``timeout_s``; raise ``TooSlow`` once dropped."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return None
        if self._dropped:
            raise TooSlow(f"more than {WATCHER_BUFFER} events were waiting for this watcher; watch again")
        event = self._events.popleft()
        if not self._events:
            self._arrived.clear()
        return event

    def put(self, event: object) -> bool:
        """Take an event; False when the buffer is full, and then it takes no more."""
        if len(self._events) >= WATCHER_BUFFER:
            self._dropped = True
            self._events.clear()
        else:
            self._events.append(event)
        self._arrived.set()
        return not self._dropped


class Broadcaster:
    """Hands the events of each start to its watchers. Belongs to one event loop."""

    def __init__(self) -> None:
        self._watchers: dict[ServiceReference, list[Watcher]] = {}
        self._kept: OrderedDict[ServiceReference, deque[object]] = OrderedDict()

    def publish(self, reference: ServiceReference, event: object) -> None:
        """Tell the watchers of a start; ``event`` is a dataclass that JSON can show."""
        kept = self._kept.get(reference)
        if kept is None:
            kept = self._kept[reference] = deque(maxlen=EVENTS_KEPT)
            if len(self._kept) > STARTS_KEPT:
                self._kept.popitem(last=False)
        kept.append(event)
        watchers = self._watchers.get(reference)
        if watchers:
            watchers[:] = [watcher for watcher in watchers if watcher.put(event)]

    @contextmanager
    def watch(self, reference: ServiceReference) -> Iterator[Watcher]:
        """Watch a start: what is kept of its past first, then what happens."""
        watcher = Watcher(list(self._kept.get(reference, ())))
        watchers = self._watchers.setdefault(reference, [])
        watchers.append(watcher)
        try:
            yield watcher
        finally:
            # By identity: the list may have been emptied of this watcher when it was dropped.
            left = [other for other in self._watchers.get(reference, ()) if other is not watcher]
            if left:
                self._watchers[reference] = left
            else:
                self._watchers.pop(reference, None)

    @property
    def watching(self) -> int:
        """How many watchers there are."""
        return sum(map(len, self._watchers.values()))
