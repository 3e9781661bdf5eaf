"""The WAV files programs write."""

from __future__ import annotations

import io
import struct
import wave

import pytest

from callwright.speech.programs import wav_sound
from callwright.speech.synthesiser import SynthesisFailed


def wav(*, channels: int = 1, width: int = 2, rate: int = 16000, frames: bytes = b"\0\0\0\x40") -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(frames)
    return out.getvalue()


def test_a_whole_file_is_read() -> None:
    sound = wav_sound(wav(), "flite")
    assert (sound.rate, sound.samples.tolist()) == (16000, [0.0, 0.5])


def test_a_length_written_too_early_is_only_an_upper_bound() -> None:
    data = bytearray(wav())
    struct.pack_into("<I", data, 4, 0x7FFFF024)
    struct.pack_into("<I", data, 40, 0x7FFFF000)
    assert wav_sound(bytes(data), "espeak-ng").samples.tolist() == [0.0, 0.5]


def test_chunks_that_are_not_sound_are_passed_over() -> None:
    data = wav()
    noted = data[:36] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + data[36:]
    assert wav_sound(noted, "flite").samples.tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"not a sound at all",
        wav()[:40],
        wav(channels=2),
        wav(width=1),
        wav(rate=1000),
        wav()[:12] + wav()[36:],
    ],
)
def test_anything_else_is_a_failed_synthesis(data: bytes) -> None:
    with pytest.raises(SynthesisFailed, match=f"flite gave {len(data)} bytes"):
        wav_sound(data, "flite")


def test_every_shortened_file_is_read_or_refused() -> None:
    data = wav()
    for length in range(len(data)):
        try:
            assert len(wav_sound(data[:length], "flite").samples) <= 2
        except SynthesisFailed:
            assert length < 44
