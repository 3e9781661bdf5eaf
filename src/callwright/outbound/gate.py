"""The gate of one account: its starts leave through it one after the other, each as soon as pacing and its trunk let it
(docs/reference/queue.md, pacing).

Whoever waits is called once, when its time has come: the first of each service by slot, and of those whoever may leave
first. It looks again itself whether it may (``wait`` returns), leaves in the same turn of the event loop, and only when
it has gone is the next one called. So nobody who has to wait asks at each other's leaving, however many are late.

A call takes a turn of the event loop to arrive. On a busy loop turns are long, and who has to wait for less than that
is called at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from callwright.outbound.pacing import SECOND, Pacer, Slot
from callwright.values.ids import ServiceId


class Place:
    """One start at the gate: since when, what it waits for, and, while it waits, from when it might leave by its slot
    and its trunk.
    """

    __slots__ = ("at", "called", "called_at", "came_at", "slot", "turn_at")

    def __init__(self, slot: Slot, turn_at: Callable[[], int], came_at: int) -> None:
        self.slot = slot
        self.turn_at = turn_at
        self.came_at = came_at
        self.at = slot.at
        self.called: asyncio.Future[None] | None = None  # while it waits
        self.called_at = 0

    def __lt__(self, other: Place) -> bool:
        return (self.at, self.slot.at) < (other.at, other.slot.at)


class Gate:
    """Belongs to one event loop. Each start says ``come``, waits, and says ``go`` when it has left or will not."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._loop = asyncio.get_running_loop()
        self._here = 0
        self._queues: dict[ServiceId, list[Place]] = {}  # none is empty
        self._called: Place | None = None  # until it has gone, or waits again
        self._timer: asyncio.TimerHandle | None = None  # while nobody is called
        self._looks_at = 0  # when the timer goes off
        self._turn = 0  # how long the last one needed to come when it was called, in microseconds
        self._leaving: tuple[Slot, int] | None = None  # who leaves in this turn of the event loop, and when it said so
        self._late, self._left_at = 0, 0  # how late the last one left, and when

    def is_crowded(self, room: int) -> bool:
        """Tell whether those who have come need more than ``room`` (microseconds) to leave, one interval apart, or
        leave more than that later than they should.
        """
        if self._pacer.time_for(self._here) > room:
            return True
        return self._late > room and self._here > 0 and self._now() < self._left_at + SECOND

    def come(self, slot: Slot, turn_at: Callable[[], int]) -> Place:
        """Note that the start of a taken slot will leave as soon as it may. ``turn_at`` says from when its trunk takes
        it, as far as is known now.
        """
        self._here += 1
        return Place(slot, turn_at, self._now())

    async def wait(self, place: Place) -> None:
        """Return when the start may leave, in this turn of the event loop.

        Slot, pacing and trunk are asked together: a call that waited for its trunk after pacing let it go would leave
        too close to one that is let go after it.
        """
        if self._queues or self._called is not None or not self._may_leave(place):
            await self._called_by_others(place)
        self._left_at = self._now()
        self._late = self._left_at - max(place.at, place.came_at)

    async def _called_by_others(self, place: Place) -> None:
        while True:
            place.at = max(place.slot.at, place.turn_at())
            called = place.called = self._loop.create_future()
            heappush(self._queues.setdefault(place.slot.service_id, []), place)
            if self._timer is None or place.at < self._looks_at:
                self.step_aside(place)
            try:
                await called
            except asyncio.CancelledError:
                self._forget(place)
                raise
            self._turn = self._now() - place.called_at
            if self._may_leave(place):
                return

    def leaves(self, place: Place) -> None:
        """Note that the start, whose ``wait`` has just returned, leaves in this turn of the event loop."""
        now = self._now()
        self._pacer.sent(place.slot, now)
        self._leaving = place.slot, now
        self._loop.call_soon(self._has_left)  # after this turn, and so after the INVITE

    def _has_left(self) -> None:
        """Correct when the last one left: since it said so the machine may have done something else for a while."""
        if self._leaving is not None:
            (slot, noted), self._leaving = self._leaving, None
            self._pacer.left(slot, noted, self._now())

    def step_aside(self, place: Place) -> None:
        """Let the others go on, though this start may have been called."""
        if self._called is place:
            self._called = None
        self._call_next()

    def go(self, place: Place) -> None:
        """Note that the start has left, or will not."""
        self._here -= 1
        self.step_aside(place)

    def _may_leave(self, place: Place) -> bool:
        self._has_left()  # whoever asks in the same turn asks after it
        now = self._now()
        return place.turn_at() <= now and self._pacer.may_send_at(place.slot) <= now

    def _call_next(self) -> None:
        """Call whoever may leave next, or look again when it may."""
        while self._called is None and self._queues:
            firsts = [queue[0] for queue in self._queues.values()]
            at, first = min([(max(first.at, self._pacer.may_send_at(first.slot)), first) for first in firsts])
            now = self._now()
            if at - now > self._turn:
                if self._timer is None or self._looks_at != at:
                    self._stop_timer()
                    self._looks_at = at
                    self._timer = self._loop.call_at((at + 1) / SECOND, self._look_again)
                return
            self._stop_timer()
            called = self._forget(first)
            if called is not None and not called.done():  # it was not cancelled in this turn of the event loop
                self._called, first.called_at = first, now
                called.set_result(None)

    def _look_again(self) -> None:
        self._timer = None
        self._call_next()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _forget(self, place: Place) -> asyncio.Future[None] | None:
        """Take a start that waits, if it still does, out of its queue; return by what it is called."""
        called, place.called = place.called, None
        if called is not None:
            queue = self._queues[place.slot.service_id]
            if queue[0] is place:
                heappop(queue)
            else:
                queue.remove(place)
                heapify(queue)
            if not queue:
                del self._queues[place.slot.service_id]
        return called

    def _now(self) -> int:
        return int(self._loop.time() * SECOND)
