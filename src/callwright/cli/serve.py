"""``callwright serve``: run a node until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Annotated

import typer

from callwright.cli.options import Config, Data
from callwright.config.errors import SettingsError
from callwright.config.load import load_settings
from callwright.log import setup_log

DEMO_ACCOUNT = "demo@example.com"


def serve(
    data: Data = None,
    http: Annotated[str | None, typer.Option(help="HOST:PORT of the web services (default: 127.0.0.1:8080).")] = None,
    sip: Annotated[str | None, typer.Option(help="HOST:PORT of SIP, UDP and TCP (default: 127.0.0.1:5060).")] = None,
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
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error (default: info).")] = None,
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
    elsewhere = None if sandbox_at is None else _whole_address("sandbox-at", sandbox_at)
    from callwright.cli import node_process  # a whole node: other commands need not wait for its import

    node_process.run(
        settings, sandbox=sandbox, personas=personas, sandbox_at=elsewhere, stop_with_parent=stop_with_parent
    )


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
