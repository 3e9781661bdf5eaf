"""One media worker process: started with one end of a socketpair, spoken to in frames, noticed when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import cast

import structlog

from callwright.media import protocol as wire
from callwright.values.errors import OutsideError

log = structlog.get_logger()

_START_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 8.0
_BEAT_S = 1.0
_SLOW_AFTER = 2
"""So many questions unanswered, and calls that may wait for another worker, or a word of this one, do."""
# Each write costs both sides more than what it tells: how long after one the next waits.
_GATHER_S = 0.01  # half a tick: nothing is heard or seen of it
_GATHER_AWAITED_S = 0.002  # when a call waits for the answer


class WorkerProcess(asyncio.Protocol):
    """A running worker. `on_report` gets what it says; `on_lost` is called once when it ends unasked."""

    def __init__(
        self,
        *,
        on_report: Callable[[wire.Report], None],
        on_lost: Callable[[WorkerProcess], None],
        hung_after_s: int,
    ) -> None:
        self._on_report = on_report
        self._on_lost = on_lost
        self._hung_after_s = hung_after_s
        self._unanswered = 0
        self._beat: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._frames = wire.Frames()
        self._unsent = bytearray()
        self._flushed_at = 0.0
        self._flush_at = math.inf
        self._flush_timer: asyncio.TimerHandle | None = None
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False

    @classmethod
    async def start(
        cls,
        configuration: wire.Configure,
        *,
        on_report: Callable[[wire.Report], None],
        on_lost: Callable[[WorkerProcess], None],
        hung_after_s: int,
    ) -> WorkerProcess:
        """Start a worker and return when it is ready; raise OutsideError when it does not come up. When this is
        cancelled no process stays.
        """
        worker = cls(on_report=on_report, on_lost=on_lost, hung_after_s=hung_after_s)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await worker._spawn()
                worker.tell(configuration)
                await worker._ready
                worker._beat = worker._loop.call_later(_BEAT_S, worker._ask)
        except (TimeoutError, OSError) as error:
            worker.kill()
            if worker._process is not None:
                await worker._process.wait()
            raise OutsideError(f"the media worker did not start: {str(error) or 'it took too long'}") from error
        except asyncio.CancelledError:
            worker.kill()
            if worker._process is not None:
                # It was killed, so this is short; leaving before would leave its remains to nobody.
                await worker._process.wait()
            raise
        return worker

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def answers(self) -> bool:
        """Whether it has said anything in the last two seconds: it may be hung otherwise."""
        return self._unanswered < _SLOW_AFTER

    def tell(self, *commands: wire.Command, awaited: bool = False) -> None:
        """Send commands; those of one turn of the event loop travel together, under load those of some turns.
        `awaited` ones, whose answer holds up a call, wait less.
        """
        self._unsent += wire.pack(commands)
        at = self._flushed_at + (_GATHER_AWAITED_S if awaited else _GATHER_S)
        if self._flush_at <= at:
            return
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        self._flush_at = at
        now = self._loop.time()
        self._flush_timer = self._loop.call_later(at - now, self._flush) if now < at else None
        if self._flush_timer is None:
            self._loop.call_soon(self._flush)

    async def end(self) -> None:
        """Close the connection, on which the worker finishes its files and ends; kill it if it does not."""
        self._ending = True
        self._flush()
        if self._transport is not None:
            self._transport.close()
        if self._process is None:
            return
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            log.error("A media worker did not end and was killed.", action="media.worker_killed", pid=self.pid)
            self.kill()
            await self._process.wait()
        except asyncio.CancelledError:
            self.kill()
            await self._process.wait()
            raise

    def kill(self) -> None:
        """End the process at once."""
        self._ending = True
        if self._transport is not None:
            self._transport.abort()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by what it can do, not by class

    def data_received(self, data: bytes) -> None:
        self._unanswered = 0
        for body in self._frames.feed(data):
            for report in wire.read_reports(body):
                if isinstance(report, wire.Ready):
                    _settle(self._ready)
                else:
                    self._on_report(report)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._beat is not None:
            self._beat.cancel()
        if self._ending:
            self._ready.cancel()
        elif not self._ready.done():
            self._ready.set_exception(OSError("it ended while starting; its own message is on standard error"))
        else:
            self._ending = True
            self.kill()
            self._on_lost(self)

    # inside

    def _ask(self) -> None:
        """Ask whether the worker is alive. Questions are counted, not seconds: when this process stood still itself,
        the answers lie in the socket and are read before the next question.
        """
        if self._ending or self._transport is None:
            return
        if self._unanswered >= self._hung_after_s:
            log.error(
                f"A media worker has not answered for {self._unanswered} s and is killed.",
                action="media.worker_hung",
                pid=self.pid,
            )
            # Its end closes the connection, which then counts as any other loss.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            return
        self._unanswered += 1
        self.tell(wire.Ping())
        self._beat = self._loop.call_later(_BEAT_S, self._ask)

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "callwright.media_worker",
                    "--fd",
                    str(theirs.fileno()),
                    pass_fds=(theirs.fileno(),),
                    # The worker's matrices are small: more threads would only wait for each other within a tick.
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                    stdin=asyncio.subprocess.DEVNULL,
                )
            ours.setblocking(False)
            await self._loop.create_unix_connection(lambda: self, sock=ours)
        except BaseException:
            ours.close()
            raise

    def _flush(self) -> None:
        self._flush_at = math.inf
        if self._unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(bytes(self._unsent))
            self._flushed_at = self._loop.time()
        self._unsent.clear()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
