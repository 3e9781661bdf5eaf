"""G.722 and L16 on real legs: played, heard, recorded, pressed, and joined to each other and to G.711."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from tests.support.audio import Pcm, find_tone, level_at, read_wav, sine, write_wav
from tests.support.media_line import Line, line, run, two_lines

from callwright.engine.interface import Keys, Silence, Sound, SoundFile
from callwright.media import g722
from callwright.media.codec import G722, L16, PCMA, Codec

WIDE = 16000
SETTLING = Silence(ms=300)
"""A G.722 decoder that has heard silence for a while knows how loud a sound is from its beginning."""
needs_helper = pytest.mark.skipif(not g722.SPOKEN, reason="the C helper is not there")
OTHERS = [pytest.param(G722, id="G.722", marks=needs_helper), pytest.param(L16, id="L16")]


async def speak(at: Line, frequency: float, ms: int) -> None:
    """The far end says a tone in the codec of its leg, in its own time."""
    if at.codec == PCMA:
        await at.peer.speak(sine(frequency, ms))
        return
    if at.codec == G722:
        octets, size = g722.encode(sine(frequency, ms, rate=WIDE)).tobytes(), 160
    else:
        octets, size = sine(frequency, ms).astype(">i2").tobytes(), 320
    due = asyncio.get_running_loop().time()
    for start in range(0, len(octets) - size + 1, size):
        at.peer.send_sound(octets[start : start + size])
        at.peer.timestamp += 160 - size
        due += 0.02
        await asyncio.sleep(due - asyncio.get_running_loop().time())


def heard(at: Line) -> tuple[Pcm, int]:
    """What the far end heard, and its rate."""
    octets = b"".join(packet.payload for packet in at.peer.heard if packet.payload_type == at.codec.payload)
    if at.codec == G722:
        return g722.decode(np.frombuffer(octets, np.uint8)), WIDE
    if at.codec == L16:
        return np.frombuffer(octets, ">i2").astype(np.int16), 8000
    return at.peer.sound(), 8000


def loudest(at: Line, frequency: float) -> float:
    """The level of a frequency in the 80 ms in which it is loudest."""
    sound, rate = heard(at)
    size, step = rate * 80 // 1000, rate // 100
    windows = [sound[start : start + size] for start in range(0, len(sound) - size, step)]
    return max((level_at(window, frequency, rate) for window in windows), default=-120.0)


@pytest.mark.parametrize(("codec", "frequency"), [pytest.param(G722, 6000, marks=needs_helper), (L16, 3000)], ids=str)
def test_a_prompt_is_heard_with_all_the_codec_can_carry(tmp_path: Path, codec: Codec, frequency: int) -> None:
    write_wav(tmp_path / "tone.wav", sine(frequency, 600, -12.0, 24000), 24000)

    async def work() -> None:
        async with line(codec) as at:
            await at.leg.play([SETTLING, SoundFile(path=str(tmp_path / "tone.wav")), Silence(ms=40)])
            await at.peer.until(lambda packets: len(packets) > 45)
            assert loudest(at, frequency) == pytest.approx(-12.0, abs=1.0)
            first = at.peer.heard[0]
            for index, packet in enumerate(at.peer.heard):
                assert packet.timestamp == (first.timestamp + 160 * index) & 0xFFFFFFFF
                assert len(packet.payload) == (320 if codec == L16 else 160)

    run(work)


@pytest.mark.parametrize("codec", OTHERS)
def test_what_the_far_end_says_is_recorded_alone_and_beside_us(tmp_path: Path, codec: Codec) -> None:
    write_wav(tmp_path / "ours.wav", sine(500, 800, -12.0, WIDE), WIDE)

    async def work() -> None:
        async with line(codec) as at:
            at.leg.record_leg(str(tmp_path / "both.wav"))
            recording = asyncio.create_task(
                at.leg.record(str(tmp_path / "theirs.wav"), max_duration_s=20, max_silence_s=0.3, format="pcm16")
            )
            await asyncio.gather(speak(at, 1200, 800), at.leg.play([SoundFile(path=str(tmp_path / "ours.wav"))]))
            assert (await recording).contains_sound
            await at.leg.close()
        tone = find_tone(read_wav(tmp_path / "theirs.wav"), 1200)
        assert tone is not None
        assert tone.level == pytest.approx(-10.0, abs=1.0)
        both = read_wav(tmp_path / "both.wav")
        for side, frequency, expected in ((0, 1200, -10.0), (1, 500, -12.0)):
            tone = find_tone(both[:, side], frequency)
            assert tone is not None
            assert tone.level == pytest.approx(expected, abs=1.0)
            assert tone.ms == pytest.approx(780, abs=80)

    run(work)


@pytest.mark.parametrize("codec", OTHERS)
def test_keys_travel_as_events_and_in_the_sound(codec: Codec) -> None:
    async def work() -> None:
        async with line(codec) as at:
            at.peer.press("4")
            await at.until(lambda events: at.keys() == "4")
            await at.leg.play([Keys(digits="17")])
            await at.peer.until(lambda packets: at.peer.keys() == "17")
        async with line(codec, dtmf_payload=None) as at:
            await at.leg.play([SETTLING, Keys(digits="9")])
            assert loudest(at, 852) > -12
            assert loudest(at, 1477) > -12

    run(work)


@pytest.mark.parametrize(
    ("one_codec", "other_codec", "frequency"),
    [
        pytest.param(G722, G722, 6000, marks=needs_helper, id="G.722 to G.722 is wideband"),
        pytest.param(G722, PCMA, 1500, marks=needs_helper, id="G.722 to G.711"),
        pytest.param(L16, G722, 1500, marks=needs_helper, id="L16 to G.722"),
        pytest.param(L16, PCMA, 1500, id="L16 to G.711"),
    ],
)
def test_joined_legs_hear_each_other_whatever_their_codecs(
    one_codec: Codec, other_codec: Codec, frequency: int
) -> None:
    async def work() -> None:
        async with two_lines(one_codec, other_codec) as (one, other):
            one.leg.join(other.leg)
            await speak(one, frequency, 800)
            assert loudest(other, frequency) == pytest.approx(-10.0, abs=1.0)

    run(work)


@needs_helper
def test_a_codec_may_change_in_mid_call(tmp_path: Path) -> None:
    write_wav(tmp_path / "tone.wav", sine(1000, 600, -12.0, WIDE), WIDE)

    async def work() -> None:
        async with line(PCMA) as at:
            await speak(at, 700, 200)
            at.leg.record_leg(str(tmp_path / "leg.wav"))
            at.codec, at.peer.payload_type = G722, G722.payload
            at.leg.connect(remote=at.peer.address, codec=G722, dtmf_payload=101)
            prompt: list[Sound] = [SETTLING, SoundFile(path=str(tmp_path / "tone.wav"))]
            await asyncio.gather(speak(at, 1700, 600), at.leg.play(prompt))
            assert loudest(at, 1000) == pytest.approx(-12.0, abs=1.0)
            await at.leg.close()
        tone = find_tone(read_wav(tmp_path / "leg.wav")[:, 0], 1700)
        assert tone is not None
        assert tone.level == pytest.approx(-10.0, abs=1.0)

    run(work)
