from __future__ import annotations

import gc
import weakref

from callwright.sip.agenda import Agenda, Timers


class Bell:
    """Rings at the given times and remembers when it was woken."""

    def __init__(self, *times: float) -> None:
        self.noted_at: float | None = None
        self.times = list(times)
        self.woken: list[float] = []
        self.left = False

    @property
    def is_over(self) -> bool:
        return not self.times

    def wake_at(self) -> float | None:
        return self.times[0] if self.times else None

    def wake(self, now: float) -> None:
        self.woken.append(now)
        self.times.pop(0)

    def leave(self) -> None:
        self.left = True


def test_machines_are_woken_in_the_order_of_their_times_and_leave_when_over() -> None:
    agenda = Agenda()
    early, late = Bell(1.0, 3.0), Bell(2.0)
    agenda.note(late)
    agenda.note(early)
    assert agenda.wake_at() == 1.0
    agenda.wake(0.9)
    assert early.woken == []
    agenda.wake(1.0)
    assert (early.woken, agenda.wake_at()) == ([1.0], 2.0)
    agenda.wake(10.0)
    assert (early.woken, late.woken) == ([1.0, 10.0], [10.0])
    assert early.left
    assert late.left
    assert agenda.wake_at() is None


def test_a_machine_that_changed_its_mind_is_woken_at_the_new_time_only() -> None:
    agenda = Agenda()
    bell = Bell(1.0)
    agenda.note(bell)
    bell.times = [5.0]
    agenda.note(bell)
    assert agenda.wake_at() == 5.0
    bell.times = [2.0]
    agenda.note(bell)
    assert agenda.wake_at() == 2.0
    agenda.wake(2.0)
    agenda.wake(9.0)
    assert bell.woken == [2.0]


def test_a_machine_that_is_over_leaves_at_once() -> None:
    agenda = Agenda()
    bell = Bell(1.0)
    agenda.note(bell)
    bell.times.clear()
    agenda.note(bell)
    assert bell.left
    assert agenda.wake_at() is None


def test_what_waits_for_nothing_any_more_is_let_go_of_long_before_its_time() -> None:
    """An ended call has its session timer half an hour ahead."""
    agenda = Agenda()
    waiting = Bell(1_000.0)
    agenda.note(waiting)
    gone = []
    for _ in range(5_000):
        bell = Bell(1_000.0)
        agenda.note(bell)
        bell.times.clear()
        gone.append(weakref.ref(bell))
    del bell
    gc.collect()
    assert sum(one() is not None for one in gone) < 2_000
    agenda.wake(1_000.0)
    assert waiting.woken == [1_000.0]


def test_patience_is_64_times_t1() -> None:
    assert Timers().patience == 32.0
    assert Timers(t1=0.1).patience == 6.4
