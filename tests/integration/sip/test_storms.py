"""A trunk that refuses everything for a while: who is called meanwhile, how often it is asked, and that it is again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.support.engine_calls import Told
from tests.support.real_engine import RealEngine, real_engine
from tests.support.sipp import answering, needs_sipp
from tests.support.sipp_script import answers, receives, scripted
from tests.support.trunks import trunk, until

from callwright.engine.interface import Call, CallOrder
from callwright.engine.trunk_setup import parse_prefix
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId

pytestmark = needs_sipp

STORM = 20


def order(number: int) -> CallOrder:
    return CallOrder(
        call_id=CallId(f"0000000000000001.1.{number}"),
        destination=parse_destination(f"tel:4477009{number:05d}"),
        caller_id="441908273800",
        service_name="storm",
    )


async def place_all(world: RealEngine, numbers: Sequence[int]) -> list[Call]:
    async def place(number: int) -> Call:
        told = Told()
        return await world.engine.place(order(number), before_invite=told.before_invite, on_answered=told.on_answered)

    return list(await asyncio.gather(*(place(number) for number in numbers)))


def test_a_storm_of_503_with_retry_after_is_left_alone_and_every_call_goes_by_the_other_trunk() -> None:
    refuses = (receives("INVITE"), answers(503, "Retry-After: 2"), receives("ACK"))
    with (
        scripted(*refuses, calls=3 * STORM) as first,
        answering("answer_hang_up", calls=2 * STORM + 1) as second,
    ):

        async def story() -> None:
            trunks = [
                trunk("first", first.port, prefixes=(parse_prefix("*:1"),), max_cps=1000),
                trunk("second", second.port, prefixes=(parse_prefix("*:2"),)),
            ]
            async with asyncio.timeout(40), real_engine(trunks=trunks) as world:
                line = world.trunks.line("first")
                assert line is not None
                loop = asyncio.get_running_loop()
                calls = await place_all(world, range(STORM))
                asked = line.tally.invites
                assert 1 <= asked <= STORM
                assert line.pace.is_lowered(loop.time())
                calls += await place_all(world, range(STORM, 2 * STORM))
                assert line.tally.invites == asked, "asked although it wanted to be left alone"
                assert {call.facts.trunk for call in calls} == {"second"}

                await until(lambda: not line.pace.is_resting(loop.time()))
                [last] = await place_all(world, [2 * STORM])
                assert line.tally.invites == asked + 1, "never asked again"
                assert last.facts.trunk == "second"  # it refuses still: one more call finds out, and goes elsewhere
                await asyncio.gather(*(call.wait_ended() for call in [*calls, last]))

        asyncio.run(story())
        assert second.finish().all_succeeded
        assert first.result().gists.count("> INVITE") == first.result().gists.count("> ACK")
