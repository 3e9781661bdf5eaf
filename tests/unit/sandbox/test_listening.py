from __future__ import annotations

import numpy as np
import pytest

from callwright.media import g711, tones
from callwright.media.g711 import Law, Pcm
from callwright.sandbox.listening import Listener
from callwright.sandbox.script import Hearing


def through_the_line(samples: Pcm) -> Pcm:
    return g711.decode(g711.encode(samples, Law.ALAW), Law.ALAW)


def hear(*parts: Pcm) -> list[Hearing]:
    return Listener().hear(through_the_line(np.concatenate(parts)))


def noise(ms: int, level: float = 2000.0) -> Pcm:
    """Noise coloured like a voice, the same at every run."""
    samples = np.random.default_rng(7).normal(0.0, level, ms * 8)
    return np.convolve(samples, np.ones(4) / 4, mode="same").astype(np.int16)


def vowel(ms: int) -> Pcm:
    """Harmonics of a gliding pitch, which is what voiced speech is made of."""
    time = np.arange(ms * 8) / 8000
    pitch = 120 * time + 15 * time * time
    wave = sum(3000 / k * np.sin(2 * np.pi * k * pitch) for k in range(1, 12))
    return np.asarray(wave, np.float64).astype(np.int16)


def test_silence_and_the_noise_of_a_line_are_quiet() -> None:
    assert set(hear(tones.silence(200), noise(200, level=40.0))) == {Hearing.QUIET}


@pytest.mark.parametrize("sound", [noise(1000), vowel(1000)])
def test_voice_like_sound_is_speech_and_never_a_beep(sound: Pcm) -> None:
    heard = hear(sound, tones.silence(100))

    assert heard.count(Hearing.SPEECH) >= 48
    assert Hearing.BEEP not in heard


@pytest.mark.parametrize("hz", [440.0, 1000.0, 1400.0, 2100.0])
def test_a_beep_is_told_once_when_it_ends(hz: float) -> None:
    heard = hear(tones.silence(100), tones.tone((hz,), 250, -20.0), tones.silence(200))

    assert heard.count(Hearing.BEEP) == 1
    assert heard.count(Hearing.SPEECH) <= 1
    assert 16 <= heard.index(Hearing.BEEP) <= 19


def test_the_recording_beep_of_the_platform_is_a_beep() -> None:
    assert Hearing.BEEP in hear(tones.beep(), tones.silence(100))


def test_a_beep_right_after_speech_is_heard() -> None:
    assert hear(vowel(500), tones.beep(), tones.silence(100)).count(Hearing.BEEP) == 1


def test_a_short_blip_is_no_beep() -> None:
    assert Hearing.BEEP not in hear(tones.tone((1000.0,), 60), tones.silence(100))


def test_telephone_keys_as_sound_are_no_beep() -> None:
    assert Hearing.BEEP not in hear(tones.keys("159*D"), tones.silence(100))


def test_any_chunking_gives_the_same() -> None:
    sound = through_the_line(np.concatenate((vowel(300), tones.beep(), tones.silence(200))))
    listener, pieces = Listener(), []
    for start in range(0, len(sound), 77):
        pieces += listener.hear(sound[start : start + 77])

    assert pieces == Listener().hear(sound)
