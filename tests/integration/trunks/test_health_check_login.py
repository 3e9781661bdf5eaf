"""A health check logs in where it is asked to: an exchange may lock out those whose logins it sees fail."""

from __future__ import annotations

import asyncio

from tests.support.sipp import answering, needs_sipp
from tests.support.trunks import trunk, trunks_alone, until

from callwright.engine.trunk_health import HealthState


@needs_sipp
def test_a_health_check_says_who_asks_and_answers_a_challenge() -> None:
    async def story(port: int) -> None:
        gateway = trunk("carrier", port, user="alice", password="open sesame", check_every_s=60)
        async with trunks_alone(gateway) as trunks:
            line = trunks.line("carrier")
            assert line is not None
            await until(lambda: line.health.state is HealthState.UP)
            assert line.health.last_code == 200

    with answering("options_login") as exchange:
        asyncio.run(story(exchange.port))
        seen = exchange.finish()
    assert seen.all_succeeded, seen.why
