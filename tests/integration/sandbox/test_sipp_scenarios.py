"""Our SIPp scenarios, called by a telephone made of our own SIP core: the far end that acceptance tests rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from tests.support.calling_phone import CallingPhone
from tests.support.sipp import SippResult, answering, needs_sipp

from callwright.media import tones
from callwright.sip.core import Credentials
from callwright.sip.event import Answered, ByeDone, Ended, Failed, Provisional
from callwright.sip.message import Request, Response

pytestmark = needs_sipp

Talk = Callable[[CallingPhone], Awaitable[None]]


def talk(
    scenario: str,
    what: Talk,
    *,
    pause_ms: int = 0,
    echo: bool = False,
    repeats: bool = True,
) -> SippResult:
    """Run a scenario as the far end of one conversation."""

    async def run() -> SippResult:
        with answering(scenario, pause_ms=pause_ms, echo=echo, repeats=repeats) as far_end:
            async with CallingPhone((far_end.host, far_end.port)) as phone:
                await what(phone)
                return await asyncio.to_thread(far_end.finish)

    return asyncio.run(run())


async def call_and_hang_up(phone: CallingPhone) -> None:
    handle = phone.invite("1000")
    await phone.event(Answered, handle)
    phone.bye(handle)
    await phone.event(ByeDone, handle)


def test_answer() -> None:
    result = talk("answer", call_and_hang_up)

    assert result.all_succeeded, result.why
    assert result.succeeded == 1
    assert result.gists == ["> INVITE", "< 180", "< 200", "> ACK", "> BYE", "< 200"]


def test_answer_and_hang_up() -> None:
    async def conversation(phone: CallingPhone) -> None:
        handle = phone.invite("1000")
        await phone.event(Ended, handle)

    result = talk("answer_hang_up", conversation, pause_ms=200)

    assert result.all_succeeded, result.why
    assert result.gists[-2:] == ["< BYE", "> 200"]


@pytest.mark.parametrize(("scenario", "code"), [("busy", 486), ("decline", 603), ("unavailable", 503)])
def test_refuse(scenario: str, code: int) -> None:
    async def conversation(phone: CallingPhone) -> None:
        assert (await phone.event(Failed, phone.invite("1000"))).code == code

    result = talk(scenario, conversation)

    assert result.all_succeeded, result.why
    assert result.gists == ["> INVITE", f"< {code}", "> ACK"]


def test_no_answer() -> None:
    async def conversation(phone: CallingPhone) -> None:
        handle = phone.invite("1000")
        await phone.event(Provisional, handle)
        phone.cancel(handle)
        assert (await phone.event(Failed, handle)).code == 487

    result = talk("no_answer", conversation)

    assert result.all_succeeded, result.why
    assert result.gists == ["> INVITE", "< 180", "> CANCEL", "< 200", "< 487", "> ACK"]


def test_digest() -> None:
    async def conversation(phone: CallingPhone) -> None:
        handle = phone.invite("1000", credentials=Credentials(user="alice", password="open sesame"))
        await phone.event(Answered, handle)
        phone.bye(handle)
        await phone.event(ByeDone, handle)

    result = talk("digest", conversation)

    assert result.all_succeeded, result.why
    assert result.gists[:5] == ["> INVITE", "< 401", "> ACK", "> INVITE", "< 200"]


def test_digest_with_a_wrong_password() -> None:
    async def conversation(phone: CallingPhone) -> None:
        handle = phone.invite("1000", credentials=Credentials(user="alice", password="close sesame"))
        assert (await phone.event(Failed, handle)).code == 403

    result = talk("digest", conversation)

    assert result.gists == ["> INVITE", "< 401", "> ACK", "> INVITE", "< 403", "> ACK"], result.why


def test_answer_crosses_cancel() -> None:
    async def conversation(phone: CallingPhone) -> None:
        handle = phone.invite("1000")
        await phone.event(Provisional, handle)
        phone.cancel(handle)
        assert (await phone.event(Failed, handle)).code == 487
        await phone.until(
            lambda: any(isinstance(m, Response) and m.head.method == "BYE" for m in phone.seen), "answer to BYE"
        )

    result = talk("answer_crosses_cancel", conversation)

    assert result.all_succeeded, result.why
    assert [gist for gist in result.gists if gist.startswith(">")] == ["> INVITE", "> CANCEL", "> ACK", "> BYE"]


def test_repeat_answer() -> None:
    async def conversation(phone: CallingPhone) -> None:
        handle = phone.invite("1000")
        await phone.until(
            lambda: sum(isinstance(m, Request) and m.method == "ACK" for m in phone.seen) == 3, "three ACKs"
        )
        phone.bye(handle)
        await phone.event(ByeDone, handle)

    result = talk("repeat_answer", conversation, pause_ms=50, repeats=False)

    assert result.all_succeeded, result.why
    assert result.gists == ["> INVITE", *["< 200", "> ACK"] * 3, "> BYE", "< 200"]


def test_slow_without_100() -> None:
    result = talk("slow_without_100", call_and_hang_up, pause_ms=700)

    assert result.all_succeeded, result.why
    assert result.gists.count("> INVITE") >= 2
    assert "< 100" not in result.gists


def test_ring_without_tag() -> None:
    result = talk("ring_without_tag", call_and_hang_up)

    assert result.all_succeeded, result.why
    ringing = next(message for message in result.messages if message.gist == "< 180")
    assert ";tag=" not in (ringing.header("To") or "")


def test_early_media() -> None:
    async def conversation(phone: CallingPhone) -> None:
        handle = phone.invite("1000")
        early = await phone.event(Provisional, handle)
        assert early.code == 183
        assert early.body
        await phone.event(Answered, handle)
        phone.bye(handle)
        await phone.event(ByeDone, handle)

    result = talk("early_media", conversation, pause_ms=200)

    assert result.all_succeeded, result.why


def test_sound_comes_back_as_an_echo() -> None:
    async def conversation(phone: CallingPhone) -> None:
        handle = phone.invite("1000")
        phone.talk_to((await phone.event(Answered, handle)).body)
        phone.say(tones.tone((700.0,), 600))
        await phone.said()
        await phone.until(lambda: int(np.sum(np.abs(phone.heard()) > 300)) > 3000, "echo")
        phone.bye(handle)
        await phone.event(ByeDone, handle)

    result = talk("answer", conversation, echo=True)

    assert result.all_succeeded, result.why


def test_a_far_end_nobody_calls_gives_up_in_bounded_time() -> None:
    with answering("answer", limit_s=1.0) as far_end:
        result = far_end.finish()

    assert not result.all_succeeded
    assert result.messages == ()
