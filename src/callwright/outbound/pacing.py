"""When the next start of an account may leave, and which of its services it is (docs/reference/queue.md, pacing).

Times are whole microseconds of one clock that never goes back, so that the rule "never more than the maximum in any
sliding second" is exact. Three rules work together:

*Slots.* Starts get evenly spaced slots, one interval apart for the account and for each service. ``next_slot`` looks
a little ahead; ``take`` uses the slot up.

*Whose turn.* A service that is behind its guaranteed minimum goes first, the one furthest behind before the others;
minimums that add up to more than the account's maximum are scaled down together. What is left is shared evenly by
start-time fair queueing: each service carries the virtual time at which its next start begins, the smallest goes next,
and a service that was idle or held back by its own maximum comes back at the present virtual time, without savings.
Guaranteed starts count towards a service's fair share, so it gets the larger of the two, not their sum.

*The gate.* A start that is ready late (a slow disk, a busy loop) would crowd those behind it. ``may_send_at`` therefore
looks at what really left: it keeps the sliding second exact whatever happened to the slots, and half an interval
between neighbours. ``sent`` notes what leaves, ``left`` corrects it a moment later.

A maximum of 1 or more counts whole starts per second: 2.5 allows 2 in any second, because a third would be more than
2.5. A maximum below 1 is one start per ``1 / maximum`` seconds.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

from callwright.values.ids import ServiceId

SECOND = 1_000_000
CATCH_UP = 5 * SECOND
"""How far behind its guaranteed minimum a service is remembered to be."""
MOST_AHEAD = 10
"""How many starts beyond its fair share, thanks to its guaranteed minimum, are remembered against a service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Starts per second: the maximum (None: no limit of its own) and the guaranteed minimum."""

    max_cps: float | None = None
    min_cps: float = 0.0


class Slot(NamedTuple):
    """One start of ``service_id`` may leave at ``at`` (microseconds)."""

    service_id: ServiceId
    at: int


@dataclass(frozen=True, slots=True)
class _Rate:
    """At most ``count`` starts in any ``window`` microseconds, ``interval`` apart; no window means no limit."""

    count: int
    window: int
    interval: int


_UNLIMITED = _Rate(1, 0, 0)


def _rate(max_cps: float | None) -> _Rate:
    if max_cps is None:
        return _UNLIMITED
    if max_cps >= 1:
        count = math.floor(max_cps)
        return _Rate(count, SECOND, -(-SECOND // count))
    window = math.ceil(SECOND / max_cps)
    return _Rate(1, window, window)


class _Lane:
    """The slots given and the starts sent under one limit."""

    def __init__(self, rate: _Rate) -> None:
        self.rate = rate
        self.last_slot: int | None = None
        self.sends: deque[int] = deque()

    def next_free(self) -> int | None:
        return None if self.last_slot is None else self.last_slot + self.rate.interval

    def may_send_at(self, at: int) -> int:
        """Return the earliest moment, ``at`` or later, at which one more start may leave."""
        rate, sends = self.rate, self.sends
        if not sends or not rate.window:
            return at
        at = max(at, sends[-1] + rate.interval // 2)
        if len(sends) >= rate.count:
            at = max(at, sends[-rate.count] + rate.window)
        return at

    def sent(self, at: int) -> None:
        self.sends.append(at)
        keep_from = at - max(self.rate.window, SECOND)
        while len(self.sends) > self.rate.count and self.sends[0] < keep_from:
            self.sends.popleft()
        self.last_slot = at if self.last_slot is None else max(self.last_slot, at)

    def left(self, noted: int, at: int) -> None:
        if self.sends and self.sends[-1] == noted <= at:
            self.sends[-1] = at
        elif noted in self.sends:
            self.sends.remove(noted)
            self.sends = deque(sorted([*self.sends, at]))


class _ServiceLane(_Lane):
    """A service's lane with its place in the line: virtual time, and the deadline its guaranteed minimum sets."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(_rate(limits.max_cps))
        self.limits = limits
        self.finish_tag = 0
        self.deadline: float | None = None


class Pacer:
    """The pacing of one account. Limits may be changed at any time; what already left is never forgotten."""

    def __init__(self, limits: Limits) -> None:
        self._account = _Lane(_rate(limits.max_cps))
        self._services: dict[ServiceId, _ServiceLane] = {}
        self._virtual_time = 0

    def time_for(self, starts: int) -> int:
        """Return how long so many starts take to leave, one interval apart."""
        return starts * self._account.rate.interval

    def set_account(self, limits: Limits) -> None:
        self._account.rate = _rate(limits.max_cps)

    def set_service(self, service_id: ServiceId, limits: Limits) -> None:
        """Add a service, or change the limits of one."""
        lane = self._services.get(service_id)
        if lane is None:
            self._services[service_id] = _ServiceLane(limits)
        elif lane.limits != limits:
            lane.limits = limits
            lane.rate = _rate(limits.max_cps)

    def knows(self, service_id: ServiceId) -> bool:
        return service_id in self._services

    def restore(self, service_id: ServiceId, sent: Sequence[int]) -> None:
        """Note when starts of a service left in a former life of the node, in this clock's microseconds."""
        lane = self._services[service_id]
        for at in sorted(sent):
            lane.sent(at)
        together = sorted([*self._account.sends, *sent])
        self._account.sends.clear()
        for at in together:
            self._account.sent(at)

    def next_slot(self, now: int, waiting: Collection[ServiceId]) -> Slot | None:
        """Return the next slot of the account and whose it is; None when no service waits. Nothing changes yet."""
        if not waiting:
            return None
        free = self._account.next_free()
        base = now if free is None else max(now, free)
        at, _, _, service_id = min([self._rank(service_id, base) for service_id in waiting])
        return Slot(service_id, at)

    def take(self, slot: Slot, waiting: Collection[ServiceId]) -> None:
        """Use up a slot that ``next_slot`` returned for the same ``waiting`` services."""
        lane = self._services[slot.service_id]
        self._account.last_slot = lane.last_slot = slot.at
        start_tag = self._start_tag(slot.service_id)
        deadline = self._deadline(slot.service_id, slot.at)
        if deadline > slot.at:  # its fair turn: a guaranteed start counts as its own share, not as time for the others
            self._virtual_time = start_tag
        lane.finish_tag = min(start_tag + 1, self._virtual_time + MOST_AHEAD)
        if lane.limits.min_cps > 0:
            share = lane.limits.min_cps * self._scale(waiting)
            lane.deadline = min(deadline, slot.at) + math.ceil(SECOND / share)

    def plan(self, now: int, until: int, room: Mapping[ServiceId, int], *, limit: int) -> Counter[ServiceId]:
        """Return how many starts of each service would get a slot up to ``until`` if each had ``room`` many ready; at
        most ``limit`` in all. Nothing changes: it says how many to claim, and claimed starts then take real slots.
        """
        trial = self._copy()
        planned: Counter[ServiceId] = Counter()
        left = {service_id: many for service_id, many in room.items() if many > 0}
        while left and planned.total() < limit:
            slot = trial.next_slot(now, left)
            if slot is None or slot.at > until:
                break
            trial.take(slot, left)
            planned[slot.service_id] += 1
            left[slot.service_id] -= 1
            if not left[slot.service_id]:
                del left[slot.service_id]
        return planned

    def may_send_at(self, slot: Slot) -> int:
        """Return the earliest moment at which the start of a taken slot may leave, as far as is known now."""
        return self._services[slot.service_id].may_send_at(self._account.may_send_at(slot.at))

    def sent(self, slot: Slot, at: int) -> None:
        """Note that the start of a taken slot leaves now."""
        self._account.sent(at)
        self._services[slot.service_id].sent(at)

    def left(self, slot: Slot, noted: int, at: int) -> None:
        """Correct what ``sent`` noted: by ``at`` the start had really left. Between the two the machine may have done
        something else for a while, and the next second is counted from what really happened.
        """
        self._account.left(noted, at)
        self._services[slot.service_id].left(noted, at)

    def _copy(self) -> Pacer:
        twin = copy(self)
        twin._account = copy(self._account)
        twin._services = {service_id: copy(lane) for service_id, lane in self._services.items()}
        return twin

    def _rank(self, service_id: ServiceId, base: int) -> tuple[int, bool, float, ServiceId]:
        """Return when a service may have a slot, ``base`` or later, and what says who goes first when several may have
        it: those behind their minimum before the others.
        """
        free = self._services[service_id].next_free()
        at = base if free is None else max(base, free)
        if (deadline := self._deadline(service_id, at)) <= at:
            return at, False, deadline, service_id
        return at, True, self._start_tag(service_id), service_id

    def _start_tag(self, service_id: ServiceId) -> int:
        return max(self._virtual_time, self._services[service_id].finish_tag)

    def _deadline(self, service_id: ServiceId, at: int) -> float:
        """Return when the service's guaranteed next start is due; infinity without a guarantee."""
        lane = self._services[service_id]
        if lane.limits.min_cps <= 0:
            return math.inf
        return at if lane.deadline is None else max(lane.deadline, at - CATCH_UP)

    def _scale(self, waiting: Collection[ServiceId]) -> float:
        """Return the factor that fits the guaranteed minimums of the waiting services into the account's maximum."""
        promised = sum(self._services[service_id].limits.min_cps for service_id in waiting)
        rate = self._account.rate
        if not rate.window or promised <= 0:
            return 1.0
        return min(1.0, rate.count * SECOND / rate.window / promised)
