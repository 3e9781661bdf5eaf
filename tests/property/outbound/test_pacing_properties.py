"""Pacing against any arrivals, limits, lateness and restarts, in simulated time."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.outbound.pacing import SECOND, Limits, Pacer, Slot
from callwright.values.ids import ServiceId

LOOK_AHEAD = SECOND // 4

cps = st.one_of(st.integers(1, 40).map(float), st.floats(0.05, 40.0))


def most_in_any_window(times: list[int], window: int) -> int:
    """Return the largest number of times within any half-open window."""
    ordered = sorted(times)
    return max((bisect_left(ordered, at + window) - n for n, at in enumerate(ordered)), default=0)


def assert_never_above(times: list[int], max_cps: float) -> None:
    assert most_in_any_window(times, SECOND) <= max(max_cps, 1)
    if max_cps < 1:
        assert most_in_any_window(times, math.floor(SECOND / max_cps)) <= 1


@dataclass
class Simulation:
    """Feeds a pacer as the dispatcher does: slots a little ahead, sends through the gate, some of them late."""

    pacer: Pacer
    slots: list[Slot] = field(default_factory=list)
    sends: list[tuple[ServiceId, int]] = field(default_factory=list)
    waiting: Counter[ServiceId] = field(default_factory=Counter)
    now: int = 0
    _ready: list[tuple[int, int, Slot]] = field(default_factory=list)

    def step_to(self, now: int, lateness: list[int]) -> None:
        """Give slots and send what is due up to ``now``; each start is ready ``lateness`` after its slot."""
        while True:
            self._give(lateness)
            due_at = self._ready[0][0] if self._ready else None
            slot = self.pacer.next_slot(self.now, [s for s, many in self.waiting.items() if many])
            look_at = None if slot is None else slot.at - LOOK_AHEAD
            soonest = min((at for at in (due_at, look_at) if at is not None), default=None)
            if soonest is None or soonest > now:
                self.now = max(self.now, now)
                return
            self.now = max(self.now, soonest)
            if due_at is not None and due_at <= self.now:
                self._send()

    def _give(self, lateness: list[int]) -> None:
        while True:
            able = [service_id for service_id, many in self.waiting.items() if many]
            slot = self.pacer.next_slot(self.now, able)
            if slot is None or slot.at > self.now + LOOK_AHEAD:
                return
            self.pacer.take(slot, able)
            self.waiting[slot.service_id] -= 1
            late = lateness[len(self.slots) % len(lateness)]
            heapq.heappush(self._ready, (slot.at + late, len(self.slots), slot))
            self.slots.append(slot)

    def _send(self) -> None:
        _, number, slot = heapq.heappop(self._ready)
        earliest = self.pacer.may_send_at(slot)
        if earliest > self.now:
            heapq.heappush(self._ready, (earliest, number, slot))
            return
        self.pacer.sent(slot, self.now)
        self.sends.append((slot.service_id, self.now))


arrivals = st.lists(
    st.tuples(st.integers(0, 20 * SECOND), st.integers(1, 3), st.integers(1, 60)), min_size=1, max_size=12
).map(sorted)
service_limits = st.fixed_dictionaries({n: st.one_of(st.none(), cps) for n in (1, 2, 3)})
minimums = st.fixed_dictionaries({n: st.one_of(st.just(0.0), st.floats(0.01, 30.0)) for n in (1, 2, 3)})


@settings(max_examples=150, deadline=None)
@given(
    account=cps,
    limits=service_limits,
    minimum=minimums,
    arrivals=arrivals,
    lateness=st.lists(st.integers(0, 2 * SECOND), min_size=1, max_size=5),
)
def test_no_sliding_second_ever_holds_more_than_the_maximum(
    account: float,
    limits: dict[int, float | None],
    minimum: dict[int, float],
    arrivals: list[tuple[int, int, int]],
    lateness: list[int],
) -> None:
    pacer = Pacer(Limits(max_cps=account))
    for n, max_cps in limits.items():
        pacer.set_service(ServiceId(n), Limits(max_cps=max_cps, min_cps=minimum[n]))
    simulation = Simulation(pacer)
    for at, n, many in arrivals:
        simulation.step_to(at, lateness)
        simulation.waiting[ServiceId(n)] += many
    simulation.step_to(simulation.now + 60 * SECOND, lateness)

    assert_never_above([slot.at for slot in simulation.slots], account)
    assert_never_above([at for _, at in simulation.sends], account)
    for n, max_cps in limits.items():
        if max_cps is not None:
            assert_never_above([slot.at for slot in simulation.slots if slot.service_id == n], max_cps)
            assert_never_above([at for service_id, at in simulation.sends if service_id == n], max_cps)
    assert simulation.sends, "what waits is sent in the end"


@settings(max_examples=50, deadline=None)
@given(account=cps, before=st.integers(1, 60), pause=st.integers(0, 3 * SECOND))
def test_a_restart_does_not_forget_what_left_in_the_last_second(account: float, before: int, pause: int) -> None:
    service_id = ServiceId(1)
    pacer = Pacer(Limits(max_cps=account))
    pacer.set_service(service_id, Limits())
    first_life = Simulation(pacer, waiting=Counter({service_id: before}))
    first_life.step_to(30 * SECOND, [0])
    restart_at = first_life.sends[-1][1] + pause

    again = Pacer(Limits(max_cps=account))
    again.set_service(service_id, Limits())
    again.restore(service_id, [at for _, at in first_life.sends if at > restart_at - 30 * SECOND])
    second_life = Simulation(again, waiting=Counter({service_id: 60}), now=restart_at)
    second_life.step_to(restart_at + 30 * SECOND, [0])
    assert_never_above([at for _, at in (*first_life.sends, *second_life.sends)], account)


@pytest.mark.parametrize("account", [1.0, 10.0, 33.0])
def test_five_equally_fed_services_share_fairly(account: float) -> None:
    pacer = Pacer(Limits(max_cps=account))
    services = [ServiceId(n) for n in range(1, 6)]
    for service_id in services:
        pacer.set_service(service_id, Limits())
    simulation = Simulation(pacer)
    for second in range(120):
        for service_id in services:
            simulation.waiting[service_id] += math.ceil(account)
        simulation.step_to((second + 1) * SECOND, [0, 3_000, 20_000])
    shares = Counter(service_id for service_id, _ in simulation.sends)
    sums = sum(shares[s] for s in services) ** 2
    assert sums / (len(services) * sum(shares[s] ** 2 for s in services)) >= 0.99  # Jain's fairness index
    assert len(simulation.sends) >= 0.99 * 120 * account


@settings(max_examples=40, deadline=None)
@given(account=st.integers(5, 40), parts=st.lists(st.integers(1, 20), min_size=2, max_size=5), data=st.data())
def test_guaranteed_minimums_are_met_over_two_minutes_when_fed(
    account: int, parts: list[int], data: st.DataObject
) -> None:
    """The last service has no guarantee and all the work in the world; the promises may exceed the maximum."""
    minimum = {ServiceId(n): part / 2 for n, part in enumerate(parts)}
    greedy = ServiceId(99)
    pacer = Pacer(Limits(max_cps=account))
    for service_id, min_cps in minimum.items():
        pacer.set_service(service_id, Limits(min_cps=min_cps, max_cps=data.draw(st.sampled_from([None, 50.0]))))
    pacer.set_service(greedy, Limits())
    simulation = Simulation(pacer, waiting=Counter({greedy: 10_000, **dict.fromkeys(minimum, 10_000)}))
    simulation.step_to(120 * SECOND, [0])
    shares = Counter(service_id for service_id, _ in simulation.sends)
    scale = min(1.0, account / sum(minimum.values()))
    for service_id, min_cps in minimum.items():
        first_turns = len(minimum)  # they all begin at once, and the last one's first turn comes that much later
        assert shares[service_id] >= math.floor(120 * min_cps * scale) - first_turns
