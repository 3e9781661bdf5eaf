"""WAV files of 8 kHz telephone sound (RIFF, Microsoft Multimedia Standards Update 3.0), written as they grow.

The header is put right after every block, so that a file whose writer died lacks its last half second at most and opens
everywhere.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import numpy as np

from callwright.media import g711
from callwright.media.codec import SAMPLE_RATE
from callwright.media.g711 import Law, Octets, Pcm

_MAX_DATA_BYTES = 0xFFFFFFFF - 128


class WavFormat(StrEnum):
    """How samples are stored."""

    ALAW = "alaw"
    ULAW = "ulaw"
    PCM16 = "pcm16"


_TAG = {WavFormat.PCM16: 1, WavFormat.ALAW: 6, WavFormat.ULAW: 7}


class SeekableFile(Protocol):
    """The part of a binary file that a writer needs."""

    def write(self, data: bytes, /) -> int: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


def header(wav_format: WavFormat, channels: int, data_bytes: int) -> bytes:
    """Render everything before the samples; `data_bytes` is the length of the samples without padding."""
    width = 2 if wav_format is WavFormat.PCM16 else 1
    block = width * channels
    layout = (
        _TAG[wav_format].to_bytes(2, "little")
        + channels.to_bytes(2, "little")
        + SAMPLE_RATE.to_bytes(4, "little")
        + (SAMPLE_RATE * block).to_bytes(4, "little")
        + block.to_bytes(2, "little")
        + (8 * width).to_bytes(2, "little")
    )
    chunks = b""
    if wav_format is WavFormat.PCM16:
        chunks += _chunk(b"fmt ", layout)
    else:
        # Formats other than PCM carry an extension size and a `fact` chunk with the number of samples.
        chunks += _chunk(b"fmt ", layout + b"\0\0") + _chunk(b"fact", (data_bytes // block).to_bytes(4, "little"))
    size = 4 + len(chunks) + 8 + data_bytes + (data_bytes & 1)
    return b"RIFF" + size.to_bytes(4, "little") + b"WAVE" + chunks + b"data" + data_bytes.to_bytes(4, "little")


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body


class WavWriter:
    """Writes samples into an open binary file, which stays the caller's to close."""

    def __init__(self, file: SeekableFile, wav_format: WavFormat, channels: int = 1) -> None:
        self._file = file
        self._format = wav_format
        self._channels = channels
        self._data_bytes = 0
        file.write(header(wav_format, channels, 0))

    @property
    def samples(self) -> int:
        """Samples written so far, per audio channel."""
        return self._data_bytes // (self._channels * (2 if self._format is WavFormat.PCM16 else 1))

    @property
    def end(self) -> int:
        """Where in the file the next samples belong."""
        return len(header(self._format, self._channels, 0)) + self._data_bytes

    def octets(self, pcm: Pcm) -> Octets:
        """The octets of samples shaped (n,) or (n, channels), side by side in memory. What a WAV file cannot hold any
        more (4 GiB) is left out.
        """
        if self._format is WavFormat.PCM16:
            octets = np.ascontiguousarray(pcm, dtype="<i2").reshape(-1).view(np.uint8)
        else:
            law = Law.ALAW if self._format is WavFormat.ALAW else Law.ULAW
            octets = np.ascontiguousarray(g711.encode(pcm, law)).reshape(-1)
        return octets if self._data_bytes + len(octets) <= _MAX_DATA_BYTES else octets[:0]

    def header_with(self, octets: int) -> bytes:
        """The file's beginning once so many more octets of samples are in it."""
        return header(self._format, self._channels, self._data_bytes + octets)

    def grown(self, octets: int) -> None:
        """Somebody else has put so many octets at the end, and the header right."""
        self._data_bytes += octets

    def write(self, pcm: Pcm) -> None:
        """Append samples, and put the header right."""
        data = self.octets(pcm)
        if not len(data):
            return
        rest = data.tobytes()
        while rest:
            # An unbuffered file takes what there is room for; the next attempt says why it takes no more.
            rest = rest[self._file.write(rest) :]
        self._data_bytes += len(data)
        self._patch()

    def finish(self) -> None:
        """Pad to an even length, as chunks must be."""
        self._file.seek(0, 2)
        if self._data_bytes & 1:
            self._file.write(b"\0")
        self._patch()

    def _patch(self) -> None:
        self._file.seek(0)
        self._file.write(header(self._format, self._channels, self._data_bytes))
        self._file.seek(0, 2)
