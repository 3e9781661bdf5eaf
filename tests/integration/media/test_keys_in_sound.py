"""Keys as tone pairs in the sound, on the wire; and that people who speak press none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import numpy as np
import pytest
import soxr
from tests.support.media_line import line, run

from callwright.engine.interface import Silence
from callwright.engine.media_client import Digit, DigitEnded
from callwright.media import tones
from callwright.media.codec import PCMU
from callwright.media.dtmf import KeyDown
from callwright.media.g711 import Pcm
from callwright.media.tone_keys import ToneKeys
from callwright.speech.engines import find_synthesisers
from callwright.speech.voices import Gender, Voice


def test_keys_are_heard_in_the_sound_when_no_events_were_agreed() -> None:
    async def work() -> None:
        async with line(PCMU, dtmf_payload=None) as at:
            await at.peer.speak(np.concatenate([tones.silence(200), tones.keys("159#"), tones.silence(200)]))
            await at.until(lambda events: at.keys() == "159#")
            await at.until(lambda events: sum(isinstance(event, DigitEnded) for event in events) == 4)
            for event in at.events:
                if isinstance(event, DigitEnded):
                    assert event.duration_ms == pytest.approx(100, abs=30)

    run(work)


def test_keys_in_the_sound_are_left_alone_when_events_were_agreed() -> None:
    async def work() -> None:
        async with line() as at:
            await at.peer.speak(tones.keys("159#"))
            await at.leg.play([Silence(ms=300)])
            assert at.keys() == ""

    run(work)


def test_a_key_sent_both_ways_is_one_key() -> None:
    async def work() -> None:
        async with line() as at:
            at.leg.connect(remote=at.peer.address, codec=at.codec, dtmf_payload=101, tone_keys=True)
            await at.peer.speak(tones.silence(100))
            at.peer.press("3")
            await at.peer.speak(np.concatenate([tones.keys("3"), tones.silence(600), tones.keys("4")]))
            await at.until(lambda events: at.keys().endswith("4"))
            assert at.keys() == "34"
            assert sum(isinstance(event, Digit) for event in at.events) == 2

    run(work)


TEXTS = (
    "Good morning, this is Maria from the dental practice. I am calling about your appointment on Tuesday.",
    "You, ooh, you too? Who knew? Wow, oh no, hello, yellow, rolling along the low road, we were away all year.",
    "Six slippery snakes slide silently south on Sunday. Mmm, aha, see me, we agree.",
)
VOICES = {"hibari": ("heart",), "flite": ("slt", "rms"), "espeak-ng": ("en-us", "de")}


async def spoken() -> list[Pcm]:
    sounds: list[Pcm] = []
    for synthesiser in await find_synthesisers():
        try:
            for name in VOICES.get(synthesiser.engine, ()):
                voice = Voice(engine=synthesiser.engine, name=name, language="en", region="US", gender=Gender.FEMALE)
                for text in TEXTS:
                    sound = await synthesiser.speak(text, voice, 1.0)
                    samples = soxr.resample(np.asarray(sound.samples, np.float32), sound.rate, 8000)
                    sounds.append((samples / np.abs(samples).max() * 20_000).astype(np.int16))
        finally:
            await synthesiser.close()
    return sounds


def keys_found(sounds: Iterable[Pcm]) -> str:
    found = ""
    for sound in sounds:
        detector = ToneKeys(1)
        detector.start(0)
        for at in range(0, len(sound) - 159, 160):
            told = detector.add(np.array([0]), sound[None, at : at + 160], at / 8000)
            found += "".join(event.key for _, event in told if isinstance(event, KeyDown))
    return found


def test_speech_of_every_installed_voice_presses_no_key() -> None:
    sounds = asyncio.run(spoken())
    assert sum(map(len, sounds)) > 8000 * 15
    assert keys_found(sounds) == ""
    # The same speech with a key after it shows that the detector was listening.
    assert keys_found(np.concatenate([sound, tones.keys("7")]) for sound in sounds) == "7" * len(sounds)
