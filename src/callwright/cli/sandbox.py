"""``callwright sandbox``: the simulated phone network alone."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from callwright.cli.options import Data
from callwright.config.load import load_settings
from callwright.log import setup_log


def sandbox(
    sip: Annotated[str, typer.Option(help="HOST:PORT the simulated telephones take calls on.")] = "127.0.0.1:5080",
    personas: Annotated[Path | None, typer.Option(help="YAML file of further simulated telephones.")] = None,
    data: Data = None,
) -> None:
    """Run the simulated phone network alone, for any SIP caller, until Ctrl-C."""
    settings = load_settings(environ=os.environ, overrides={"data": data})
    setup_log(level=settings.log.level, format=settings.log.format)
    from callwright.cli import phone_network  # with all of speech and calls: other commands need not wait for it

    asyncio.run(phone_network.alone(settings.data, sip, personas))
