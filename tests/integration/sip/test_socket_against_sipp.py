"""Our socket and an independent implementation call each other over real UDP on the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.sip_sipp import PATIENCE_S, Ear, needs_sipp, sip_socket, sipp, until

from callwright.sip.agenda import Timers
from callwright.sip.core import Credentials, InvitePlan, SipCore
from callwright.sip.event import (
    Acked,
    Answered,
    ByeDone,
    CancelledByPeer,
    Ended,
    ExtraAnswer,
    Failed,
    Invited,
    Provisional,
    Reoffered,
    Send,
)

pytestmark = needs_sipp

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40002 RTP/AVP 8\r\n"
FAST = Timers(t1=0.1, t2=0.8, t4=1.0)


def plan(to: tuple[str, int], *, credentials: Credentials | None = None) -> InvitePlan:
    return InvitePlan(
        request_uri=f"sip:100@{to[0]}:{to[1]}",
        next_hop=to,
        from_uri="sip:us@example.com",
        to_uri="sip:100@example.com",
        body=SDP,
        credentials=credentials,
    )


def test_sipp_answers_and_we_hang_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uas_we_hang_up", tmp_path) as far:
            handle = sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
            sip.pump()
            assert (await ear.next(Provisional)).code == 180
            answered = await ear.next(Answered)
            assert b"m=audio 40000" in answered.body
            sip.core.bye(handle, asyncio.get_running_loop().time())
            sip.pump()
            assert (await ear.next(ByeDone)).code == 200
            await far.succeeds()

    asyncio.run(story())


def test_sipp_answers_and_hangs_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uas_they_hang_up", tmp_path) as far:
            sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(Answered)
            assert (await ear.next(Ended)).reason_header.startswith("Q.850;cause=16")
            await far.succeeds()

    asyncio.run(story())


def test_sipp_is_busy(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uas_busy", tmp_path) as far:
            sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
            sip.pump()
            assert (await ear.next(Failed)).code == 486
            await far.succeeds()

    asyncio.run(story())


@pytest.mark.parametrize(("password", "code"), [("secret", 200), ("wrong", 403)])
def test_sipp_asks_for_a_password(tmp_path: Path, password: str, code: int) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uas_digest", tmp_path) as far:
            alice = Credentials(user="alice", password=password)
            handle = sip.core.invite(plan(far.address, credentials=alice), asyncio.get_running_loop().time())
            sip.pump()
            if code == 200:
                await ear.next(Answered)
                sip.core.bye(handle, asyncio.get_running_loop().time())
                sip.pump()
                await ear.next(ByeDone)
            else:
                assert (await ear.next(Failed)).code == code
            await far.succeeds()

    asyncio.run(story())


def test_sipp_rings_until_we_cancel(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uas_cancelled", tmp_path) as far:
            handle = sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(Provisional)
            sip.core.cancel(handle, asyncio.get_running_loop().time())
            sip.pump()
            failed = await ear.next(Failed)
            assert (failed.code, failed.local) == (487, False)
            await far.succeeds()

    asyncio.run(story())


def test_sipp_never_ends_the_cancelled_invite(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket(timers=Timers(t1=0.02, t2=0.1, t4=0.1)) as (sip, ear):
            async with sipp("uas_no_answer", tmp_path) as far:
                handle = sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
                sip.pump()
                await ear.next(Provisional)
                sip.core.cancel(handle, asyncio.get_running_loop().time())
                sip.pump()
                failed = await ear.next(Failed)
                assert (failed.code, failed.local) == (487, True)
                await far.succeeds()

    asyncio.run(story())


def test_sipp_answers_although_it_was_cancelled(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uas_late_200", tmp_path) as far:
            handle = sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(Provisional)
            sip.core.cancel(handle, asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(ExtraAnswer)
            assert (await ear.next(Failed)).code == 487
            await far.succeeds()

    asyncio.run(story())


def test_sipp_repeats_its_answer_and_gets_another_ack(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uas_repeats_200", tmp_path, "-nr") as far:
            acks = 0
            second_ack = asyncio.Event()

            def count(way: str, data: bytes, address: tuple[str, int], at: float) -> None:
                nonlocal acks
                if way == ">" and data.startswith(b"ACK"):
                    acks += 1
                    if acks == 2:
                        second_ack.set()

            sip.trace = count
            handle = sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(Answered)
            async with asyncio.timeout(PATIENCE_S):
                await second_ack.wait()
            sip.core.bye(handle, asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(ByeDone)
            await far.succeeds()
            assert len([event for event in ear.heard if isinstance(event, Answered)]) == 1

    asyncio.run(story())


@pytest.mark.parametrize("start", [b"INVITE", b"BYE"])
def test_a_lost_request_is_repeated(tmp_path: Path, start: bytes) -> None:
    async def story() -> None:
        lossy = sip_socket(timers=FAST, wrap=_losing_once(start))
        async with lossy as (sip, ear), sipp("uas_we_hang_up", tmp_path) as far:
            handle = sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(Answered)
            sip.core.bye(handle, asyncio.get_running_loop().time())
            sip.pump()
            assert (await ear.next(ByeDone)).code == 200
            await far.succeeds()

    asyncio.run(story())


def test_a_lost_ack_is_sent_again_when_sipp_repeats_its_answer(tmp_path: Path) -> None:
    async def story() -> None:
        lossy = sip_socket(wrap=_losing_once(b"ACK"))
        async with lossy as (sip, ear), sipp("uas_they_hang_up", tmp_path) as far:
            sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(Ended)  # SIPp hangs up only after it saw an ACK
            await far.succeeds()

    asyncio.run(story())


def _losing_once(start: bytes) -> Callable[[SipCore], SipCore]:
    def wrap(core: SipCore) -> SipCore:
        take = core.take_sends
        lost = False

        def take_some() -> list[Send]:
            nonlocal lost
            kept = []
            for send in take():
                if not lost and send.data.startswith(start):
                    lost = True
                else:
                    kept.append(send)
            return kept

        core.take_sends = take_some  # type: ignore[method-assign]
        return core

    return wrap


def test_sipp_sends_a_reinvite_and_we_answer_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uas_reinvite", tmp_path) as far:
            handle = sip.core.invite(plan(far.address), asyncio.get_running_loop().time())
            sip.pump()
            offer = await ear.next(Reoffered)
            assert b"a=sendonly" in offer.body
            sip.core.answer_reinvite(handle, SDP, asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(Acked)
            sip.core.bye(handle, asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(ByeDone)
            await far.succeeds()

    asyncio.run(story())


async def answer_one(ear: Ear, sip_core: SipCore, pump: Callable[[], None]) -> Invited:
    """Ring and answer the next call."""
    invited = await ear.next(Invited)
    now = asyncio.get_running_loop().time()
    sip_core.respond(invited.handle, 180, now=now)
    sip_core.respond(invited.handle, 200, body=SDP, now=now)
    pump()
    return invited


@pytest.mark.parametrize("scenario", ["uac", "uac_late_ack"])
def test_sipp_calls_us_and_hangs_up(tmp_path: Path, scenario: str) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp(scenario, tmp_path, "-nr", to=sip.address) as far:
            invited = await answer_one(ear, sip.core, sip.pump)
            assert invited.from_uri.startswith("sip:sipp@")
            assert invited.source == far.address
            await ear.next(Acked)
            await ear.next(Ended)
            await far.succeeds()

    asyncio.run(story())


def test_sipp_calls_us_and_we_hang_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uac_they_hang_up", tmp_path, to=sip.address) as far:
            invited = await answer_one(ear, sip.core, sip.pump)
            sip.core.bye(invited.handle, asyncio.get_running_loop().time())  # perhaps before the ACK: then it waits
            sip.pump()
            assert (await ear.next(ByeDone)).code == 200
            await far.succeeds()

    asyncio.run(story())


def test_sipp_calls_us_and_cancels(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uac_cancel", tmp_path, to=sip.address) as far:
            invited = await ear.next(Invited)
            sip.core.respond(invited.handle, 180, now=asyncio.get_running_loop().time())
            sip.pump()
            await ear.next(CancelledByPeer)
            await far.succeeds()

    asyncio.run(story())


def ends(ear: Ear) -> list[ByeDone]:
    """Return how the BYEs ended that were heard of so far."""
    return [event for event in ear.heard if isinstance(event, ByeDone)]


def test_a_hundred_calls_ten_at_a_time_leave_nothing_behind(tmp_path: Path) -> None:
    async def story() -> None:
        # Slow to repeat: the scenario takes no second INVITE, and a busy machine may take its time to answer the first.
        async with sip_socket(timers=Timers(t1=2.0, t2=4.0, t4=5.0)) as (sip, ear):
            async with sipp("uas_we_hang_up", tmp_path, calls=100) as far:
                loop = asyncio.get_running_loop()
                for calls in range(10, 101, 10):
                    for _ in range(10):
                        sip.core.invite(plan(far.address), loop.time())
                    sip.pump()
                    for _ in range(10):
                        sip.core.bye((await ear.next(Answered)).handle, loop.time())
                        sip.pump()
                    # Some BYEs are answered before the last call is: all that were heard are counted.
                    await until(lambda: len(ends(ear)) == calls)  # noqa: B023 awaited before the next turn
                assert {end.code for end in ends(ear)} == {200}
                await far.succeeds()
            assert sip.core.calls() == 0
            while (at := sip.core.wake_at()) is not None:
                sip.core.wake(at)  # what is kept for late messages is forgotten in its time
            assert sip.core.dialogs() == 0

    asyncio.run(story())
