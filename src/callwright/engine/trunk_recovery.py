"""Tells once when a trunk that pushed back is at its normal rate again: nothing else happens at that moment."""

from __future__ import annotations

import asyncio

import structlog

from callwright.engine.trunk_line import TrunkLine

log = structlog.get_logger()


def tell_when_recovered(line: TrunkLine) -> None:
    """Log when the rate of a trunk, lowered just now, has grown back; pushback until then makes that later."""
    loop = asyncio.get_running_loop()
    at = line.pace.recovers_at(loop.time())
    if at is not None:
        loop.call_at(at, tell_when_recovered, line)
        return
    rate = line.pace.rate(loop.time())
    log.info(
        f"A trunk is back at its rate: it gets {'any number of' if rate is None else f'{rate:g}'} calls a second.",
        action="trunk_recovered",
        trunk=line.name,
    )
