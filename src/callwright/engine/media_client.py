"""The node's side of the media workers: it starts them, spreads legs over them and replaces one that dies.

Each worker keeps some legs open in advance, with their ports, so that a call need not wait for one.

When a worker dies its legs are lost: everything awaited on them raises `MediaLost`, and `on_worker_lost` is told.
Workers end by themselves when this process is gone, as their socket closes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from callwright.engine.media_leg import (
    Closed,
    Digit,
    DigitEnded,
    Leg,
    LegEvent,
    MediaError,
    MediaLost,
    NoRtp,
    PlaybackEnded,
    RecordingEnded,
)
from callwright.engine.media_process import WorkerProcess
from callwright.media import protocol as wire
from callwright.media.codec import Codec
from callwright.media.protocol import LegStats, WorkerReport
from callwright.values.errors import OutsideError

__all__ = [
    "Closed",
    "Codec",
    "Digit",
    "DigitEnded",
    "Leg",
    "LegEvent",
    "LegStats",
    "MediaClient",
    "MediaError",
    "MediaLost",
    "NoRtp",
    "PlaybackEnded",
    "RecordingEnded",
    "WorkerReport",
]

log = structlog.get_logger()

NO_RTP_S = 10.0
HUNG_AFTER_S = 8
"""A worker that does not answer for so many seconds, asked in each of them, is killed."""
_ANSWER_TIMEOUT_S = 10.0
_RESTART_PAUSE_S = 1.0
_STOCK = 32
"""So many legs a worker keeps open in advance: what a busy node needs in the time it takes to open more of them."""
_STOCK_SHARE = 8
"""Of a range of few ports only one in so many: others may want them."""


@dataclass(slots=True, eq=False)
class _Place:
    """A worker's place: its configuration, and the process that fills it, None while that is being replaced. `ready`
    are the numbers and ports of legs opened in advance, `asked` how many more were asked for, for the stock or for
    who is `waiting`. It is `full` from when a leg was refused until one is closed: no stock is asked for meanwhile.
    """

    configuration: wire.Configure
    process: WorkerProcess | None = None
    legs: dict[int, Leg] = field(default_factory=dict)
    ready: deque[wire.LegOpened] = field(default_factory=deque)
    asked: int = 0
    waiting: deque[asyncio.Future[wire.LegOpened]] = field(default_factory=deque)
    reports: list[asyncio.Future[WorkerReport]] = field(default_factory=list)
    stock: int = field(init=False)
    full: bool = False

    def __post_init__(self) -> None:
        pairs = (self.configuration.end_port - self.configuration.first_port) // 2
        self.stock = min(_STOCK, pairs // _STOCK_SHARE)

    @property
    def load(self) -> int:
        return len(self.legs) + len(self.waiting)

    @property
    def answers(self) -> bool:
        return self.process is not None and self.process.answers

    def next_waiting(self) -> asyncio.Future[wire.LegOpened] | None:
        """Take out who has waited longest for a leg, and still does."""
        while self.waiting:
            if not (opening := self.waiting.popleft()).done():
                return opening
        return None


class MediaClient:
    """Media workers and the legs they carry."""

    def __init__(self, *, places: list[_Place], hung_after_s: int) -> None:
        self.on_worker_lost: Callable[[list[Leg]], None] | None = None
        self._places = places
        self._hung_after_s = hung_after_s
        self._numbers = itertools.count(1)
        self._replacing: set[asyncio.Task[None]] = set()
        self._up = asyncio.Event()
        self._closed = False

    @classmethod
    async def start(
        cls,
        *,
        host: str,
        port_range: tuple[int, int],
        workers: int = 1,
        no_rtp_s: float = NO_RTP_S,
        hung_after_s: int = HUNG_AFTER_S,
    ) -> MediaClient:
        """Start `workers` processes that share the RTP ports of `port_range` (first, last) on the address `host`.
        Raise `MediaError` when they do not come up; no process stays behind then. A worker that says nothing for
        `hung_after_s` seconds is killed, its legs are lost, and it is replaced.
        """
        first, last = port_range
        share = (last + 1 - first) // workers // 2 * 2
        if share < 2:
            raise MediaError(f"RTP ports {first} to {last} are too few for {workers} media workers")
        client = cls(
            hung_after_s=hung_after_s,
            places=[
                _Place(
                    wire.Configure(
                        host=host,
                        first_port=first + index * share,
                        end_port=first + (index + 1) * share,
                        no_rtp_s=no_rtp_s,
                    )
                )
                for index in range(workers)
            ],
        )
        try:
            for place in client._places:
                await client._fill(place)
            await client.report()  # which comes after their first legs: no call has to wait for one
        except OutsideError as error:
            await client.close()
            raise MediaError(str(error)) from error
        except asyncio.CancelledError:
            client._kill()
            raise
        return client

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return [place.process.pid for place in self._places if place.process is not None]

    @property
    def spare_ports(self) -> set[int]:
        """The RTP ports of legs opened in advance that no call has."""
        return {opened.port for place in self._places for opened in place.ready}

    async def open_leg(self, beside: Leg | None = None) -> Leg:
        """Open a leg on the least loaded worker, or on that of another leg, which it can then be joined to. Raise
        `MediaError` when there is no port or worker for it.
        """
        place = self._best_place(beside)
        if place is not None and place.ready and place.answers:  # else the call would ring somebody, and have no sound
            leg = self._take(place, place.ready.popleft())
            self._restock(place)
            return leg
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await self._wait_for_leg(beside)
        except TimeoutError as error:
            raise MediaError(f"no media worker answered within {_ANSWER_TIMEOUT_S:g} s") from error

    async def report(self) -> list[WorkerReport]:
        """Figures of every worker that runs: ticks, lateness, CPU time."""
        asked: list[asyncio.Future[WorkerReport]] = []
        for place in self._places:
            if place.process is not None:
                future: asyncio.Future[WorkerReport] = asyncio.get_running_loop().create_future()
                place.reports.append(future)
                place.process.tell(wire.AskReport())
                asked.append(future)
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await asyncio.gather(*asked)
        except TimeoutError as error:
            raise MediaError(f"a media worker did not answer within {_ANSWER_TIMEOUT_S:g} s") from error

    async def close(self) -> None:
        """End every worker; legs still open end with them, their recordings complete. No process stays."""
        self._closed = True
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        processes = [place.process for place in self._places if place.process is not None]
        try:
            await asyncio.gather(*(process.end() for process in processes))
        except asyncio.CancelledError:
            self._kill()
            raise
        for place in self._places:
            self._empty(place)

    def _best_place(self, beside: Leg | None) -> _Place | None:
        """The place a new leg belongs to, None while no worker runs."""
        if self._closed:
            raise MediaError("the media workers are closed")
        running = [place for place in self._places if place.process is not None]
        if beside is not None:
            running = [place for place in running if place.legs.get(beside.id) is beside]
            if not running:
                raise MediaError("the leg to open another one beside is over")
        return min(running, key=lambda place: (not place.answers, place.load), default=None)

    def _take(self, place: _Place, opened: wire.LegOpened) -> Leg:
        assert place.process is not None
        leg = Leg(opened.leg, place.process.tell, place.configuration.host, opened.port)
        place.legs[opened.leg] = leg
        return leg

    async def _wait_for_leg(self, beside: Leg | None) -> Leg:
        while (place := self._best_place(beside)) is None:
            await self._up.wait()
        process = place.process
        opening: asyncio.Future[wire.LegOpened] = asyncio.get_running_loop().create_future()
        place.waiting.append(opening)
        self._restock(place)
        try:
            opened = await opening
        except asyncio.CancelledError:
            if opening in place.waiting:
                place.waiting.remove(opening)
            elif place.process is process and not opening.cancelled() and opening.exception() is None:
                place.ready.append(opening.result())
            raise
        if place.process is not process:
            raise MediaLost()
        return self._take(place, opened)

    def _restock(self, place: _Place) -> None:
        """Ask for legs when somebody waits for one or half of the stock is gone."""
        stock = 0 if place.full else place.stock
        lacking = stock + len(place.waiting) - len(place.ready) - place.asked
        if place.process is not None and lacking > 0 and (place.waiting or 2 * lacking >= stock):
            place.asked += lacking
            orders = [wire.OpenLeg(leg=next(self._numbers)) for _ in range(lacking)]
            place.process.tell(*orders, awaited=bool(place.waiting))

    async def _fill(self, place: _Place) -> None:
        place.process = await WorkerProcess.start(
            place.configuration,
            on_report=lambda report: self._heard(place, report),
            on_lost=lambda process: self._lost(place, process),
            hung_after_s=self._hung_after_s,
        )
        self._restock(place)
        self._up.set()

    def _heard(self, place: _Place, report: wire.Report) -> None:
        match report:
            case wire.WorkerReport():
                future = place.reports.pop(0)
                if not future.done():
                    future.set_result(msgspec.structs.replace(report, legs=report.legs - len(place.ready)))
            case wire.LegOpened():
                place.asked -= 1
                if (opening := place.next_waiting()) is not None:
                    opening.set_result(report)
                else:
                    place.ready.append(report)
            case wire.LegRefused(reason=reason):
                place.asked -= 1
                place.full = True
                if (opening := place.next_waiting()) is not None:
                    opening.set_exception(MediaError(reason))
            case wire.Ready() | wire.Pong():
                pass
            case _:
                leg = place.legs.get(report.leg)
                if isinstance(report, wire.LegClosed):
                    place.legs.pop(report.leg, None)
                    place.full = False
                if leg is not None:
                    leg.hear(report)

    def _lost(self, place: _Place, process: WorkerProcess) -> None:
        place.process = None
        if not any(other.process for other in self._places):
            self._up.clear()
        legs = self._empty(place)
        log.error(
            "A media worker died; its calls are lost and it is being replaced.",
            action="media.worker_lost",
            pid=process.pid,
            legs=len(legs),
        )
        if not self._closed:
            task = asyncio.create_task(self._replace(place, process), name="replace media worker")
            self._replacing.add(task)
            task.add_done_callback(self._replacing.discard)
        if self.on_worker_lost is not None:
            self.on_worker_lost(legs)

    def _empty(self, place: _Place) -> list[Leg]:
        """Fail everything awaited of a place's worker; return the legs it had."""
        legs = list(place.legs.values())
        place.legs.clear()
        place.ready.clear()
        place.asked, place.full = 0, False
        while (opening := place.next_waiting()) is not None:
            opening.set_exception(MediaLost())
        for asked in place.reports:
            if not asked.done():
                asked.set_exception(MediaLost())
        place.reports.clear()
        for leg in legs:
            leg.lose()
        return legs

    async def _replace(self, place: _Place, dead: WorkerProcess) -> None:
        await dead.end()
        while True:
            try:
                await self._fill(place)
            except OutsideError as error:
                log.error(str(error), action="media.worker_restart_failed")
                # A worker that cannot start now may later; trying without a pause would only burn the machine.
                await asyncio.sleep(_RESTART_PAUSE_S)
            else:
                log.info("A media worker was replaced.", action="media.worker_replaced", pids=self.pids)
                return

    def _kill(self) -> None:
        for place in self._places:
            if place.process is not None:
                place.process.kill()
