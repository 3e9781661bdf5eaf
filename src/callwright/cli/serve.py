"""``callwright serve``: run a node until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from callwright.cli.node_link import NodeLink
from callwright.cli.options import Config, Data
from callwright.cli.sandbox import beside_node, running_elsewhere
from callwright.config.errors import SettingsError
from callwright.config.load import load_settings
from callwright.config.settings import Settings
from callwright.log import setup_log
from callwright.server import NodeAddresses, OpenSandbox, StopRequest, run_node

DEMO_ACCOUNT = "demo@example.com"


def serve(
    data: Data = None,
    http: Annotated[
        str | None, typer.Option(help="HOST:PORT of the web services.", show_default="127.0.0.1:8080")
    ] = None,
    sip: Annotated[
        str | None, typer.Option(help="HOST:PORT of SIP, UDP and TCP.", show_default="127.0.0.1:5060")
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Run the simulated phone network beside the node.")
    ] = False,
    personas: Annotated[Path | None, typer.Option(help="YAML file of further simulated telephones.")] = None,
    allow_private_pages: Annotated[
        bool, typer.Option("--allow-private-pages", help="Let pages be at private addresses (not for production).")
    ] = False,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy that ends TLS stands in front.")
    ] = False,
    insecure_http: Annotated[
        bool, typer.Option("--insecure-http", help="Serve plain HTTP beyond this machine all the same.")
    ] = False,
    config: Config = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.", show_default="info")] = None,
    sandbox_at: Annotated[
        str | None, typer.Option("--sandbox-at", help="HOST:PORT of a running simulated phone network.", hidden=True)
    ] = None,
    stop_with_parent: Annotated[bool, typer.Option("--stop-with-parent", hidden=True)] = False,
) -> None:
    """Run a node: web services, queue, calls and records, until Ctrl-C or SIGTERM.

    The first stop drains: no new calls, running ones may finish. A second one hangs up what is left.
    """
    settings = load_settings(
        environ=os.environ,
        config_file=config,
        overrides={
            "data": data,
            **_address("http", http),
            **_address("sip", sip),
            "pages.allow_private": allow_private_pages or None,
            "http.behind_proxy": behind_proxy or None,
            "http.insecure_http": insecure_http or None,
            "log.level": log_level,
        },
    )
    os.umask(0o077)  # tokens, recordings and logs of customers are for the node's own user only
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # connections, calls and files: many shells allow 1,024
    setup_log(level=settings.log.level, format=settings.log.format)
    if personas is not None and not sandbox:
        raise SettingsError("--personas needs --sandbox: they are telephones of the simulated phone network")
    open_sandbox: OpenSandbox | None = partial(beside_node, personas=personas) if sandbox else None
    if sandbox_at is not None:
        open_sandbox = partial(running_elsewhere, address=_whole_address("sandbox-at", sandbox_at))
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


def _address(section: str, text: str | None) -> dict[str, object]:
    """Return the overrides of ``--http`` or ``--sip``: HOST:PORT, or one of the two."""
    if text is None:
        return {}
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = ("", text) if text.isdigit() else (text, "")
    if not (port or host) or (port and not port.isdigit()):
        raise SettingsError(f"--{section} is '{text}': write HOST:PORT, for example 127.0.0.1:8080")
    return {f"{section}.host": host.strip("[]") or None, f"{section}.port": int(port) if port else None}


def _whole_address(option: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise SettingsError(f"--{option} is '{text}': write HOST:PORT, for example 127.0.0.1:5080")
    return host.strip("[]"), int(port)
