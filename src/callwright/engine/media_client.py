"""The node's side of the media workers: it starts them, spreads legs over them and replaces one that dies.

When a worker dies its legs are lost: everything awaited on them raises `MediaLost`, and `on_worker_lost` is told.
Workers end by themselves when this process is gone, as their socket closes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

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


@dataclass(slots=True, eq=False)
class _Place:
    """A worker's place: its configuration, and the process that fills it, None while that is being replaced."""

    configuration: wire.Configure
    process: WorkerProcess | None = None
    legs: dict[int, Leg] = field(default_factory=dict)
    opening: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    reports: list[asyncio.Future[WorkerReport]] = field(default_factory=list)

    @property
    def load(self) -> int:
        return len(self.legs) + len(self.opening)


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

    async def open_leg(self, beside: Leg | None = None) -> Leg:
        """Open a leg on the least loaded worker, or on that of another leg, which it can then be joined to. Raise
        `MediaError` when there is no port or worker for it.
        """
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await self._open_leg(beside)
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

    async def _open_leg(self, beside: Leg | None) -> Leg:
        while True:
            if self._closed:
                raise MediaError("the media workers are closed")
            running = [place for place in self._places if place.process is not None]
            if beside is not None:
                running = [place for place in running if place.legs.get(beside.id) is beside]
                if not running:
                    raise MediaError("the leg to open another one beside is over")
            if running:
                break
            await self._up.wait()
        place = min(running, key=lambda place: place.load)
        assert place.process is not None
        number = next(self._numbers)
        opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        place.opening[number] = opened
        process = place.process
        process.tell(wire.OpenLeg(leg=number))
        try:
            port = await opened
        except asyncio.CancelledError:
            process.tell(wire.CloseLeg(leg=number))
            raise
        finally:
            place.opening.pop(number, None)
        if place.process is not process:
            raise MediaLost()
        leg = place.legs[number] = Leg(number, process.tell, place.configuration.host, port)
        return leg

    async def _fill(self, place: _Place) -> None:
        place.process = await WorkerProcess.start(
            place.configuration,
            on_report=lambda report: self._heard(place, report),
            on_lost=lambda process: self._lost(place, process),
            hung_after_s=self._hung_after_s,
        )
        self._up.set()

    def _heard(self, place: _Place, report: wire.Report) -> None:
        match report:
            case wire.WorkerReport():
                future = place.reports.pop(0)
                if not future.done():
                    future.set_result(report)
            case wire.LegOpened(leg=number, port=port):
                opening = place.opening.get(number)
                if opening is not None and not opening.done():
                    opening.set_result(port)
            case wire.LegRefused(leg=number, reason=reason):
                opening = place.opening.get(number)
                if opening is not None and not opening.done():
                    opening.set_exception(MediaError(reason))
            case wire.Ready() | wire.Pong():
                pass
            case _:
                leg = place.legs.get(report.leg)
                if isinstance(report, wire.LegClosed):
                    place.legs.pop(report.leg, None)
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
        for opening in place.opening.values():
            if not opening.done():
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
