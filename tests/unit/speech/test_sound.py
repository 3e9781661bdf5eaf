"""Finished prompts."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from callwright.speech import sound
from callwright.speech.synthesiser import Samples, Sound


def tone(seconds: float, rate: int, level: float = 0.1, hertz: float = 400.0) -> Samples:
    at = np.arange(round(seconds * rate)) / rate
    return np.asarray(level * np.sin(2 * np.pi * hertz * at), dtype=np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000])
def test_any_rate_becomes_8_khz_with_the_same_length_and_pitch(rate: int) -> None:
    samples = sound.to_telephone([Sound(samples=tone(1.0, rate), rate=rate)])
    assert abs(samples.size - 8000) <= 1
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    assert abs(int(np.argmax(spectrum)) - 400) <= 1


def test_pieces_of_one_utterance_are_joined_before_resampling() -> None:
    halves = [Sound(samples=half, rate=24000) for half in np.split(tone(1.0, 24000), 2)]
    whole = [Sound(samples=tone(1.0, 24000), rate=24000)]
    np.testing.assert_array_equal(sound.to_telephone(halves), sound.to_telephone(whole))


@pytest.mark.parametrize("level", [0.05, 0.14, 0.9])
def test_quiet_and_loud_voices_come_out_at_one_level(level: float) -> None:
    samples = sound.to_telephone([Sound(samples=tone(1.0, 8000, level), rate=8000)])
    assert np.sqrt(np.mean(np.square(samples))) == pytest.approx(0.1, rel=0.02)


def test_raising_the_level_never_clips() -> None:
    click = tone(1.0, 8000, 0.02)
    click[4000] = 0.5
    assert np.max(np.abs(sound.to_telephone([Sound(samples=click, rate=8000)]))) <= 0.901


def test_silence_is_not_made_loud() -> None:
    hiss = np.full(8000, 0.0005, np.float32)
    np.testing.assert_array_equal(sound.to_telephone([Sound(samples=hiss, rate=8000)]), hiss)


def test_nothing_stays_nothing() -> None:
    assert sound.to_telephone([]).size == 0
    assert sound.to_telephone([Sound(samples=np.zeros(0, np.float32), rate=24000)]).size == 0
    assert sound.trimmed(np.zeros(800, np.float32)).size == 0


def test_silence_around_speech_is_cut_but_for_30_ms() -> None:
    speech = np.full(800, 0.5, np.float32)
    padded = np.concatenate([np.zeros(4000, np.float32), speech, np.zeros(4000, np.float32)])
    assert sound.trimmed(padded).size == 800 + 2 * 240
    assert sound.trimmed(speech).size == 800


def test_a_gain_of_6_db_doubles_and_full_scale_is_the_end() -> None:
    samples = np.array([0.1, -0.4, 0.8], np.float32)
    np.testing.assert_allclose(sound.louder(samples, 6.0206), [0.2, -0.8, 1.0], rtol=1e-4)
    assert sound.louder(samples, 0) is samples


def test_the_file_is_8_khz_mono_16_bit_with_a_head_of_44_bytes() -> None:
    data = sound.wav_file([tone(0.5, 8000), sound.silence(0.25)])
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.getnframes() == 6000
    assert len(data) == sound.HEADER_BYTES + 12000


def test_a_prompt_of_nothing_is_20_ms_of_silence() -> None:
    data = sound.wav_file([])
    assert data[sound.HEADER_BYTES :] == bytes(320)
