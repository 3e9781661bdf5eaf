"""SIPp again: connections, redirection, glare, reliable ringing, refreshes, and messages that get lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.support.sip_sipp import Ear, needs_sipp, sip_socket, sipp, until

from callwright.engine.sip_socket import SipSocket
from callwright.sip.agenda import Timers
from callwright.sip.core import InvitePlan
from callwright.sip.event import (
    Acked,
    Answered,
    ByeDone,
    Ended,
    Failed,
    Invited,
    Pracked,
    Provisional,
    ReofferAnswered,
)
from callwright.sip.way import Transport, Way

pytestmark = needs_sipp

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40002 RTP/AVP 8\r\n"
TCP = Way(transport=Transport.TCP)


def plan(to: tuple[str, int], way: Way | None = None) -> InvitePlan:
    return InvitePlan(
        request_uri=f"sip:100@{to[0]}:{to[1]}",
        next_hop=to,
        from_uri="sip:us@example.com",
        to_uri="sip:100@example.com",
        body=SDP,
        way=way or Way(),
    )


def now() -> float:
    return asyncio.get_running_loop().time()


def calls(
    scenario: str,
    folder: Path,
    story: Callable[[SipSocket, Ear, str], Awaitable[None]],
    *arguments: str,
    way: Way | None = None,
    timers: Timers | None = None,
) -> None:
    """Call SIPp, tell the story, and require that SIPp saw its scenario through."""

    async def whole() -> None:
        async with sip_socket(timers=timers) as (sip, ear), sipp(scenario, folder, *arguments) as far:
            handle = sip.core.invite(plan(far.address, way), now())
            sip.pump()
            await story(sip, ear, handle)
            await far.succeeds()

    asyncio.run(whole())


async def hangs_up(sip: SipSocket, ear: Ear, handle: str) -> None:
    sip.core.bye(handle, now())
    sip.pump()
    assert (await ear.next(ByeDone)).code == 200


async def answered_and_hung_up(sip: SipSocket, ear: Ear, handle: str) -> None:
    await ear.next(Answered)
    await hangs_up(sip, ear, handle)


async def answered_and_ended(sip: SipSocket, ear: Ear, handle: str) -> None:
    await ear.next(Answered)
    await ear.next(Ended)


def test_sipp_is_called_by_tcp(tmp_path: Path) -> None:
    calls("uas_we_hang_up", tmp_path, answered_and_hung_up, "-t", "t1", way=TCP)


def test_sipp_hangs_up_by_tcp(tmp_path: Path) -> None:
    calls("uas_they_hang_up", tmp_path, answered_and_ended, "-t", "t1", way=TCP)


def test_sipp_calls_by_tcp(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            sip_socket() as (sip, ear),
            sipp("uac", tmp_path, "-t", "t1", "-l", "1", to=sip.address, calls=3) as far,
        ):
            for _ in range(3):
                invited = await ear.next(Invited)
                sip.core.respond(invited.handle, 200, body=SDP, now=now())
                sip.pump()
                await ear.next(Acked)
                await ear.next(Ended)
            await far.succeeds()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("scenario", "code", "header"),
    [
        ("uas_redirects", 302, ("Contact", "<sip:100@192.0.2.77>;q=0.5")),
        ("uas_busy_for_a_while", 503, ("Retry-After", "7")),
    ],
)
def test_a_refusal_is_told_with_what_it_says(tmp_path: Path, scenario: str, code: int, header: tuple[str, str]) -> None:
    async def story(sip: SipSocket, ear: Ear, handle: str) -> None:
        failed = await ear.next(Failed)
        assert (failed.code, failed.local) == (code, False)
        assert header in failed.headers

    calls(scenario, tmp_path, story)


def test_a_glare_is_tried_again_after_a_while(tmp_path: Path) -> None:
    async def story(sip: SipSocket, ear: Ear, handle: str) -> None:
        await ear.next(Answered)
        sip.core.reoffer(handle, SDP, now())
        sip.pump()
        await ear.next(ReofferAnswered)
        await hangs_up(sip, ear, handle)

    calls("uas_glare", tmp_path, story)


def test_reliable_early_media_gets_its_prack(tmp_path: Path) -> None:
    async def story(sip: SipSocket, ear: Ear, handle: str) -> None:
        assert (await ear.next(Provisional)).code == 183
        await answered_and_hung_up(sip, ear, handle)
        assert sum(isinstance(event, Provisional) for event in ear.heard) == 1

    calls("uas_reliable", tmp_path, story)


def test_sipp_insists_on_reliable_ringing(tmp_path: Path) -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear), sipp("uac_reliable", tmp_path, to=sip.address) as far:
            invited = await ear.next(Invited)
            sip.core.respond(invited.handle, 180, now=now())
            sip.core.respond(invited.handle, 200, body=SDP, now=now())
            sip.pump()
            await ear.next(Pracked)
            await ear.next(Acked)
            await hangs_up(sip, ear, invited.handle)
            await far.succeeds()

    asyncio.run(story())


def test_we_refresh_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callwright.sip.session_timer.MIN_SE_S", 1)

    async def story(sip: SipSocket, ear: Ear, handle: str) -> None:
        updates = 0

        def count(way: str, data: bytes, address: tuple[str, int], at: float) -> None:
            nonlocal updates
            updates += way == "<" and b"Session-Expires: 60;" in data

        sip.trace = count
        await ear.next(Answered)
        await until(lambda: updates == 1)
        await hangs_up(sip, ear, handle)

    calls("uas_wants_refreshes", tmp_path, story)


def test_sipp_refreshes_the_session_once_and_then_we_hang_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callwright.sip.session_timer.MIN_SE_S", 1)

    async def story(sip: SipSocket, ear: Ear, handle: str) -> None:
        answered = await ear.next(Answered)
        done = await ear.next(ByeDone)
        assert done.cause == "nobody refreshed the session"
        assert done.at - answered.at > 2 * 2 / 3 + 0.5

    calls("uas_refreshes", tmp_path, story)


def test_a_lost_answer_to_bye_is_asked_for_again(tmp_path: Path) -> None:
    calls("uas_deaf_to_the_first_bye", tmp_path, answered_and_hung_up, "-nr", timers=Timers(t1=0.1, t2=0.8, t4=1.0))
