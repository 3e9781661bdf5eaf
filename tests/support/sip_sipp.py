"""SIPp, an independent SIP implementation, as the other side of our socket. Scenarios are tests/data/sipp/*.xml."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from callwright.engine.sip_socket import SipSocket
from callwright.sip.agenda import Timers
from callwright.sip.core import SipCore
from callwright.sip.event import Event

SCENARIOS = Path(__file__).parent.parent / "data" / "sipp"
HOST = "127.0.0.1"
PATIENCE_S = 20.0

needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="the program sipp is not installed")

E = TypeVar("E", bound=Event)


class Ear:
    """Collects the events of a socket and lets a test await one of a kind."""

    def __init__(self, sip: SipSocket) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self.heard: list[Event] = []
        sip.on_event = self._hear

    def _hear(self, event: Event) -> None:
        self.heard.append(event)
        self._events.put_nowait(event)

    async def next(self, kind: type[E]) -> E:
        """Return the next event of this kind; others before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                event = await self._events.get()
                if isinstance(event, kind):
                    return event


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while not condition():
        assert loop.time() < deadline, "it never came true"
        await asyncio.sleep(0.02)


def free_port() -> int:
    """Return a UDP port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_bound(port: int, *, by_tcp: bool = False) -> bool:
    """Tell by the kernel's own table whether somebody has a port."""
    rows = Path("/proc/net/tcp" if by_tcp else "/proc/net/udp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") for row in rows)


@contextlib.asynccontextmanager
async def sip_socket(
    *, timers: Timers | None = None, wrap: Callable[[SipCore], SipCore] | None = None, host: str = HOST, **more: Any
) -> AsyncIterator[tuple[SipSocket, Ear]]:
    """A socket of ours on a free port, closed at the end. ``wrap`` may tamper with its core, ``more`` goes to open."""

    def make(address: str, port: int) -> SipCore:
        core = SipCore(
            contact_host=address, contact_port=port, new_id=lambda: secrets.token_hex(16), timers=timers or Timers()
        )
        return wrap(core) if wrap else core

    opened = await SipSocket.open(host=host, port=0, core_factory=make, **more)
    try:
        yield opened, Ear(opened)
    finally:
        await opened.close()


class Sipp:
    """One SIPp process that plays one scenario for a number of calls."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.address = (HOST, port)

    async def succeeds(self) -> None:
        """Wait for the end; every call must have followed the scenario."""
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await self._process.communicate()
        errors = "".join(path.read_text(errors="replace") for path in self._folder.glob("*errors*"))
        assert self._process.returncode == 0, f"sipp: {self._process.returncode}\n{errors}\n{output.decode()[-3000:]}"

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()


@contextlib.asynccontextmanager
async def sipp(
    scenario: str, folder: Path, *arguments: str, to: tuple[str, int] | None = None, calls: int = 1
) -> AsyncIterator[Sipp]:
    """Run SIPp with a scenario; ``to`` makes it the calling side."""
    port = free_port()
    command = ["sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", HOST, "-p", str(port), "-m", str(calls)]
    command += ["-nostdin", "-trace_err", "-timeout", "18s", "-timeout_error", *arguments]
    if to is not None:
        command.append(f"{to[0]}:{to[1]}")
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Sipp(process, port, folder)
    try:
        await until(
            lambda: process.returncode is not None or _is_bound(port, by_tcp="-t" in arguments)
        )  # a port nobody has yet refuses calls
        yield running
    finally:
        await running.stop()
