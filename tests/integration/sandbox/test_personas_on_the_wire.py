"""The sandbox process, called by a telephone made of our own SIP core."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.support.calling_phone import CallingPhone

from callwright.media import offer_answer, tones
from callwright.media.codec import PCMU
from callwright.media.g711 import Pcm
from callwright.sandbox.observation import EndedBy, Observation
from callwright.sandbox.observations import read_heard, read_observations, read_rings
from callwright.sandbox.personas import HELLO, MESSAGE
from callwright.sandbox.process import SandboxProcess, start_sandbox
from callwright.sip.core import Credentials
from callwright.sip.event import Answered, ByeDone, Ended, ExtraAnswer, Failed, PingDone, Provisional
from callwright.sip.message import Request, Response


@asynccontextmanager
async def sandbox(data: Path, personas: Path | None = None) -> AsyncIterator[SandboxProcess]:
    running = await start_sandbox(data=data, personas=personas)
    try:
        yield running
    finally:
        await running.close()


@asynccontextmanager
async def calling(data: Path, personas: Path | None = None) -> AsyncIterator[CallingPhone]:
    async with sandbox(data, personas) as running, CallingPhone((running.host, running.port)) as phone:
        yield phone


async def answered(phone: CallingPhone, number: str, **more: object) -> str:
    handle = phone.invite(number, **more)  # type: ignore[arg-type]
    answer = await phone.event(Answered, handle)
    phone.talk_to(answer.body)
    return handle


async def hang_up(phone: CallingPhone, handle: str) -> None:
    phone.bye(handle)
    await phone.event(ByeDone, handle)


def only(data: Path) -> Observation:
    (observation,) = read_observations(data)
    return observation


def gist(observation: Observation) -> list[str]:
    return [f"{'>' if seen.direction == 'received' else '<'} {seen.message}" for seen in observation.messages]


def is_loud(samples: Pcm) -> bool:
    return bool(np.sqrt(np.mean(samples.astype(float) ** 2)) > 500)


def level_at(samples: Pcm, hz: float) -> float:
    """The share of all energy that lies within 20 Hz of a frequency."""
    spectrum = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / 8000)
    return float(np.sum(spectrum[np.abs(frequencies - hz) < 20]) / np.sum(spectrum))


def speech(seconds: float) -> Pcm:
    """Noise: energy without a pitch, which is speech to a simulated telephone."""
    return np.random.default_rng(3).normal(0, 3000, round(seconds * 8000)).astype(np.int16)


@pytest.mark.parametrize(
    ("ending", "code"), [("0002", 486), ("0003", 603), ("0005", 404), ("0006", 503), ("7777", 404)]
)
def test_a_call_is_refused_with_the_code_of_its_persona(tmp_path: Path, ending: str, code: int) -> None:
    async def call() -> Failed:
        async with calling(tmp_path) as phone:
            handle = phone.invite(f"99900555{ending}")
            return await phone.event(Failed, handle)

    failed = asyncio.run(call())

    seen = only(tmp_path)
    assert (failed.code, failed.local) == (code, False)
    assert (seen.final_code, seen.ended_by, seen.answered_at) == (code, EndedBy.REJECTED, None)
    assert gist(seen)[-1] == "> ACK"


def test_a_network_fault_says_when_to_try_again(tmp_path: Path) -> None:
    async def call() -> Failed:
        async with calling(tmp_path) as phone:
            return await phone.event(Failed, phone.invite("999005550006"))

    assert ("Retry-After", "30") in asyncio.run(call()).headers


def test_a_telephone_that_never_answers_rings_until_it_is_cancelled(tmp_path: Path) -> None:
    async def call() -> Failed:
        async with calling(tmp_path) as phone:
            handle = phone.invite("999005550004")
            ringing = await phone.event(Provisional, handle)
            assert ringing.code == 180
            phone.cancel(handle)
            return await phone.event(Failed, handle)

    assert asyncio.run(call()).code == 487

    seen = only(tmp_path)
    assert (seen.ended_by, seen.final_code, seen.answered_at) == (EndedBy.CANCELLED, 487, None)
    assert seen.ringing_at is not None
    assert seen.ringing_at >= seen.invited_at
    assert "> CANCEL" in gist(seen)


def test_a_telephone_that_says_nothing_sends_silence_and_keeps_what_it_hears(tmp_path: Path) -> None:
    async def call() -> Pcm:
        async with calling(tmp_path) as phone:
            handle = await answered(phone, "999005550009")
            phone.say(tones.silence(200))
            phone.say(tones.tone((700.0,), 1000))
            await phone.said()
            await hang_up(phone, handle)
            return phone.heard()

    heard_here = asyncio.run(call())

    seen = only(tmp_path)
    heard_there = read_heard(tmp_path, seen)
    tone = heard_there[np.abs(heard_there) > 300]
    assert not is_loud(heard_here)
    assert len(heard_here) >= 4800
    assert level_at(heard_there[2400:8800], 700.0) > 0.99
    assert 0.8 < len(tone) / 8000 <= 1.0
    assert seen.codec == "PCMA"
    assert seen.rtp.received >= 60
    assert seen.rtp.lost == 0
    assert gist(seen) == ["> INVITE", "< 180 Ringing", "< 200 OK", "> ACK", "> BYE", "< 200 OK"]


def test_the_times_of_a_call_are_in_the_order_they_happened(tmp_path: Path) -> None:
    before = time.time()

    async def call() -> None:
        async with calling(tmp_path) as phone:
            await hang_up(phone, await answered(phone, "999005550009"))

    asyncio.run(call())

    seen = only(tmp_path)
    times = [before, seen.invited_at, seen.ringing_at, seen.answered_at, seen.acked_at, seen.ended_at, time.time()]
    known = [at for at in times if at is not None]
    assert len(known) == 7
    assert known == sorted(known)
    assert seen.ended_by is EndedBy.CALLER


def test_a_telephone_hangs_up_by_itself(tmp_path: Path) -> None:
    async def call() -> None:
        async with calling(tmp_path) as phone:
            handle = await answered(phone, "999005550010")
            await phone.event(Ended, handle)

    asyncio.run(call())

    seen = only(tmp_path)
    assert seen.ended_by is EndedBy.PERSONA
    assert seen.end_reason == "hangs up 2 s after the answer"
    assert gist(seen)[-2:] == ["< BYE", "> 200 OK"]


def test_keys_are_heard_and_spoken(tmp_path: Path) -> None:
    async def call() -> Pcm:
        async with calling(tmp_path) as phone:
            handle = await answered(phone, "999005550012")
            phone.press("12#")
            await phone.said()
            await phone.until(lambda: is_loud_somewhere(phone), "spoken key")
            await hang_up(phone, handle)
            return phone.heard()

    asyncio.run(call())

    seen = only(tmp_path)
    assert seen.keys == "12#"
    assert [heard.duration_ms for heard in seen.keys_heard] == [100, 100, 100]
    assert [sounded.text for sounded in seen.sounded] == ["one", "two", "hash"]


def is_loud_somewhere(phone: CallingPhone) -> bool:
    heard = phone.heard()
    return any(is_loud(heard[start : start + 800]) for start in range(0, len(heard), 800))


def test_the_first_telephone_says_hello_presses_a_key_and_speaks_after_the_beep(tmp_path: Path) -> None:
    async def call() -> CallingPhone:
        async with calling(tmp_path) as phone:
            handle = await answered(phone, "999005550001")
            phone.say(speech(1.5))
            await phone.until(lambda: phone.keys == "1", "key after the first prompt")
            phone.say(speech(0.8))
            phone.say(tones.beep())
            before = len(phone.heard())
            await phone.said()
            await phone.until(lambda: is_loud(phone.heard()[max(before, 0) :][-1600:]), "message after the beep")
            await hang_up(phone, handle)
            return phone

    asyncio.run(call())

    seen = only(tmp_path)
    assert [(sounded.what, sounded.text) for sounded in seen.sounded] == [
        ("say", HELLO),
        ("press", "1"),
        ("say", MESSAGE),
    ]
    assert seen.keys_sent == "1"


def test_the_answering_machine_greets_and_beeps(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "personas:\n- number: '0007'\n  answer_after: 0\n  script:\n  - say: Hi\n"
        "  - tone: {frequencies: [1000], ms: 300}\n  - listen: {for: prompt, silence: 0.5}\n  - hang_up\n"
    )

    async def call() -> Pcm:
        async with calling(tmp_path / "data", own) as phone:
            handle = await answered(phone, "0007")
            phone.say(tones.silence(1500))
            phone.say(speech(0.5))
            await phone.event(Ended, handle)
            return phone.heard()

    heard = asyncio.run(call())

    assert any(level_at(heard[start : start + 800], 1000.0) > 0.95 for start in range(0, len(heard) - 800, 400))
    assert only(tmp_path / "data").end_reason == "its script ended"


def test_early_media_is_heard_before_the_answer(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("personas:\n- number: '0011'\n  answer_after: 0.1\n  early:\n  - say: soon\n  - wait: 0.3\n")

    async def call() -> tuple[Provisional, bool]:
        async with calling(tmp_path / "data", own) as phone:
            handle = phone.invite("0011")
            await phone.until(
                lambda: any(isinstance(event, Provisional) and event.body for event in phone.events), "183"
            )
            early = next(event for event in phone.events if isinstance(event, Provisional) and event.body)
            phone.talk_to(early.body)
            await phone.event(Answered, handle)
            heard_early = is_loud_somewhere(phone)
            await hang_up(phone, handle)
            return early, heard_early

    early, heard_early = asyncio.run(call())

    assert early.code == 183
    assert heard_early


def test_digest_is_asked_for_and_the_right_password_accepted(tmp_path: Path) -> None:
    async def call() -> None:
        async with calling(tmp_path) as phone:
            credentials = Credentials(user="sandbox", password="sandbox")
            await hang_up(phone, await answered(phone, "999005550013", credentials=credentials))

    asyncio.run(call())

    seen = only(tmp_path)
    assert [message for message in gist(seen) if message in ("> INVITE", "< 401 Unauthorized", "< 200 OK")] == [
        "> INVITE",
        "< 401 Unauthorized",
        "> INVITE",
        "< 200 OK",
        "< 200 OK",
    ]
    assert len(read_rings(tmp_path)) == 1


@pytest.mark.parametrize(("credentials", "code"), [(None, 401), (Credentials(user="sandbox", password="wrong"), 403)])
def test_no_call_without_the_right_password(tmp_path: Path, credentials: Credentials | None, code: int) -> None:
    async def call() -> Failed:
        async with calling(tmp_path) as phone:
            return await phone.event(Failed, phone.invite("999005550013", credentials=credentials))

    assert asyncio.run(call()).code == code
    assert only(tmp_path).answered_at is None


def test_a_redirection_says_where_to(tmp_path: Path) -> None:
    async def call() -> tuple[Failed, int]:
        async with calling(tmp_path) as phone:
            return await phone.event(Failed, phone.invite("999005550014")), phone.far_end[1]

    failed, port = asyncio.run(call())

    assert failed.code == 302
    assert ("Contact", f"<sip:999005550001@127.0.0.1:{port}>") in failed.headers


def test_two_forks_answer_and_the_second_is_hung_up(tmp_path: Path) -> None:
    async def call() -> tuple[str, str]:
        async with calling(tmp_path) as phone:
            handle = await answered(phone, "999005550015")
            extra = await phone.event(ExtraAnswer, handle)
            first = await phone.event(Answered, handle)
            await phone.until(
                lambda: sum(isinstance(m, Response) and m.head.method == "BYE" for m in phone.seen) == 1,
                "end of a fork",
            )
            await hang_up(phone, handle)
            return first.tag, extra.tag

    first, second = asyncio.run(call())

    assert first != second
    assert only(tmp_path).ended_by is EndedBy.CALLER
    assert gist(only(tmp_path)).count("> BYE") == 2


def test_a_telephone_answers_while_it_is_being_cancelled(tmp_path: Path) -> None:
    async def call() -> list[str]:
        async with calling(tmp_path) as phone:
            handle = phone.invite("999005550016")
            await phone.event(Provisional, handle)
            phone.cancel(handle)
            failed = await phone.event(Failed, handle)
            assert failed.code == 487
            await phone.until(
                lambda: any(isinstance(m, Response) and m.head.method == "BYE" for m in phone.seen), "answer to BYE"
            )
            return [m.method for m in phone.seen if isinstance(m, Request)]

    assert asyncio.run(call()) == ["INVITE", "CANCEL", "ACK", "BYE"]

    seen = only(tmp_path)
    assert (seen.final_code, seen.ended_by) == (200, EndedBy.CALLER)


def test_an_invite_that_comes_twice_rings_once(tmp_path: Path) -> None:
    async def call() -> None:
        async with calling(tmp_path) as phone:
            handle = phone.invite("999005550004")
            (invite,) = (message for message in phone.seen if isinstance(message, Request))
            phone.send_raw(invite.render())
            phone.send_raw(invite.render())
            await phone.event(Provisional, handle)
            phone.cancel(handle)
            await phone.event(Failed, handle)
            handle = phone.invite("999005550002")
            await phone.event(Failed, handle)

    before = time.time()
    asyncio.run(call())

    rings = read_rings(tmp_path)
    assert [ring.dialled for ring in rings] == ["999005550004", "999005550002"]
    assert before <= rings[0].at <= rings[1].at <= time.time()
    (first, _) = read_observations(tmp_path)
    assert gist(first).count("> INVITE") == 3
    assert first.call_id == rings[0].call_id


def test_received_headers_are_kept(tmp_path: Path) -> None:
    async def call() -> None:
        async with calling(tmp_path) as phone:
            await phone.event(Failed, phone.invite("999005550002", headers=(("X-Campaign", "7"),)))

    asyncio.run(call())

    seen = only(tmp_path)
    assert ("X-Campaign", "7") in seen.headers
    assert seen.caller == "sip:15550100@127.0.0.1"


def test_options_are_answered(tmp_path: Path) -> None:
    async def ping() -> int:
        async with calling(tmp_path) as phone:
            handle = phone.core.ping(phone.far_end, asyncio.get_running_loop().time())
            phone.pump()
            return (await phone.event(PingDone, handle)).code

    assert asyncio.run(ping()) == 200
    assert read_observations(tmp_path) == []


def test_an_offer_nobody_can_speak_is_refused(tmp_path: Path) -> None:
    async def call() -> Failed:
        async with calling(tmp_path) as phone:
            body = offer_answer.offer(phone.host, phone.rtp_port).replace(b"PCM", b"XYZ").replace(b" 8 0 ", b" 98 99 ")
            return await phone.event(Failed, phone.invite("999005550012", body=body))

    assert asyncio.run(call()).code == 488


def test_mu_law_is_spoken_to_who_asks_for_it(tmp_path: Path) -> None:
    async def call() -> None:
        async with sandbox(tmp_path) as running:
            async with CallingPhone((running.host, running.port), codecs=(PCMU,)) as phone:
                handle = await answered(phone, "999005550009")
                phone.say(tones.tone((700.0,), 500))
                await phone.said()
                await hang_up(phone, handle)

    asyncio.run(call())

    seen = only(tmp_path)
    assert seen.codec == "PCMU"
    assert level_at(read_heard(tmp_path, seen)[400:3600], 700.0) > 0.99


def test_garbage_does_not_disturb_the_network(tmp_path: Path) -> None:
    async def call() -> Failed:
        async with calling(tmp_path) as phone:
            for garbage in (
                b"",
                b"\r\n\r\n",
                b"\xff" * 2000,
                b"INVITE sip:x SIP/2.0\r\n\r\n",
                b"CANCEL x\r\nCall-ID: \r\n\r\n",
            ):
                phone.send_raw(garbage)
            phone.drop = lambda data: b"400" in data[:20]
            return await phone.event(Failed, phone.invite("999005550002"))

    assert asyncio.run(call()).code == 486


def test_a_hundred_calls_at_once(tmp_path: Path) -> None:
    async def call() -> None:
        async with calling(tmp_path) as phone:
            handles = [phone.invite("999005550009") for _ in range(100)]
            for handle in handles:
                await phone.event(Answered, handle, within_s=30)
            for handle in handles:
                phone.bye(handle)
            for handle in handles:
                await phone.event(ByeDone, handle, within_s=30)

    asyncio.run(call())

    seen = read_observations(tmp_path)
    assert len({observation.call_id for observation in seen}) == 100
    assert {observation.ended_by for observation in seen} == {EndedBy.CALLER}


def lost(method: str, times: int) -> Callable[[bytes], bool]:
    left = [times]

    def drop(data: bytes) -> bool:
        if left[0] and data.startswith(method.encode()):
            left[0] -= 1
            return True
        return False

    return drop


def test_an_answer_that_is_lost_comes_again(tmp_path: Path) -> None:
    async def call() -> None:
        async with calling(tmp_path) as phone:
            phone.drop = lost("SIP/2.0 200", 1)
            await hang_up(phone, await answered(phone, "999005550012"))

    asyncio.run(call())

    assert gist(only(tmp_path)).count("< 200 OK") == 3
