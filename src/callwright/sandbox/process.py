"""Starts the sandbox as a process of its own and ends it; for the command line and for tests."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from callwright.values.errors import OutsideError

LOG_FILE = "sandbox.log"
_START_S = 20.0
_STOP_S = 10.0


class SandboxFailed(OutsideError):
    """The simulated phone network could not start; the text says why."""


@dataclass(slots=True, kw_only=True)
class SandboxProcess:
    """A running sandbox: where it takes SIP, and the folder of its observations, rings and log."""

    host: str
    port: int
    data: Path
    _process: asyncio.subprocess.Process
    _ready: asyncio.ReadTransport = field(repr=False)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def close(self) -> None:
        """End the sandbox; it writes what its calls saw first. Closing it again changes nothing."""
        if self.is_running:
            self._process.terminate()
            try:
                async with asyncio.timeout(_STOP_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._ready.close()

    async def wait(self) -> int:
        """Wait until the sandbox has ended; return its exit code."""
        return await self._process.wait()


async def start_sandbox(
    *,
    data: Path,
    sip: str = "127.0.0.1:0",
    rtp_range: tuple[int, int] = (0, 0),
    personas: Path | None = None,
    phrases: Path | None = None,
) -> SandboxProcess:
    """Start `python -m callwright.sandbox` and wait until it takes calls; raise `SandboxFailed`.

    The process ends when this one does: it watches the pipe whose reading end is kept here.
    """
    command = ["--sip", sip, "--rtp-range", f"{rtp_range[0]}-{rtp_range[1]}", "--data", str(data)]
    if personas is not None:
        command += ["--personas", str(personas)]
    if phrases is not None:
        command += ["--phrases", str(phrases)]
    log = _open_log(data)
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "callwright.sandbox", "--ready-fd", str(writing), *command),
            pass_fds=(writing,),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C on the terminal is for the parent, which ends its calls first and then the sandbox.
            start_new_session=True,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
        os.close(log)
    stream = asyncio.StreamReader()
    ready, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", buffering=0)
    )
    try:
        async with asyncio.timeout(_START_S):
            line = await stream.readline()
            if not line:
                raise SandboxFailed(f"the simulated phone network did not start: {_last_words(data)}")
        host, _, port = msgspec.json.decode(line)["sip"].rpartition(":")
        return SandboxProcess(host=host.strip("[]"), port=int(port), data=data, _process=process, _ready=ready)
    except BaseException as problem:
        ready.close()
        if process.returncode is None:
            process.kill()
        await process.wait()
        if isinstance(problem, TimeoutError):
            raise SandboxFailed(f"the simulated phone network was not ready within {_START_S:g} s") from problem
        raise


def _open_log(data: Path) -> int:
    try:
        data.mkdir(parents=True, exist_ok=True)
        return os.open(data / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as problem:
        raise SandboxFailed(f"the sandbox's data folder {data} cannot be used: {problem}") from problem


def _last_words(data: Path) -> str:
    """What the sandbox said last, from its log."""
    lines = (data / LOG_FILE).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if not lines:
        return "it said nothing"
    try:
        return str(msgspec.json.decode(lines[-1])["problem"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return lines[-1]
