from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest
from tests.support.virtual_time import VirtualTimeLoop, run_virtual

from callwright.outbound.gate import Gate
from callwright.outbound.pacing import SECOND, Limits, Pacer, Slot
from callwright.values.ids import ServiceId

A, B = ServiceId(1), ServiceId(2)


class Scene:
    """A gate and those who go through it: who left, when, and how often each was asked for its trunk's turn."""

    def __init__(self, max_cps: float, services: dict[ServiceId, Limits] | None = None) -> None:
        self.pacer = Pacer(Limits(max_cps=max_cps))
        for service_id, limits in (services or {A: Limits(), B: Limits()}).items():
            self.pacer.set_service(service_id, limits)
        self.gate = Gate(self.pacer)
        self.loop = asyncio.get_running_loop()
        self.faults: list[dict[str, object]] = []
        self.loop.set_exception_handler(lambda _, fault: self.faults.append(fault))
        self.left: list[tuple[str, float]] = []
        self.asked: dict[str, int] = {}

    def now(self) -> int:
        return int(self.loop.time() * SECOND)

    def slots(self, *services: ServiceId) -> list[Slot]:
        given = []
        for service_id in services:
            slot = self.pacer.next_slot(self.now(), [service_id])
            assert slot is not None
            self.pacer.take(slot, [service_id])
            given.append(slot)
        return given

    async def leave(
        self, name: str, slot: Slot, *, ready_at: float = 0.0, turn_at: Callable[[], float] | None = None
    ) -> None:
        place = self.gate.come(slot, lambda: self._turn(name, turn_at))
        try:
            await asyncio.sleep(ready_at)
            await self.gate.wait(place)
            assert self.pacer.may_send_at(slot) <= self.now()
            self.pacer.sent(slot, self.now())
            self.left.append((name, round(self.loop.time(), 3)))
        finally:
            self.gate.go(place)

    def _turn(self, name: str, turn_at: Callable[[], float] | None) -> int:
        self.asked[name] = self.asked.get(name, 0) + 1
        return 0 if turn_at is None else int(turn_at() * SECOND)


def scene(
    play: Callable[[Scene], Awaitable[None]], *, max_cps: float = 10.0, services: dict[ServiceId, Limits] | None = None
) -> Scene:
    async def run() -> Scene:
        made = Scene(max_cps, services)
        await play(made)
        assert not made.faults
        return made

    return run_virtual(run())


def test_each_leaves_in_its_slot_and_is_called_once() -> None:
    async def play(s: Scene) -> None:
        slots = s.slots(A, B, A, B)
        await asyncio.gather(*(s.leave(str(n), slot) for n, slot in enumerate(slots)))

    played = scene(play)
    assert played.left == [("0", 0.0), ("1", 0.1), ("2", 0.2), ("3", 0.3)]
    assert all(asked <= 3 for asked in played.asked.values())


def test_many_late_ones_leave_by_slot_half_an_interval_apart_and_are_called_once() -> None:
    async def play(s: Scene) -> None:
        slots = s.slots(*[A] * 6)
        ready_at = [2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
        late = [s.leave(str(n), slot, ready_at=at) for n, (slot, at) in enumerate(zip(slots, ready_at, strict=True))]
        await asyncio.gather(*reversed(late))

    played = scene(play)
    assert [name for name, _ in played.left[1:]] == ["0", "1", "2", "3", "4"]  # the first to come found nobody there
    assert [at for _, at in played.left] == [2.0, 2.05, 2.1, 2.15, 2.2, 2.25]
    assert all(asked <= 3 for asked in played.asked.values())


def test_one_that_is_cancelled_while_it_waits_makes_way() -> None:
    async def play(s: Scene) -> None:
        slots = s.slots(A, A, A)
        tasks = [asyncio.ensure_future(s.leave(str(n), slot)) for n, slot in enumerate(slots)]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert scene(play).left == [("0", 0.0), ("2", 0.2)]


@pytest.mark.parametrize("before_or_after_s", [-1e-10, 1e-10])
def test_one_that_is_cancelled_in_the_turn_in_which_it_is_called_makes_way(before_or_after_s: float) -> None:
    async def play(s: Scene) -> None:
        slots = s.slots(A, A, A)
        tasks = [asyncio.ensure_future(s.leave(str(n), slot)) for n, slot in enumerate(slots)]
        s.loop.call_at((slots[1].at + 1) / SECOND + before_or_after_s, tasks[1].cancel)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(ended[1], asyncio.CancelledError)

    assert scene(play).left == [("0", 0.0), ("2", 0.2)]


def test_one_that_comes_late_does_not_slip_in_before_those_with_earlier_slots() -> None:
    async def play(s: Scene) -> None:
        slots = s.slots(A, A, A)
        ready_at = [2.0, 2.01, 2.0500005]  # the last just before the one before it is called
        await asyncio.gather(
            *(s.leave(str(n), slot, ready_at=at) for n, (slot, at) in enumerate(zip(slots, ready_at, strict=True)))
        )

    assert scene(play).left == [("0", 2.0), ("1", 2.05), ("2", 2.1)]


def test_on_a_busy_loop_one_leaves_in_each_turn() -> None:
    class BusyLoop(VirtualTimeLoop):
        def _run_once(self) -> None:
            super()._run_once()
            self._now += 0.06  # longer than half an interval

    async def run() -> list[float]:
        s = Scene(10.0)
        slots = s.slots(*[A] * 20)
        await asyncio.gather(*(s.leave(str(n), slot, ready_at=5.0) for n, slot in enumerate(slots)))
        return [at for _, at in s.left]

    with asyncio.Runner(loop_factory=BusyLoop) as runner:
        left = runner.run(run())
    turns = [round((later - earlier) / 0.06) for earlier, later in itertools.pairwise(left[:9])]
    assert turns[1:] == [1] * 7  # until a second has its ten


def test_one_that_asks_in_the_turn_in_which_another_leaves_far_too_late_is_paced_after_it() -> None:
    class FreezingLoop(VirtualTimeLoop):
        def freeze(self, seconds: float) -> None:
            self._now += seconds

    async def run() -> list[float]:
        s = Scene(1.0)
        assert isinstance(s.loop, FreezingLoop)
        loop = s.loop
        left: list[float] = []

        async def leave(slot: Slot) -> None:
            place = s.gate.come(slot, lambda: 0)
            await asyncio.sleep(5.0)
            await s.gate.wait(place)
            s.gate.leaves(place)
            s.gate.go(place)
            if not left:
                loop.freeze(2.0)  # the machine does something else, and only then the INVITE leaves
            left.append(loop.time())

        await asyncio.gather(*(leave(slot) for slot in s.slots(A, A)))
        return left

    with asyncio.Runner(loop_factory=FreezingLoop) as runner:
        first, second = runner.run(run())
    assert first == 7.0
    assert 8.0 <= second < 8.001


def test_one_that_waits_for_its_trunk_holds_nobody_up() -> None:
    async def play(s: Scene) -> None:
        slots = s.slots(A, A, A)
        await asyncio.gather(
            s.leave("held", slots[0], turn_at=lambda: 0.25), s.leave("1", slots[1]), s.leave("2", slots[2])
        )

    assert scene(play).left == [("1", 0.1), ("2", 0.2), ("held", 0.25)]


def test_a_trunk_that_puts_its_turn_off_is_waited_for_again() -> None:
    async def play(s: Scene) -> None:
        (slot,) = s.slots(A)
        await s.leave("0", slot, turn_at=lambda: 0.1 if s.loop.time() < 0.1 else 0.7)

    assert scene(play).left == [("0", 0.7)]


def test_a_service_at_its_own_maximum_holds_no_other_service_up() -> None:
    async def play(s: Scene) -> None:
        slots = s.slots(A, A, B)  # of A: at 0 and 1
        early, late, other = slots[0], slots[1], slots[2]
        await asyncio.gather(s.leave("early", early, ready_at=0.9), s.leave("late", late), s.leave("other", other))

    played = scene(play, services={A: Limits(max_cps=1), B: Limits()})
    assert played.left == [("early", 0.9), ("other", 1.1), ("late", 1.9)]


def test_one_that_steps_aside_lets_the_next_one_leave() -> None:
    async def play(s: Scene) -> None:
        slots = s.slots(A, A)

        async def busy() -> None:
            place = s.gate.come(slots[0], lambda: SECOND // 20)
            await s.gate.wait(place)
            s.gate.step_aside(place)
            await asyncio.sleep(5.0)
            s.gate.go(place)

        await asyncio.gather(busy(), s.leave("1", slots[1]))

    assert scene(play).left == [("1", 0.1)]


def test_the_gate_is_crowded_while_those_who_have_come_need_too_long() -> None:
    async def play(s: Scene) -> None:
        slots = s.slots(A, A, A)
        tasks = [asyncio.ensure_future(s.leave(str(n), slot)) for n, slot in enumerate(slots)]
        await asyncio.sleep(0)
        assert s.gate.is_crowded(SECOND // 5)
        assert not s.gate.is_crowded(SECOND * 3 // 10)
        await asyncio.gather(*tasks)
        assert not s.gate.is_crowded(0)

    scene(play)


def test_the_gate_is_crowded_while_those_who_have_come_leave_far_too_late() -> None:
    class SlowLoop(VirtualTimeLoop):
        def spend(self, seconds: float) -> None:
            self._now += seconds

    async def run() -> None:
        s = Scene(10.0)
        assert isinstance(s.loop, SlowLoop)
        slots = s.slots(A, A, A, A)
        held = asyncio.ensure_future(s.leave("held by its trunk", slots[3], turn_at=lambda: 60.0))
        crowded: list[bool] = []
        for n, slot in enumerate(slots[:3]):
            await s.leave(str(n), slot)
            crowded.append(s.gate.is_crowded(SECOND // 2))
            leaving = asyncio.ensure_future(s.leave(f"beside {n}", *s.slots(A)))
            await asyncio.sleep(0)  # it waits for its slot, and the machine does something else
            s.loop.spend(0.3 * (n + 1))
            await leaving
            crowded.append(s.gate.is_crowded(SECOND // 2))
        assert crowded == [False, False, False, False, False, True]
        await asyncio.sleep(1.0)
        assert not s.gate.is_crowded(SECOND // 2)
        await held

    with asyncio.Runner(loop_factory=SlowLoop) as runner:
        runner.run(run())
