"""The codecs of a trunk on the wire: what is offered, what of an answer is taken, what of a later offer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from tests.support.far_end import FarEnd, far_end, sdp
from tests.support.real_engine import RealEngine, real_engine
from tests.support.trunks import trunk

from callwright.engine.interface import Call, CallFailed, CallOrder
from callwright.sip.event import Acked, Ended, Invited, ReofferAnswered
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId
from callwright.values.outcome import Cause


def formats(body: bytes) -> list[str]:
    found = re.search(rb"m=audio \d+ RTP/AVP ([\d ]+)", body)
    assert found is not None, body
    return found[1].decode().split()


def run(codecs: tuple[str, ...], story: Callable[[RealEngine, FarEnd, asyncio.Task[Call]], Awaitable[None]]) -> None:
    async def nothing(*_: object) -> None:
        return

    async def main() -> None:
        async with asyncio.timeout(30), far_end() as far:
            one = trunk("only", far.address[1], codecs=codecs)
            async with real_engine(trunks=[one]) as world:
                order = CallOrder(
                    call_id=CallId("0000000000000001.1.1"),
                    destination=parse_destination("tel:447700900123"),
                    caller_id="441908273800",
                    service_name="demo",
                    ring_timeout_s=20,
                )
                placed = asyncio.create_task(world.engine.place(order, before_invite=nothing, on_answered=nothing))
                await story(world, far, placed)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("codecs", "offered"),
    [(("PCMU",), ["0", "101"]), (("PCMU", "PCMA"), ["0", "8", "101"]), (("PCMA", "PCMU"), ["8", "0", "101"])],
)
def test_a_call_offers_the_codecs_of_its_trunk_in_their_order(codecs: tuple[str, ...], offered: list[str]) -> None:
    async def story(world: RealEngine, far: FarEnd, placed: asyncio.Task[Call]) -> None:
        invited = await far.answer(sdp(far.rtp.address, payload=int(offered[0])))
        assert formats(invited.body) == offered
        call = await placed
        assert call.facts.codec == codecs[0]
        await call.hang_up()

    run(codecs, story)


def test_of_an_answer_with_several_codecs_the_far_ends_favourite_among_ours_is_taken() -> None:
    async def story(world: RealEngine, far: FarEnd, placed: asyncio.Task[Call]) -> None:
        both = sdp(far.rtp.address, payload=8).replace(b"RTP/AVP 8 101", b"RTP/AVP 8 0 101")
        await far.answer(both)
        call = await placed
        assert call.facts.codec == "PCMU", "PCMA was not offered to this trunk"
        await call.hang_up()

    run(("PCMU",), story)


def test_an_answer_with_a_codec_the_trunk_was_not_offered_ends_the_call() -> None:
    async def story(world: RealEngine, far: FarEnd, placed: asyncio.Task[Call]) -> None:
        await far.answer(sdp(far.rtp.address, payload=8))
        with pytest.raises(CallFailed) as failed:
            await placed
        assert (failed.value.outcome.cause, failed.value.outcome.code) == (Cause.ERROR, 488)
        assert (await far.ear.next(Ended)).reason_header == "SIP;cause=488"

    run(("PCMU",), story)


def test_a_later_offer_is_answered_with_the_codecs_of_the_trunk() -> None:
    async def story(world: RealEngine, far: FarEnd, placed: asyncio.Task[Call]) -> None:
        invited: Invited = await far.answer(sdp(far.rtp.address, payload=0))
        call = await placed
        await far.ear.next(Acked)
        both = sdp(far.rtp.address, payload=8).replace(b"RTP/AVP 8 101", b"RTP/AVP 8 0 101")
        far.reoffer(invited, both)
        done = await far.ear.next(ReofferAnswered)
        assert (done.code, formats(done.body)) == (200, ["0", "101"])
        await call.hang_up()

    run(("PCMU",), story)
