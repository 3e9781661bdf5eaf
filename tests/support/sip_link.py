"""Two SIP cores and a link between them that may lose, double, delay and so reorder what it carries."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from callwright.sip.core import SipCore
from callwright.sip.event import Event

CALLER = ("192.0.2.1", 5060)
CALLED = ("192.0.2.9", 5060)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What happens to the n-th datagram of one direction: lost, doubled, or late by some seconds."""

    lost: frozenset[int] = frozenset()
    doubled: frozenset[int] = frozenset()
    delays: tuple[float, ...] = ()

    def copies_of(self, number: int) -> list[float]:
        """Return the delay of every copy that arrives."""
        if number in self.lost:
            return []
        delay = self.delays[number % len(self.delays)] if self.delays else 0.0
        return [delay, delay + 0.3] if number in self.doubled else [delay]


@dataclass(slots=True, kw_only=True)
class Link:
    """Runs both cores against each other in their own time."""

    caller: SipCore
    called: SipCore
    there: Weather
    back: Weather
    on_event: Callable[[SipCore, Event, float], None]
    now: float = 0.0
    carried: list[tuple[float, str]] = field(default_factory=list)
    _flying: list[tuple[float, int, bytes, SipCore, tuple[str, int]]] = field(default_factory=list)
    _tasks: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    _counts: dict[tuple[str, int], int] = field(default_factory=dict)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def at(self, moment: float, task: Callable[[float], None]) -> None:
        """Have something done at a moment."""
        heapq.heappush(self._tasks, (moment, next(self._order), task))

    def run(self, *, until: float) -> None:
        """Go on until nothing is left to do, or the time is up."""
        while True:
            self._settle()
            moments = [heap[0][0] for heap in (self._flying, self._tasks) if heap]
            moments += [at for core in (self.caller, self.called) if (at := core.wake_at()) is not None]
            if not moments or min(moments) > until:
                return
            self.now = max(self.now, min(moments))
            while self._flying and self._flying[0][0] <= self.now:
                _, _, data, core, source = heapq.heappop(self._flying)
                core.receive(data, source, self.now)
                self._settle()
            while self._tasks and self._tasks[0][0] <= self.now:
                heapq.heappop(self._tasks)[2](self.now)
            self.caller.wake(self.now)
            self.called.wake(self.now)

    def _settle(self) -> None:
        """Put what both cores send on its way and hand on their events, until both are silent."""
        silent = False
        while not silent:
            silent = True
            for core, other, source, weather in (
                (self.caller, self.called, CALLER, self.there),
                (self.called, self.caller, CALLED, self.back),
            ):
                for send in core.take_sends():
                    silent = False
                    number = self._counts.get(source, 0)
                    self._counts[source] = number + 1
                    self.carried.append((self.now, send.data.partition(b"\r\n")[0].decode("utf-8", "replace")))
                    for delay in weather.copies_of(number):
                        flight = (self.now + delay, next(self._order), send.data, other, source)
                        heapq.heappush(self._flying, flight)
                for event in core.take_events():
                    silent = False
                    self.on_event(core, event, self.now)
