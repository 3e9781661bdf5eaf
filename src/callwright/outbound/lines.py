"""The lines of the dispatcher, one for each account: how many starts to claim of each service, who leaves next, and
when (docs/reference/queue.md, pacing).

A line stands in memory only: pacing as it is now, limits as last read, and claimed starts that were judged fit to run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

from sqlalchemy import Connection

from callwright.accounts.account import Account
from callwright.accounts.service import Service
from callwright.accounts.store import get_account, get_service
from callwright.outbound import dialling
from callwright.outbound.gate import Gate
from callwright.outbound.launch import SLOT_MARGIN
from callwright.outbound.pacing import SECOND, Limits, Pacer, Slot
from callwright.outbound.pauses import Pauses
from callwright.outbound.start import Start
from callwright.values.destination import Destination
from callwright.values.ids import AccountId, ServiceId

LOOK_AHEAD = SECOND // 4  # starts are claimed and prepared this long before their slot
CLAIM_AHEAD = LOOK_AHEAD * 3 // 5  # when the next slot is this near, all up to there are claimed in one transaction
BATCH = 200  # starts claimed or expired in one transaction: bounds how long others wait for the writer


@dataclass(slots=True)
class Line:
    """What the dispatcher holds of one account: its pacing, its services as last read, and starts ready to launch."""

    account: Account
    pacer: Pacer
    gate: Gate
    services: dict[ServiceId, Service] = field(default_factory=dict)
    ready: dict[ServiceId, deque[tuple[Start, Destination]]] = field(default_factory=dict)

    def waiting(self) -> list[ServiceId]:
        """Return the services with a start ready to launch."""
        return [service_id for service_id, starts in self.ready.items() if starts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What one read found: services with their accounts, and the last slots of services not met before."""

    services: dict[ServiceId, tuple[Account, Service]]
    slots: dict[ServiceId, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A start that was given its slot and is to be launched now."""

    start: Start
    destination: Destination
    service: Service
    gate: Gate
    slot: Slot


class Lines:
    """All lines of this node. ``running`` says, everywhere, how many instances of each service run now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives epoch seconds."""
        self._clock = clock
        self._lines: dict[AccountId, Line] = {}
        self._account_of: dict[ServiceId, AccountId] = {}
        self.paused = Pauses()

    def of(self, account_id: AccountId) -> Line:
        """Return the line of an account that was learned of."""
        return self._lines[account_id]

    def know(self, service_id: ServiceId) -> bool:
        """Whether a service was learned of."""
        return service_id in self._account_of

    def are_limited(self, service_id: ServiceId) -> bool:
        """Whether the running instances of a service, or of its account, have a limit that may hold others back."""
        line = self._lines[self._account_of[service_id]]
        return line.account.max_running is not None or line.services[service_id].max_running is not None

    def load(self, c: Connection, asked: Iterable[ServiceId]) -> Loaded:
        """Read what ``learn`` takes over."""
        services: dict[ServiceId, tuple[Account, Service]] = {}
        slots: dict[ServiceId, list[float]] = {}
        for service_id in asked:
            service = get_service(c, service_id)
            account = get_account(c, service.account_id)
            services[service_id] = (account, service)
            if service_id not in self._account_of:
                rates = (account.max_cps, service.max_cps or account.max_cps)
                window_s = max(1.0, *(1 / rate for rate in rates)) + SLOT_MARGIN / SECOND
                slots[service_id] = dialling.slots_since(c, service_id, since=self._clock() - window_s)
        return Loaded(services=services, slots=slots)

    def learn(self, loaded: Loaded) -> None:
        """Take over limits as they are now, and where pacing stood when this node, or its former life, last knew."""
        for service_id, (account, service) in loaded.services.items():
            limits = Limits(max_cps=account.max_cps, min_cps=account.min_cps)
            if (line := self._lines.get(account.id)) is None:
                pacer = Pacer(limits)
                line = self._lines[account.id] = Line(account=account, pacer=pacer, gate=Gate(pacer))
            line.account = account
            line.services[service_id] = service
            line.pacer.set_account(limits)
            line.pacer.set_service(service_id, Limits(max_cps=service.max_cps, min_cps=service.min_cps or 0.0))
            if service_id in loaded.slots:
                self._account_of[service_id] = account.id
                line.pacer.restore(service_id, [self._left_at(slot_at) for slot_at in loaded.slots[service_id]])

    def _left_at(self, slot_at: float) -> int:
        """Return when, at the latest, the start of a slot of a former life left, in this life's microseconds."""
        age = max(0, round((self._clock() - slot_at) * SECOND) - SLOT_MARGIN)
        return _now() - age

    def wanted(self, asked: set[ServiceId], running: Mapping[ServiceId, int]) -> dict[ServiceId, int]:
        """Return how many starts to claim of each service: those that can leave soon, within the limits."""
        wanted: dict[ServiceId, int] = {}
        of_account: dict[AccountId, list[ServiceId]] = {}
        for service_id in asked:
            of_account.setdefault(self._account_of[service_id], []).append(service_id)
        for account_id, services in of_account.items():
            line = self._lines[account_id]
            room = {service_id: len(line.ready[service_id]) for service_id in line.waiting()}
            for service_id in services:
                room[service_id] = max(room.get(service_id, 0), min(BATCH, self._room(line, service_id, running)))
            limit = self._account_room(line, running)
            able = [service_id for service_id, many in room.items() if many > 0]
            if (slot := line.pacer.next_slot(_now(), able)) is None or slot.at > _now() + CLAIM_AHEAD:
                continue
            planned = line.pacer.plan(_now(), _now() + LOOK_AHEAD, room, limit=min(BATCH, limit))
            for service_id in asked & planned.keys():
                if (more := planned[service_id] - len(line.ready.get(service_id, ()))) > 0:
                    wanted[service_id] = more
        return wanted

    def leaving(self, running: Mapping[ServiceId, int]) -> Iterator[Leaving]:
        """Give slots to the starts in line that leave soon. The caller launches each, and counts it in ``running``,
        before it asks for the next.
        """
        for line in self._lines.values():
            # When the machine is late, slots of its clock would be given that cannot be kept: calls, each with its
            # port, would pile up at the gate.
            while self._account_room(line, running) > 0 and not line.gate.is_crowded(2 * LOOK_AHEAD):
                able = [s for s in line.waiting() if self._room(line, s, running) > 0]
                slot = line.pacer.next_slot(_now(), able)
                if slot is None or slot.at > _now() + LOOK_AHEAD:
                    break
                line.pacer.take(slot, able)
                start, destination = line.ready[slot.service_id].popleft()
                service = line.services[slot.service_id]
                yield Leaving(
                    start=start,
                    destination=destination,
                    service=service,
                    gate=line.gate,
                    slot=slot,
                )

    def ready(self) -> list[Start]:
        """Return the starts ready to launch."""
        return [start for line in self._lines.values() for starts in line.ready.values() for start, _ in starts]

    def take_paused(self) -> list[Start]:
        """Return, and drop from their lines, the starts ready to launch that are paused now."""
        taken: list[Start] = []
        for line in self._lines.values():
            paused = [s for s in line.waiting() if self.paused.hold(line.account.id, s)]
            taken += [start for service_id in paused for start, _ in line.ready.pop(service_id)]
        return taken

    def take_all(self) -> list[Start]:
        """Return, and drop from their lines, all starts ready to launch."""
        taken = self.ready()
        for line in self._lines.values():
            line.ready.clear()
        return taken

    def next_step_at(self, hungry: Collection[ServiceId], running: Mapping[ServiceId, int]) -> float:
        """Return the loop time of the next slot worth preparing for, infinity when there is none: to launch those
        ready, or to claim of the services that are ``hungry``.
        """
        soonest = inf
        for account_id, line in self._lines.items():
            if self._account_room(line, running) <= 0:
                continue
            asking = (s for s in hungry if self._account_of.get(s) == account_id)
            for ahead, waiting in ((LOOK_AHEAD, line.waiting()), (CLAIM_AHEAD, asking)):
                able = [s for s in waiting if self._room(line, s, running) > 0]
                if (slot := line.pacer.next_slot(_now(), able)) is not None:
                    soonest = min(soonest, (slot.at - ahead) / SECOND)
        return soonest

    def _room(self, line: Line, service_id: ServiceId, running: Mapping[ServiceId, int]) -> int:
        """Return how many more instances of a service its own limit lets run: none while it is paused."""
        if self.paused.hold(line.account.id, service_id):
            return 0
        limit = line.services[service_id].max_running
        return BATCH if limit is None else max(0, limit - running.get(service_id, 0))

    def _account_room(self, line: Line, running: Mapping[ServiceId, int]) -> int:
        """Return how many more instances of an account its limit lets run."""
        limit = line.account.max_running
        return BATCH if limit is None else max(0, limit - sum(running.get(s, 0) for s in line.services))


def _now() -> int:
    return int(asyncio.get_running_loop().time() * SECOND)
