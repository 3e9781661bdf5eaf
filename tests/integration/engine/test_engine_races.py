"""What crosses, breaks or cannot be: the call engine with a far end whose every word the test chooses."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import uvloop
from tests.support.engine_calls import Air, Told, on_the_air, order_to
from tests.support.far_end import FarEnd, far_end, sdp
from tests.support.sip_sipp import free_port, until

from callwright.engine.interface import CallEnded, CallFailed, CallOrder, Silence
from callwright.sip.agenda import Timers
from callwright.sip.event import Acked, CancelledByPeer, Ended, Invited, ReofferAnswered, ReofferRefused
from callwright.sip.way import Target, Transport, Way
from callwright.values.outcome import Cause, EndedBy, RestCause

Story = Callable[[FarEnd], Awaitable[None]]

QUICK = Timers(t1=0.05, t2=0.2, t4=0.2)  # 3.2 s of patience in place of 32


@pytest.fixture(scope="module", params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def air(request: pytest.FixtureRequest) -> Iterator[Air]:
    with on_the_air(timers=QUICK, new_loop=request.param) as opened:
        yield opened


def play(air: Air, story: Story) -> None:
    async def run() -> None:
        async with far_end() as far:
            await story(far)

    air.run(run())


# --- on the way up


def test_answer_in_the_instant_of_the_ring_timeout_is_an_answer(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        placing = asyncio.create_task(air.place(order_to(far.address, ring_timeout_s=0.6)))
        began = time.monotonic()
        invited = await far.ring()
        await until(lambda: air.real.progress[-1].what == "180 Ringing")
        far.respond(invited, 200, sdp())
        while time.monotonic() < began + 0.65:
            pass  # nobody else runs: when they do, the answer and the time-out are both there
        call = await placing
        assert call.is_up
        await call.hang_up()
        assert call.facts.outcome is not None
        assert call.facts.outcome.detail == ""

    play(air, story)


def test_answer_without_ringing_to_a_call_given_up_is_hung_up(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        failing = asyncio.create_task(air.fail(order_to(far.address, ring_timeout_s=0.01)))
        invited = await far.ear.next(Invited)
        await asyncio.sleep(0.05)  # CANCEL has to wait for a provisional response that never comes
        far.respond(invited, 200, sdp())
        assert (await failing).outcome.hangup_cause == "NOANSWER(487)"
        await far.ear.next(Ended)

    play(air, story)


def test_cancelled_place_cancels_the_ringing_telephone(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        placing = asyncio.create_task(air.place(order_to(far.address)))
        await far.ring()
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing
        await far.ear.next(CancelledByPeer)

    play(air, story)


def test_place_cancelled_in_the_instant_of_the_answer_hangs_up(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        placing = asyncio.create_task(air.place(order_to(far.address)))
        await far.answer()
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing
        await far.ear.next(Ended)

    play(air, story)


def test_place_cancelled_while_the_answer_is_recorded_hangs_up(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        recording = asyncio.Event()

        async def record_for_ever() -> None:
            recording.set()
            await asyncio.Event().wait()

        placing = asyncio.create_task(air.place(order_to(far.address), Told(on_answer=record_for_ever)))
        await far.answer()
        await recording.wait()
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing
        await far.ear.next(Ended)

    play(air, story)


def test_answer_that_cannot_be_recorded_is_hung_up(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        async def fail() -> None:
            raise OSError("disk full")

        placing = asyncio.create_task(air.place(order_to(far.address), Told(on_answer=fail)))
        await far.answer()
        with pytest.raises(OSError, match="disk full"):
            await placing
        await far.ear.next(Ended)

    play(air, story)


def test_far_end_that_hangs_up_while_its_answer_is_recorded_gives_an_ended_call(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        async def hang_up() -> None:
            far.hang_up(invited)

        placing = asyncio.create_task(air.place(order_to(far.address), Told(on_answer=hang_up)))
        invited = await far.answer()
        call = await placing
        with pytest.raises(CallEnded) as ended:
            await call.play([Silence(ms=20_000)])
        assert ended.value.outcome.ended_by is EndedBy.FAR_END
        assert not call.is_up

    play(air, story)


def test_answer_is_acknowledged_only_when_it_is_recorded(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        acked_early: list[bool] = []

        async def record_slowly() -> None:
            await asyncio.sleep(0.1)
            acked_early.append(any(isinstance(event, Acked) for event in far.ear.heard))

        placing = asyncio.create_task(air.place(order_to(far.address), Told(on_answer=record_slowly)))
        await far.answer()
        call = await placing
        await far.ear.next(Acked)
        assert acked_early == [False]
        await call.hang_up()

    play(air, story)


# --- what cannot be placed


async def not_prepared(air: Air, order: CallOrder) -> CallFailed:
    told = Told()
    failed = await air.fail(order, told)
    assert told.steps == []
    assert failed.facts.initiated_at is None
    assert failed.outcome.ended_by is EndedBy.PLATFORM
    return failed


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"headers": (("X-Note", "two\r\nlines"),)}, "X-Note holds a line break"),
        ({"headers": (("From", "somebody"),)}, "From is written by the SIP core"),
        ({"headers": tuple((f"X-{n}", "x" * 2000) for n in range(20))}, "do not fit into an INVITE"),
        ({"caller_id": "me@example.com:99999"}, "is not a URI"),
        ({"caller_id": "two words"}, "is not a URI"),
    ],
)
def test_text_that_sip_cannot_carry_fails_before_anything_is_stamped(
    air: Air, changes: dict[str, object], detail: str
) -> None:
    async def story(far: FarEnd) -> None:
        order = order_to(far.address, **changes)  # type: ignore[arg-type]
        assert detail in (await not_prepared(air, order)).outcome.detail

    play(air, story)


@pytest.mark.parametrize("destination", ["sip:x@127.0.0.1;transport=ws", "sip:x@127.0.0.1:99999", "con:room"])
def test_destination_without_a_route_fails_before_anything_is_stamped(air: Air, destination: str) -> None:
    order = order_to(destination)
    failed = air.run(not_prepared(air, order))
    refusal = air.real.engine.refusal(order.destination)
    assert refusal is not None
    assert failed.outcome.detail == refusal.reason


def test_any_service_name_can_be_a_caller(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        order = order_to(far.address, caller_id="", service_name='Ünser "Dienst" <1> @ home;x')
        placing = asyncio.create_task(air.place(order))
        invited = await far.answer()
        assert invited.from_uri.startswith("sip:%C3%9Cnser%20%22Dienst%22%20%3C1%3E%20%40%20home;x@")
        await (await placing).hang_up()

    play(air, story)


@pytest.mark.parametrize(
    "destination", ["sip:x@127.0.0.1:{free}", "sip:x@127.0.0.1:{free};transport=tcp", "sip:x@nowhere.invalid"]
)
def test_where_nobody_is_the_call_fails_at_once_with_503(air: Air, destination: str) -> None:
    told = Told()
    failed = air.run(air.fail(order_to(destination.format(free=free_port())), told))
    assert told.steps == ["before_invite"]
    assert failed.outcome.hangup_cause == "NOCHANNELS(503)"
    assert failed.outcome.ended_by is EndedBy.PLATFORM
    assert failed.facts.initiated_at is not None


def test_names_are_looked_up(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        placing = asyncio.create_task(air.place(order_to(f"sip:1000@localhost:{far.address[1]}")))
        invited = await far.answer()
        assert invited.request_uri == f"sip:1000@localhost:{far.address[1]}"
        await (await placing).hang_up()

    play(air, story)


def test_where_nothing_can_be_sent_the_next_place_of_the_name_is_called(
    air: Air, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(far: FarEnd) -> None:
        asked: list[tuple[str, dict[str, object]]] = []

        async def locate(host: str, **how: object) -> list[Target]:
            asked.append((host, how))
            by_tcp = Way(transport=Transport.TCP)
            return [Target(host="127.0.0.1", port=port, way=by_tcp) for port in (free_port(), far.address[1])]

        monkeypatch.setattr(air.real.sip, "locate", locate)
        placing = asyncio.create_task(air.place(order_to("sip:1000@example.com")))
        invited = await far.answer()
        assert invited.request_uri == "sip:1000@example.com"
        assert asked == [("example.com", {"port": 0, "transport": None, "secure": False})]
        await (await placing).hang_up()

    play(air, story)


# --- on the way down


def test_crossing_byes_end_the_call_once(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        placing = asyncio.create_task(air.place(order_to(far.address)))
        invited = await far.answer()
        call = await placing
        await far.ear.next(Acked)
        far.hang_up(invited)
        await call.hang_up()
        assert call.facts.outcome is not None
        assert call.facts.outcome.ended_by is EndedBy.APPLICATION

    play(air, story)


def test_call_is_over_at_our_bye_although_the_far_end_never_answers_it(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        placing = asyncio.create_task(air.place(order_to(far.address)))
        await far.answer()
        call = await placing
        await far.ear.next(Acked)
        far.go_deaf()
        talking = asyncio.create_task(call.play([Silence(ms=20_000)]))
        await asyncio.sleep(0.05)
        hanging_up = asyncio.create_task(call.hang_up())
        outcome = await call.wait_ended()
        ended_at = call.facts.ended_at
        assert outcome.rest_cause is RestCause.COMPLETED
        with pytest.raises(CallEnded):
            await talking
        assert not hanging_up.done()
        assert air.real.engine.live_calls == 1
        await hanging_up
        assert call.facts.ended_at == ended_at
        assert call.facts.outcome == outcome

    play(air, story)


def test_saved_dialog_hangs_the_call_up(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        told = Told()
        placing = asyncio.create_task(air.place(order_to(far.address), told))
        await far.answer()
        call = await placing
        await air.real.engine.hang_up_saved(told.saved)
        await far.ear.next(Ended)
        await call.hang_up()

    play(air, story)


def test_saved_dialog_of_a_dead_far_end_is_given_up_also_when_nobody_waits(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        told = Told()
        placing = asyncio.create_task(air.place(order_to(far.address), told))
        await far.answer()
        await (await placing).hang_up()
        far.go_deaf()
        impatient = asyncio.create_task(air.real.engine.hang_up_saved(told.saved))
        await asyncio.sleep(0.01)
        impatient.cancel()
        await asyncio.wait({impatient})
        await air.real.engine.hang_up_saved(told.saved)

    play(air, story)


# --- new offers


def test_hold_resume_new_law_and_new_address_are_agreed_to(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        placing = asyncio.create_task(air.place(order_to(far.address)))
        invited = await far.answer(sdp(far.rtp.address, direction="inactive"))
        call = await placing
        await far.ear.next(Acked)
        for body, expected in (
            (sdp(far.rtp.address, direction="sendonly"), b"a=recvonly"),
            (sdp(far.rtp.address, host="0.0.0.0"), b"m=audio"),
            (sdp(far.rtp.address, payload=0), b"a=sendrecv"),
        ):
            far.reoffer(invited, body)
            assert expected in (await far.ear.next(ReofferAnswered)).body
        assert call.facts.codec == "PCMU"
        playing = asyncio.create_task(call.play([Silence(ms=20_000)]))
        await far.rtp.until(lambda heard: any(packet.payload_type == 0 for packet in heard))
        playing.cancel()
        await asyncio.wait({playing})
        await call.hang_up()

    play(air, story)


@pytest.mark.parametrize("body", [sdp(payload=3), sdp(host="phone.example.com"), sdp(host="::1"), b"nonsense"])
def test_new_offer_we_cannot_use_is_refused_and_the_call_goes_on(air: Air, body: bytes) -> None:
    async def story(far: FarEnd) -> None:
        placing = asyncio.create_task(air.place(order_to(far.address)))
        invited = await far.answer()
        call = await placing
        await far.ear.next(Acked)
        far.reoffer(invited, body)
        assert (await far.ear.next(ReofferRefused)).code == 488
        assert call.is_up
        await call.hang_up()

    play(air, story)


@pytest.mark.parametrize("body", [b"", sdp(payload=3), sdp(host="phone.example.com"), sdp(("127.0.0.1", 0))])
def test_answer_with_unusable_sound_is_hung_up_with_an_error(air: Air, body: bytes) -> None:
    async def story(far: FarEnd) -> None:
        failing = asyncio.create_task(air.fail(order_to(far.address)))
        await far.answer(body)
        failed = await failing
        assert failed.outcome.hangup_cause == "ERROR(488)"
        assert (await far.ear.next(Ended)).reason_header == "SIP;cause=488"

    play(air, story)


# --- the media worker dies


def kill_worker(air: Air) -> None:
    for pid in air.real.media.pids:
        os.kill(pid, signal.SIGKILL)


def test_worker_killed_in_a_call_ends_it_with_an_error_and_a_bye_and_new_calls_work(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        placing = asyncio.create_task(air.place(order_to(far.address)))
        await far.answer()
        call = await placing
        talking = asyncio.create_task(call.play([Silence(ms=20_000)]))
        await far.rtp.until(lambda heard: len(heard) > 2)
        kill_worker(air)
        with pytest.raises(CallEnded):
            await talking
        outcome = await call.wait_ended()
        assert (outcome.cause, outcome.ended_by) == (Cause.ERROR, EndedBy.PLATFORM)
        assert (await far.ear.next(Ended)).reason_header == "SIP;cause=500"
        again = asyncio.create_task(air.place(order_to(far.address)))
        await far.answer()
        await (await again).hang_up()

    play(air, story)


def test_worker_killed_while_a_telephone_rings_cancels_it_with_an_error(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        failing = asyncio.create_task(air.fail(order_to(far.address)))
        await far.ring()
        kill_worker(air)
        failed = await failing
        assert failed.outcome.hangup_cause == "ERROR(500)"
        await far.ear.next(CancelledByPeer)

    play(air, story)


def test_worker_killed_before_the_invite_keeps_the_telephone_quiet(air: Air) -> None:
    async def story(far: FarEnd) -> None:
        async def kill_meanwhile(saved: bytes) -> None:
            (pid,) = air.real.media.pids
            kill_worker(air)
            await until(lambda: pid not in air.real.media.pids)

        with pytest.raises(CallFailed) as failed:
            await air.real.engine.place(
                order_to(far.address), before_invite=kill_meanwhile, on_answered=Told().on_answered
            )
        assert failed.value.outcome.hangup_cause == "ERROR(500)"
        assert failed.value.facts.initiated_at is None
        assert not any(isinstance(event, Invited) for event in far.ear.heard)

    play(air, story)


# --- the engine closes


def test_closing_engine_cancels_and_hangs_up_and_places_no_more() -> None:
    with on_the_air(timers=QUICK) as leaving:

        async def story(far: FarEnd) -> None:
            gate, waiting = asyncio.Event(), asyncio.Event()

            async def wait_at_the_gate(saved: bytes) -> None:
                waiting.set()
                await gate.wait()

            up = asyncio.create_task(leaving.place(order_to(far.address)))
            await far.answer()
            call = await up
            ringing = asyncio.create_task(leaving.fail(order_to(far.address)))
            await far.ring()
            late = asyncio.create_task(
                leaving.real.engine.place(
                    order_to(far.address), before_invite=wait_at_the_gate, on_answered=Told().on_answered
                )
            )
            await waiting.wait()
            await leaving.real.engine.close()
            assert (await call.wait_ended()).ended_by is EndedBy.PLATFORM
            assert (await ringing).outcome.detail == "the platform stopped"
            gate.set()
            with pytest.raises(CallFailed):
                await late
            assert sum(isinstance(event, Invited) for event in far.ear.heard) == 2

        play(leaving, story)


# --- another internet protocol


def test_calls_are_placed_over_ipv6() -> None:
    with on_the_air(host="::1", timers=QUICK) as air6:

        async def story() -> None:
            async with far_end(host="::1") as far:
                placing = asyncio.create_task(air6.place(order_to(far.address)))
                invited = await far.answer()
                assert b"c=IN IP6 ::1\r\n" in invited.body
                call = await placing
                assert call.facts.remote == f"[::1]:{far.address[1]}"
                await call.hang_up()
                nobody = await air6.fail(order_to(("::1", free_port())))
                assert nobody.outcome.hangup_cause == "NOCHANNELS(503)"

        air6.run(story())
