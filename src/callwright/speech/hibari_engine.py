"""The neural voice: starts the speech worker when it is first needed, and again when it dies."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import sys

import msgspec
import numpy as np
import structlog

from callwright.speech.frames import LENGTH, BrokenFrame, Hello, Said, Say, body_length, pack
from callwright.speech.synthesiser import EngineUnusable, Sound, SynthesisFailed
from callwright.speech.voices import Voice

log = structlog.get_logger()

START_LIMIT_S = 30.0
SPEAK_LIMIT_S = 20.0
TURN_LIMIT_S = 60.0  # for the turns of those who asked before
CLOSE_LIMIT_S = 2.0
KILL_LIMIT_S = 5.0


class WorkerLost(SynthesisFailed):
    """The worker process ended or spoke nonsense; the next request starts another one."""


class HibariSynthesiser:
    """Speaks English with hibari's one bundled voice, in a child process that serves one request at a time."""

    engine = "hibari"
    max_characters = 400  # one sentence is one matrix for the model: a longer one costs hundreds of megabytes

    def __init__(self, version: str) -> None:
        self.version = version
        self._worker: asyncio.subprocess.Process | None = None
        self._rate = 0
        self._number = 0
        self._turn = asyncio.Lock()
        self._closed = False

    @property
    def worker_pid(self) -> int | None:
        """Process id of the running worker, None when there is none."""
        return self._worker.pid if self._worker and self._worker.returncode is None else None

    async def speak(self, text: str, voice: Voice, rate: float) -> Sound:
        """Speak; a worker found dead is replaced once."""
        try:
            async with asyncio.timeout(TURN_LIMIT_S) as waiting, self._turn:
                waiting.reschedule(None)
                return await self._speak(text, rate)
        except TimeoutError as error:
            # Behind a worker that hangs each request would wait for all those before it to give up.
            raise EngineUnusable(f"hibari had no time for a text within {TURN_LIMIT_S:g} s.") from error

    async def _speak(self, text: str, rate: float) -> Sound:
        try:
            return await self._ask(text, rate)
        except WorkerLost as loss:
            log.warning("The speech worker was lost and is started again.", action="speech_worker_lost", why=str(loss))
        return await self._ask(text, rate)

    async def close(self) -> None:
        """End the worker for good: politely by closing its input, then by force."""
        self._closed = True
        async with self._turn:
            await self._end(CLOSE_LIMIT_S)

    async def _ask(self, text: str, rate: float) -> Sound:
        worker = await self._running()
        self._number += 1
        try:
            async with asyncio.timeout(SPEAK_LIMIT_S):
                assert worker.stdin is not None
                worker.stdin.write(pack(Say(number=self._number, text=text, rate=rate)))
                await worker.stdin.drain()
                said = msgspec.msgpack.decode(await self._frame(worker), type=Said)
        except TimeoutError as error:
            await self._end(0)
            raise EngineUnusable(f"hibari did not answer within {SPEAK_LIMIT_S:g} s and was stopped.") from error
        except (OSError, EOFError, BrokenFrame, msgspec.DecodeError) as error:
            await self._end(0)
            raise WorkerLost(f"hibari's process ended in the middle of a request ({type(error).__name__}).") from error
        except asyncio.CancelledError:
            # The answer is still to come: the next request would take it for its own.
            await self._end(0)
            raise
        if said.number != self._number:
            await self._end(0)
            raise WorkerLost("hibari answered another request than the one asked.")
        if said.problem:
            raise SynthesisFailed(f"hibari could not speak a text of {len(text)} characters ({said.problem}).")
        samples = np.frombuffer(said.pcm, "<i2").astype(np.float32) / 32768.0
        return Sound(samples=samples, rate=self._rate)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._worker and self._worker.returncode is None:
            return self._worker
        if self._closed:
            raise EngineUnusable("hibari was closed: the node is stopping.")
        self._worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "callwright.speech.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        try:
            async with asyncio.timeout(START_LIMIT_S):
                hello = msgspec.msgpack.decode(await self._frame(self._worker), type=Hello)
        except TimeoutError as error:
            await self._end(0)
            raise EngineUnusable(f"hibari did not start within {START_LIMIT_S:g} s.") from error
        except (OSError, EOFError, BrokenFrame, msgspec.DecodeError) as error:
            await self._end(0)
            raise EngineUnusable("hibari's process ended while it was starting.") from error
        except asyncio.CancelledError:
            await self._end(0)
            raise
        if hello.problem:
            await self._end(0)
            raise EngineUnusable(f"hibari cannot be used on this machine: {hello.problem}")
        self._rate = hello.rate
        log.info("The speech worker is ready.", action="speech_worker_started", pid=self._worker.pid)
        return self._worker

    @staticmethod
    async def _frame(worker: asyncio.subprocess.Process) -> bytes:
        assert worker.stdout is not None
        header = await worker.stdout.readexactly(LENGTH.size)
        return await worker.stdout.readexactly(body_length(header))

    async def _end(self, patience_s: float) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        if worker.stdin is not None:
            worker.stdin.close()
        if worker.returncode is None and patience_s:
            try:
                async with asyncio.timeout(patience_s):
                    await worker.wait()
            except TimeoutError:
                log.warning("The speech worker did not end by itself.", action="speech_worker_killed", pid=worker.pid)
        if worker.returncode is None:
            try:
                worker.kill()
            except ProcessLookupError:
                log.debug("The speech worker had just ended.", action="speech_worker_gone", pid=worker.pid)
        try:
            async with asyncio.timeout(KILL_LIMIT_S):
                # Sound nobody will hear would keep the pipe, and so its transport, open.
                while worker.stdout is not None and await worker.stdout.read(65536):
                    pass
                await worker.wait()
        except TimeoutError:
            log.error("The speech worker was killed and does not end.", action="speech_worker_stuck", pid=worker.pid)


def installed_version() -> str | None:
    """Return the version of the hibari wheel, None when it is not installed; loads nothing."""
    try:
        return importlib.metadata.version("hibari-tts")
    except importlib.metadata.PackageNotFoundError:
        return None
