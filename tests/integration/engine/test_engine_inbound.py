"""Calls somebody makes to us: what the hook is told, what it may do, and what strangers learn without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.support.engine_calls import Told, order_to
from tests.support.far_end import FarEnd, far_end, sdp
from tests.support.real_engine import RealEngine, real_engine
from tests.support.trunks import trunk, until

from callwright.engine.inbound import InboundCall, offered_sound
from callwright.engine.inbound_offer import InboundOffer, OfferGone
from callwright.engine.trunk_setup import Trunk
from callwright.sip.core import InvitePlan
from callwright.sip.event import Answered, ByeDone, Ended, Failed, Invited, PingDone, Provisional
from callwright.sip.way import Transport, Way
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy

CALL = CallId("0000000000000001.1.1")


def run(
    story: Callable[[RealEngine, FarEnd], Awaitable[None]],
    *,
    trunks: Callable[[FarEnd], Sequence[Trunk]] = lambda _far: (),
) -> None:
    async def main() -> None:
        async with asyncio.timeout(40), far_end() as far, real_engine(trunks=trunks(far)) as world:
            await story(world, far)

    asyncio.run(main())


def call_us(
    world: RealEngine,
    far: FarEnd,
    *headers: tuple[str, str],
    body: bytes | None = None,
    way: Way | None = None,
    user: str = "+441908273800",
    from_uri: str = "sip:+447700900123@carrier.example",
) -> str:
    host, port = world.sip.address
    plan = InvitePlan(
        request_uri=f"sip:{user}@{host}:{port};user=phone",
        next_hop=(host, port),
        from_uri=from_uri,
        from_display="Anna",
        to_uri=f"sip:{user}@{host}",
        body=sdp(far.rtp.address) if body is None else body,
        headers=headers,
        way=way or Way(),
    )
    handle = far.sip.core.invite(plan, far.now)
    far.sip.pump()
    return handle


def listening(world: RealEngine) -> asyncio.Queue[InboundOffer]:
    offers: asyncio.Queue[InboundOffer] = asyncio.Queue()
    world.engine.on_inbound = offers.put_nowait
    return offers


# --- facts


def test_the_hook_is_told_everything_an_invite_says() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        offers = listening(world)
        call_us(
            world,
            far,
            ("P-Asserted-Identity", '"Anna" <sip:+447700900123@carrier.example>, <tel:+447700900123>'),
            ("Privacy", "id; critical"),
            ("Diversion", "<sip:+441111@carrier.example>;reason=no-answer"),
            ("History-Info", "<sip:+441111@carrier.example?Reason=SIP%3Bcause%3D408>;index=1"),
        )
        offer = await offers.get()
        facts: InboundCall = offer.facts
        assert facts.called_user == "+441908273800"
        assert facts.request_uri.endswith(";user=phone")
        assert (facts.caller.user, facts.caller.display) == ("+447700900123", "Anna")
        assert [one.uri for one in facts.asserted] == ["sip:+447700900123@carrier.example", "tel:+447700900123"]
        assert facts.asserted[1].user == "+447700900123"
        assert facts.privacy == ("id", "critical")
        assert facts.wants_privacy
        assert [(one.uri, one.reason) for one in facts.diversions] == [("sip:+441111@carrier.example", "no-answer")]
        assert [(one.index, one.cause) for one in facts.history] == [("1", "SIP;cause=408")]
        assert facts.source == far.address
        assert (facts.transport, facts.trunk) == (Transport.UDP, "carrier")
        assert facts.sound is not None
        assert facts.sound.codecs == ("PCMA", "telephone-event")
        assert (facts.sound.host, facts.sound.port, facts.sound.direction) == (*far.rtp.address, "sendrecv")
        offer.reject(486)
        assert (await far.ear.next(Failed)).code == 486

    run(story, trunks=lambda far: [trunk("carrier", far.address[1])])


def test_a_stranger_by_tcp_without_an_offer_is_told_as_such() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        offers = listening(world)
        call_us(world, far, body=b"", way=Way(transport=Transport.TCP), from_uri="sip:anonymous@anonymous.invalid")
        facts = (offer := await offers.get()).facts
        assert (facts.transport, facts.trunk, facts.sound) == (Transport.TCP, "", None)
        assert facts.wants_privacy
        assert (facts.asserted, facts.diversions, facts.history) == ((), (), ())
        offer.reject(404)
        assert (await far.ear.next(Failed)).code == 404

    run(story)


@pytest.mark.parametrize(
    ("body", "codecs"),
    [
        (
            b"v=0\r\nm=audio 4000 RTP/SAVP 0 18 96\r\na=rtpmap:96 opus/48000/2\r\na=ptime:30\r\n",
            ("PCMU", "G729", "opus"),
        ),
        (b"v=0\r\nm=video 4000 RTP/AVP 96\r\n", None),
        (b"nothing of the kind", None),
        (b"", None),
    ],
)
def test_offered_sound_is_summed_up(body: bytes, codecs: tuple[str, ...] | None) -> None:
    sound = offered_sound(body)
    assert (sound.codecs if sound else None) == codecs
    assert sound is None or (sound.ptime_ms, sound.is_secure) == (30, True)


# --- what a listener may do


def test_an_accepted_call_is_up_both_ways_until_the_caller_hangs_up() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        offers = listening(world)
        handle = call_us(world, far)
        offer = await offers.get()
        offer.ring()
        assert (await far.ear.next(Provisional)).code == 180
        call = await offer.accept(CALL)
        answered = await far.ear.next(Answered)
        assert b"m=audio" in answered.body
        assert call.is_up
        assert call.facts.codec == "PCMA"
        assert world.engine.live_calls == 1
        far.sip.core.bye(handle, far.now)
        far.sip.pump()
        outcome = await call.wait_ended()
        assert outcome.ended_by is EndedBy.FAR_END
        await call.wait_closed()
        with pytest.raises(OfferGone):
            await offer.accept(CALL)
        offer.reject(486)  # too late: nothing happens

    run(story)


def test_an_accepted_call_without_an_offer_gets_ours_and_we_may_hang_up() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        offers = listening(world)
        call_us(world, far, body=b"")
        call = await (await offers.get()).accept(CALL)
        await far.ear.next(Answered)
        await call.hang_up()
        assert (await far.ear.next(Ended)).headers

    run(story)


def test_a_caller_who_gives_up_takes_the_offer_away() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        offers = listening(world)
        handle = call_us(world, far)
        offer = await offers.get()
        offer.ring()
        await far.ear.next(Provisional)
        far.sip.core.cancel(handle, far.now)
        far.sip.pump()
        await offer.gone.wait()
        with pytest.raises(OfferGone):
            await offer.accept(CALL)
        assert (await far.ear.next(Failed)).code == 487

    run(story)


def test_sound_that_cannot_be_agreed_on_is_refused_and_takes_no_port() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        offers = listening(world)
        call_us(world, far, body=sdp(far.rtp.address, payload=3))
        with pytest.raises(OfferGone, match="of no use"):
            await (await offers.get()).accept(CALL)
        assert (await far.ear.next(Failed)).code == 488
        await until(lambda: not world.rtp_ports())

    run(story)


def test_a_call_nobody_took_is_refused_when_the_node_stops() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        offers = listening(world)
        call_us(world, far)
        await offers.get()
        await world.engine.close()
        assert (await far.ear.next(Failed)).code == 503

    run(story)


@pytest.mark.parametrize("code", [100, 180, 200, 700])
def test_only_refusals_refuse(code: int) -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        offers = listening(world)
        call_us(world, far)
        offer = await offers.get()
        with pytest.raises(ValueError, match="does not reject"):
            offer.reject(code)
        offer.reject(603, "Not today")
        failed = await far.ear.next(Failed)
        assert (failed.code, failed.reason) == (603, "Not today")

    run(story)


# --- without a listener


def server_told(headers: tuple[tuple[str, str], ...]) -> bool:
    return any(name == "Server" for name, _ in headers)


def test_strangers_are_not_told_what_answers_them_and_trunks_are() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        call_us(world, far)
        failed = await far.ear.next(Failed)
        assert (failed.code, server_told(failed.headers)) == (404, False)
        world.sip.core.guard.know([far.address[0]])
        call_us(world, far)
        failed = await far.ear.next(Failed)
        assert (failed.code, server_told(failed.headers)) == (404, True)

    run(story)


def test_a_refused_option_of_a_stranger_reveals_nothing_either() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        seen: list[bytes] = []
        far.sip.trace = lambda way, data, *_: seen.append(data) if way == "<" else None
        far.sip.core.ping(world.sip.address, far.now)
        far.sip.pump()
        await far.ear.next(PingDone)
        assert seen
        assert not any(b"callwright" in data.lower() for data in seen)

    run(story)


# --- calls of ours that are sent on by others


def test_where_a_far_end_sent_our_call_is_noted() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        told = Told()
        placing = asyncio.create_task(
            world.engine.place(order_to(far.address), before_invite=told.before_invite, on_answered=told.on_answered)
        )
        invited = await far.ear.next(Invited)
        far.respond(invited, 181, headers=(("Diversion", "<sip:boss@x>;reason=unconditional"),))
        far.respond(
            invited,
            200,
            sdp(far.rtp.address),
            headers=(("History-Info", "<sip:boss@x>;index=1, <sip:desk@x>;index=1.1;mp=1"),),
        )
        call = await placing
        assert [(one.uri, one.reason) for one in call.facts.diversions] == [("sip:boss@x", "unconditional")]
        assert [one.uri for one in call.facts.history] == ["sip:boss@x", "sip:desk@x"]
        await call.hang_up()

    run(story)


def test_a_second_invite_of_an_accepted_call_is_answered_as_in_any_other() -> None:
    async def story(world: RealEngine, far: FarEnd) -> None:
        offers = listening(world)
        handle = call_us(world, far)
        call = await (await offers.get()).accept(CALL)
        await far.ear.next(Answered)
        far.sip.core.reoffer(handle, sdp(far.rtp.address, direction="sendonly"), far.now)
        far.sip.pump()
        await until(lambda: any("accepted" in step.detail and "again" in step.what for step in world.progress))
        await call.hang_up()
        assert not [event for event in far.ear.heard if isinstance(event, ByeDone)]

    run(story)
