"""The life of a node as a process: signals, and what it says on the terminal when it is ready.

Apart from ``serve`` because of what it imports: other commands need not wait for that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import typer
import uvloop

from callwright.cli.node_link import NodeLink
from callwright.cli.phone_network import beside_node, running_elsewhere
from callwright.cli.serve import DEMO_ACCOUNT
from callwright.config.settings import Settings
from callwright.server import NodeAddresses, OpenSandbox, StopRequest, run_node

NAME_THREADS = "128"


def run(
    settings: Settings,
    *,
    sandbox: bool,
    personas: Path | None,
    sandbox_at: tuple[str, int] | None,
    stop_with_parent: bool,
) -> None:
    """Run a node until it is told to stop, with the simulated phone network beside it or with one at an address."""
    # libuv looks names up in half of its threads, by default in two: a tenant's name whose server never answers would
    # keep everybody's calls waiting for theirs. Read when the first name is looked up; an operator's own value stays.
    os.environ.setdefault("UV_THREADPOOL_SIZE", NAME_THREADS)
    open_sandbox: OpenSandbox | None = partial(beside_node, personas=personas) if sandbox else None
    if sandbox_at is not None:
        open_sandbox = partial(running_elsewhere, address=sandbox_at)
    uvloop.run(_serve(settings, open_sandbox, stop_with_parent=stop_with_parent))


async def _serve(settings: Settings, open_sandbox: OpenSandbox | None, *, stop_with_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = StopRequest()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.ask)
    if stop_with_parent:
        loop.add_reader(sys.stdin.fileno(), partial(_stop_at_end_of_input, loop, stop))
    greeting: list[asyncio.Task[None]] = []

    def on_ready(addresses: NodeAddresses) -> None:
        greeting.append(asyncio.create_task(_greet(addresses), name="greet"))

    await run_node(settings, stop=stop, on_ready=on_ready, open_sandbox=open_sandbox)
    await asyncio.gather(*greeting)


def _stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: StopRequest) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stop.ask()


async def _greet(addresses: NodeAddresses) -> None:
    """Say where the node is; on a node without accounts make the demo account and show its key, once."""
    link = NodeLink(addresses.admin_socket)
    lines = [f"callwright is ready: web services {addresses.http}, SIP {addresses.sip} (UDP and TCP)"]
    if addresses.sandbox:
        lines.append(f"simulated phone network at {addresses.sandbox}: call tel:999005550001 to tel:999005550016")
    lines += await asyncio.to_thread(_first_account, link.get, link.post)
    for line in lines:
        typer.echo(line)


def _first_account(get: Callable[..., object], post: Callable[..., object]) -> list[str]:
    found = get("/accounts")
    assert isinstance(found, dict)
    if found["accounts"]:
        return []
    made = post("/accounts", {"username": DEMO_ACCOUNT, "type": "production", "max_cps": 10, "caller_ids": "any"})
    assert isinstance(made, dict)
    return [
        f"first start: made the account {made['account']['cloud_id']}/{DEMO_ACCOUNT}",
        f"its API Access Key, shown only now: {made['access_key']}",
    ]
