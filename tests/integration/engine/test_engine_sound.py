"""Sound through the whole engine: a tone played is the tone heard, both ways, and so are keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.audio import find_tone, read_wav, sine
from tests.support.engine_calls import Air, on_the_air, order_to
from tests.support.far_end import far_end, sdp
from tests.support.rtp_peer import RtpPeer
from tests.support.sipp import answering, needs_sipp

from callwright.engine.interface import CallEnded, Keys, MediaUnavailable, RecordingOrder, Silence, Tone
from callwright.sip.event import Acked, ReofferAnswered

PITCH = 1020.0
PLAYED = Tone(frequencies=(PITCH,), ms=500)


@pytest.fixture(scope="module")
def air() -> Iterator[Air]:
    with on_the_air() as opened:
        yield opened


def order_of(path: Path, max_duration_s: float = 10.0, silence_s: float = 0.5) -> RecordingOrder:
    return RecordingOrder(
        path=str(path), max_duration_s=max_duration_s, max_silence_s=silence_s, max_initial_silence_s=5.0
    )


def rtp_address(offer: bytes) -> tuple[str, int]:
    """Where our session description wants sound."""
    (line,) = [line for line in offer.decode().splitlines() if line.startswith("m=audio ")]
    return "127.0.0.1", int(line.split()[1])


def heard_for_ms(path: Path) -> float:
    tone = find_tone(read_wav(path), PITCH)
    return 0.0 if tone is None else tone.ms


@needs_sipp
def test_tone_and_keys_that_sipp_echoes_are_recorded_and_heard(air: Air, tmp_path: Path) -> None:
    async def story() -> None:
        with answering("answer", echo=True) as far:
            call = await air.place(order_to((far.host, far.port)))
            recording = asyncio.create_task(call.record(order_of(tmp_path / "echo.wav")))
            await call.play([PLAYED])
            recorded = await recording
            assert recorded.contains_sound
            await call.play([Keys(digits="15#"), Silence(ms=300)])
            keys = "".join([await call.keys.next(5.0) or "" for _ in range(3)])
            assert keys == "15#"
            await call.hang_up()
            seen = await asyncio.to_thread(far.finish)
            assert seen.all_succeeded, seen.why
            assert call.facts.media is not None
            assert call.facts.media["packets_received"] > 20

    air.run(story())
    assert 400 <= heard_for_ms(tmp_path / "echo.wav") <= 520


@pytest.mark.parametrize("payload", [8, 0])
def test_sound_and_keys_go_both_ways(air: Air, tmp_path: Path, payload: int) -> None:
    async def story() -> None:
        async with far_end() as far:
            far.rtp.payload_type = payload
            placing = asyncio.create_task(air.place(order_to(far.address)))
            await far.answer(sdp(far.rtp.address, payload=payload))
            call = await placing
            await call.play([PLAYED, Keys(digits="2*")])
            assert find_tone(far.rtp.sound(), PITCH) is not None
            assert far.rtp.keys() == "2*"
            far.rtp.target = far.rtp.heard[0].source
            recording = asyncio.create_task(call.record(order_of(tmp_path / "said.wav")))
            await far.rtp.speak(sine(PITCH, 600))
            await far.rtp.speak(sine(PITCH, 800, level_dbm0=-90.0))
            recorded = await recording
            assert recorded.reason == "silence"
            far.rtp.press("7")
            assert await call.keys.next(5.0) == "7"
            await call.hang_up()

    air.run(story())
    assert 500 <= heard_for_ms(tmp_path / "said.wav") <= 620


def test_sound_follows_the_far_end_to_its_new_address_and_stands_still_on_hold(air: Air) -> None:
    async def story() -> None:
        async with far_end() as far, far_end() as elsewhere:
            placing = asyncio.create_task(air.place(order_to(far.address)))
            invited = await far.answer()
            call = await placing
            await far.ear.next(Acked)
            playing = asyncio.create_task(call.play([PLAYED]))
            await far.rtp.until(lambda heard: len(heard) > 3)
            far.reoffer(invited, sdp(far.rtp.address, direction="sendonly"))
            await far.ear.next(ReofferAnswered)
            await asyncio.sleep(0.8)
            assert not playing.done()
            far.reoffer(invited, sdp(elsewhere.rtp.address))
            await far.ear.next(ReofferAnswered)
            await playing
            tone = find_tone(elsewhere.rtp.sound(), PITCH)
            assert tone is not None
            assert tone.ms > 200
            await call.hang_up()

    air.run(story())


def test_a_stranger_does_not_keep_the_call_from_a_far_end_whose_description_tells_an_address_behind_its_nat(
    air: Air,
) -> None:
    async def story() -> None:
        async with far_end() as far:
            stranger = await RtpPeer.open(8, host="127.0.0.2")
            stranger.ssrc += 1
            placing = asyncio.create_task(air.place(order_to(far.address)))
            invited = await far.answer(sdp(("127.0.0.9", 4000)))
            call = await placing
            far.rtp.target = stranger.target = rtp_address(invited.body)
            speaking = [asyncio.create_task(stranger.speak(sine(PITCH, 10_000)))]
            await stranger.until(lambda heard: len(heard) > 10)
            speaking.append(asyncio.create_task(far.rtp.speak(sine(PITCH, 10_000))))
            await far.rtp.until(lambda heard: len(heard) > 50)
            told = len(stranger.heard)
            await call.play([PLAYED])
            assert len(stranger.heard) == told
            await call.hang_up()
            for task in speaking:
                task.cancel()
            await asyncio.gather(*speaking, return_exceptions=True)
            stranger.close()

    air.run(story())


def test_recording_can_be_cancelled_and_begun_again_but_two_at_once_cannot_run(air: Air, tmp_path: Path) -> None:
    async def story() -> None:
        async with far_end() as far:
            placing = asyncio.create_task(air.place(order_to(far.address)))
            await far.answer()
            call = await placing
            for name in ("first.wav", "second.wav", "third.wav"):
                recording = asyncio.create_task(call.record(order_of(tmp_path / name, silence_s=20.0)))
                await asyncio.sleep(0.05)
                with pytest.raises(MediaUnavailable, match="one at a time"):
                    await call.record(order_of(tmp_path / "another.wav"))
                recording.cancel()
                await asyncio.wait({recording})
                assert read_wav(tmp_path / name).ndim == 1
            await call.hang_up()
            with pytest.raises(CallEnded):
                await call.record(order_of(tmp_path / "late.wav"))

    air.run(story())
    assert not (tmp_path / "another.wav").exists()
    assert not (tmp_path / "late.wav").exists()


def test_session_description_tells_the_advertised_address() -> None:
    with on_the_air(media_host="192.0.2.17") as behind:

        async def story() -> None:
            async with far_end() as far:
                placing = asyncio.create_task(behind.place(order_to(far.address)))
                invited = await far.answer()
                assert b"c=IN IP4 192.0.2.17\r\n" in invited.body
                call = await placing
                await far.ear.next(Acked)
                far.reoffer(invited, sdp(far.rtp.address))
                assert b"c=IN IP4 192.0.2.17\r\n" in (await far.ear.next(ReofferAnswered)).body
                await call.play([Tone(frequencies=(PITCH,), ms=100)])
                assert far.rtp.heard
                await call.hang_up()

        behind.run(story())
