"""`python -m callwright.sandbox`: runs the simulated phone network until its parent is gone or it is told to stop.

One JSON line says where it is (`{"sip": "127.0.0.1:5080", "personas": 16, "data": "…"}`), on `--ready-fd` or standard
output; everything that happens follows as JSON lines on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from callwright.log import setup_log
from callwright.sandbox.network import SimulatedNetwork
from callwright.sandbox.persona_file import read_persona_file
from callwright.sandbox.personas import BUILT_IN
from callwright.sandbox.rtp_port import PortRange
from callwright.sandbox.voice import Voice
from callwright.values.errors import CallwrightError, OutsideError

log = structlog.get_logger()

CANNOT_RUN = 2


def main() -> None:
    """Run from the command line."""
    options = _parser().parse_args()
    setup_log(level=options.log_level, format="json")
    try:
        asyncio.run(_run(options))
    except CallwrightError as problem:
        log.error("The sandbox cannot run.", action="sandbox_refused", problem=str(problem))
        sys.exit(CANNOT_RUN)


async def _run(options: argparse.Namespace) -> None:
    personas = (*BUILT_IN, *(read_persona_file(options.personas) if options.personas else ()))
    host, port = options.sip
    try:
        options.data.mkdir(parents=True, exist_ok=True)
        network = SimulatedNetwork.open(
            host=host,
            port=port,
            ports=options.rtp_range,
            directory=options.data,
            personas=personas,
            voice=Voice(directory=options.phrases),
        )
    except OSError as problem:
        raise OutsideError(f"cannot use {host}:{port} with data in {options.data}: {problem}") from problem
    stop = asyncio.Event()
    running = asyncio.create_task(network.run(), name="simulated phone network")
    running.add_done_callback(lambda _: stop.set())
    try:
        with _stopped_by_signals(stop), _stopped_by_parent(stop, options.ready_fd):
            _announce(network, len(personas), options)
            await stop.wait()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await network.close()
        log.info("The simulated phone network has stopped.", action="sandbox_stopped")


def _announce(network: SimulatedNetwork, personas: int, options: argparse.Namespace) -> None:
    address = f"[{network.host}]:{network.port}" if ":" in network.host else f"{network.host}:{network.port}"
    line = msgspec.json.encode({"sip": address, "personas": personas, "data": str(options.data)}) + b"\n"
    os.write(options.ready_fd if options.ready_fd is not None else sys.stdout.fileno(), line)
    log.info("The simulated phone network takes calls.", action="sandbox_started", sip=address)


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _stopped_by_parent(stop: asyncio.Event, ready_fd: int | None) -> Iterator[None]:
    """Watch what the parent holds the other end of: the ready descriptor or, without one, standard input.

    A pipe or socket tells when the parent is gone, however it went: reading ends, or writing would fail. A terminal or
    /dev/null is nobody's to hold.
    """
    loop = asyncio.get_running_loop()
    fd = sys.stdin.fileno() if ready_fd is None else ready_fd
    if not _is_held(fd):
        yield
        return

    def readable() -> None:
        # A pipe's writing end cannot be read: it becomes "readable" only when nobody reads the other end any more.
        try:
            gone = not os.read(fd, 4096)
        except OSError:
            gone = True
        if gone:
            loop.remove_reader(fd)
            stop.set()

    loop.add_reader(fd, readable)
    try:
        yield
    finally:
        loop.remove_reader(fd)


def _is_held(fd: int) -> bool:
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m callwright.sandbox", description="The simulated phone network.")
    parser.add_argument("--sip", type=_address, default=("127.0.0.1", 0), help="host:port, port 0 takes any free one")
    parser.add_argument(
        "--rtp-range", type=_port_range, default=PortRange(), help="low-high, 0-0 lets the system choose"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder for what the telephones hear and see")
    parser.add_argument("--personas", type=Path, help="YAML file of further personas")
    parser.add_argument("--phrases", type=Path, help="folder of rendered phrases")
    parser.add_argument(
        "--ready-fd", type=int, help="descriptor for the ready line; the parent keeps its other end open"
    )
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not host:port")
    return host.strip("[]"), int(port)


def _port_range(text: str) -> PortRange:
    low, dash, high = text.partition("-")
    if not dash or not low.isdecimal() or not high.isdecimal() or not int(low) <= int(high) <= 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not low-high")
    if int(high) and (int(low) < 1024 or not PortRange(low=int(low), high=int(high)).ports):
        raise argparse.ArgumentTypeError(f"'{text}' holds no even port from 1024 up")
    return PortRange(low=int(low), high=int(high))


if __name__ == "__main__":
    main()
