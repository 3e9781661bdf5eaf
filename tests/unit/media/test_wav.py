"""WAV files, read by libsndfile at every stage of their growth."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from callwright.media import g711
from callwright.media.g711 import Law
from callwright.media.wav import WavFormat, WavWriter, header

SUBTYPE = {WavFormat.ALAW: "ALAW", WavFormat.ULAW: "ULAW", WavFormat.PCM16: "PCM_16"}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("wav_format", WavFormat)
def test_a_file_is_readable_after_every_block(wav_format: WavFormat, channels: int) -> None:
    file = io.BytesIO()
    writer = WavWriter(file, wav_format, channels)
    written = np.zeros((0, channels), np.int16)
    rng = np.random.default_rng(1)
    for length in (0, 160, 161, 1):
        block = rng.integers(-30000, 30000, (length, channels), dtype=np.int16)
        writer.write(block if channels > 1 else block[:, 0])
        written = np.concatenate([written, block])
        with soundfile.SoundFile(io.BytesIO(file.getvalue())) as read:
            assert (read.samplerate, read.channels, read.subtype) == (8000, channels, SUBTYPE[wav_format])
            samples = read.read(dtype="int16", always_2d=True)
        expected = written
        if wav_format is not WavFormat.PCM16:
            law = Law.ALAW if wav_format is WavFormat.ALAW else Law.ULAW
            expected = g711.decode(g711.encode(written, law), law)
        assert np.array_equal(samples, expected)
    assert writer.samples == 322


@pytest.mark.parametrize("wav_format", WavFormat)
def test_a_finished_file_has_even_chunks_and_exact_sizes(wav_format: WavFormat) -> None:
    file = io.BytesIO()
    writer = WavWriter(file, wav_format)
    writer.write(np.zeros(161, np.int16))
    writer.finish()
    data = file.getvalue()
    assert len(data) % 2 == 0
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert data[8:16] == b"WAVEfmt "


def test_companded_headers_say_how_many_samples_there_are() -> None:
    head = header(WavFormat.ALAW, 2, 1000)
    assert head[38:50] == b"fact" + (4).to_bytes(4, "little") + (500).to_bytes(4, "little")


def test_what_a_wav_file_cannot_hold_is_left_out() -> None:
    class Nowhere:
        def write(self, data: bytes, /) -> int:
            return len(data)

        def seek(self, offset: int, whence: int = 0, /) -> int:
            return 0

    writer = WavWriter(Nowhere(), WavFormat.PCM16)
    writer._data_bytes = 0xFFFFFFFF - 300
    before = writer.samples
    writer.write(np.zeros(160, np.int16))
    assert writer.samples == before
