"""Which machine is to be woken when: one heap for all timers of a core.

A machine has one entry at most that counts, the earliest it asked for. When it is found to want a later moment (its
retransmission timer was stopped, say) the entry moves; so stopping a timer costs nothing and no message is a scan.
Entries that do not count any more are swept out now and then: one for half an hour ahead, as session timers have them,
would keep a call that long.
"""

from __future__ import annotations

import heapq
from typing import Protocol

_NEVER_SWEPT = 1024  # entries that are too few to look through


class Timers:
    """Base times of RFC 3261 section 17.1.1.1, in seconds; every timer A to M is made of them."""

    __slots__ = ("t1", "t2", "t4")

    def __init__(self, t1: float = 0.5, t2: float = 4.0, t4: float = 5.0) -> None:
        self.t1 = t1
        self.t2 = t2
        self.t4 = t4

    @property
    def patience(self) -> float:
        """64*T1: how long an answer is awaited and late messages are expected (timers B, D, F, H, J, L, M)."""
        return 64 * self.t1


class Machine(Protocol):
    """Something with timers. ``noted_at`` belongs to the agenda; ``leave`` takes an over machine out of its table."""

    noted_at: float | None

    @property
    def is_over(self) -> bool: ...
    def wake(self, now: float) -> None: ...
    def wake_at(self) -> float | None: ...
    def leave(self) -> None: ...


class Agenda:
    """The heap. ``note`` after anything happened to a machine; ``wake`` when the moment of ``wake_at`` has come."""

    __slots__ = ("_count", "_heap", "_sweep_above")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Machine]] = []
        self._count = 0
        self._sweep_above = _NEVER_SWEPT

    def note(self, machine: Machine) -> None:
        """Take a machine's new wish into account, or let it leave when it is over."""
        if machine.is_over:
            machine.leave()
            return
        at = machine.wake_at()
        if at is not None and (machine.noted_at is None or at < machine.noted_at):
            self._push(at, machine)

    def wake(self, now: float) -> None:
        """Wake every machine that is due, in the order of their times."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, machine = heapq.heappop(heap)
            if machine.noted_at != at:
                continue
            machine.noted_at = None
            if machine.is_over:
                continue
            wanted = machine.wake_at()
            if wanted is not None and wanted <= at:
                machine.wake(now)
            self.note(machine)

    @property
    def soonest(self) -> float | None:
        """A moment not after ``wake_at``, known without asking anybody: nothing may be due then after all."""
        return self._heap[0][0] if self._heap else None

    def wake_at(self) -> float | None:
        """Return the earliest moment a living machine asked for, None when nothing waits."""
        heap = self._heap
        while heap:
            at, _, machine = heap[0]
            if machine.noted_at == at and not machine.is_over:
                wanted = machine.wake_at()
                if wanted is not None and wanted <= at:
                    return at
                machine.noted_at = None
                heapq.heappop(heap)
                if wanted is not None:
                    self._push(wanted, machine)
            else:
                heapq.heappop(heap)
        return None

    def _push(self, at: float, machine: Machine) -> None:
        machine.noted_at = at
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, machine))
        if len(self._heap) > self._sweep_above:
            self._sweep()

    def _sweep(self) -> None:
        kept: list[tuple[float, int, Machine]] = []
        for entry in self._heap:
            at, _, machine = entry
            if machine.noted_at != at:
                continue
            if machine.is_over or machine.wake_at() is None:
                machine.noted_at = None
            else:
                kept.append(entry)
        heapq.heapify(kept)
        self._heap[:] = kept
        self._sweep_above = max(_NEVER_SWEPT, 2 * len(kept))
