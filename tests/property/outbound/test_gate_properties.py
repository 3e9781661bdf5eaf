"""The gate against any slots, lateness, trunks and changes of mind, on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.virtual_time import VirtualTimeLoop

from callwright.outbound.gate import Gate
from callwright.outbound.pacing import SECOND, Limits, Pacer, Slot
from callwright.values.ids import ServiceId


@dataclass(frozen=True)
class Coming:
    """One start: of which service, how long after its slot it is ready, when its trunk takes it, how long after its
    slot it is cancelled, for how long it holds the loop up when it leaves, and how late that is noted.
    """

    service_id: ServiceId
    late_s: float
    turn_at_s: float
    cancelled_s: float | None
    busy_s: float


comings = st.builds(
    Coming,
    service_id=st.integers(1, 3).map(ServiceId),
    late_s=st.one_of(st.just(-0.05), st.floats(-0.1, 1.5)),
    turn_at_s=st.one_of(st.just(0.0), st.floats(0.0, 4.0)),
    cancelled_s=st.one_of(st.none(), st.none(), st.sampled_from([0.0, 1e-6]), st.floats(-0.1, 1.5)),
    busy_s=st.one_of(st.just(0.0), st.floats(0.0, 0.3), st.just(2.0)),
)


class BusyLoop(VirtualTimeLoop):
    """A loop that can be held up: time passes while it is busy."""

    def spend(self, seconds: float) -> None:
        self._now += seconds


@settings(max_examples=150, deadline=None)
@given(
    max_cps=st.sampled_from([0.7, 2.0, 10.0, 30.0, 250.0]),
    limits=st.lists(st.one_of(st.none(), st.sampled_from([1.0, 5.0, 20.0])), min_size=3, max_size=3),
    coming=st.lists(comings, min_size=1, max_size=30),
)
def test_whoever_is_not_cancelled_leaves_and_no_second_ever_holds_too_many(
    max_cps: float, limits: list[float | None], coming: list[Coming]
) -> None:
    left: list[tuple[ServiceId, int]] = []

    async def start(gate: Gate, slot: Slot, one: Coming) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, BusyLoop)
        place = gate.come(slot, lambda: int(one.turn_at_s * SECOND))
        try:
            await asyncio.sleep(slot.at / SECOND + one.late_s - loop.time())
            await gate.wait(place)
            now = int(loop.time() * SECOND)
            assert now >= slot.at
            assert now >= int(one.turn_at_s * SECOND)
            gate.leaves(place)
            loop.spend(one.busy_s)
            left.append((slot.service_id, int(loop.time() * SECOND)))
        finally:
            gate.go(place)

    async def run() -> int:
        loop = asyncio.get_running_loop()
        pacer = Pacer(Limits(max_cps=max_cps))
        for n, limit in enumerate(limits, start=1):
            pacer.set_service(ServiceId(n), Limits(max_cps=limit))
        gate = Gate(pacer)
        tasks: list[asyncio.Task[None]] = []
        for one in coming:
            slot = pacer.next_slot(0, [one.service_id])
            assert slot is not None
            pacer.take(slot, [one.service_id])
            tasks.append(asyncio.ensure_future(start(gate, slot, one)))
            if one.cancelled_s is not None:
                loop.call_at(slot.at / SECOND + one.cancelled_s, tasks[-1].cancel)
        cancelled = 0
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
            cancelled += task.cancelled()
        assert not gate.is_crowded(0)
        return cancelled

    with asyncio.Runner(loop_factory=BusyLoop) as runner:
        cancelled = runner.run(run())
    assert len(left) + cancelled == len(coming)
    for allowed, times in [
        (max_cps, [at for _, at in left]),
        *((limit, [at for s, at in left if s == n]) for n, limit in enumerate(limits, start=1) if limit is not None),
    ]:
        window, most = (SECOND, int(allowed)) if allowed >= 1 else (int(SECOND / allowed), 1)
        for first, over in zip(times, times[most:], strict=False):
            assert over - first >= window, (allowed, times)
