"""Runs ``callwright`` commands against a node of the same process; commands wait, so they run in a thread."""

from __future__ import annotations

import asyncio
from pathlib import Path

from typer.testing import CliRunner, Result

from callwright.cli.main import app


async def command(data: Path, *arguments: str, answer: str | None = None) -> Result:
    """Run a command on the data folder ``data``; ``answer`` is typed when it asks."""
    return await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--data", str(data)], answer)
