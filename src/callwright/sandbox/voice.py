"""The sound of a phrase: its rendered file, or a tone sequence that nobody mistakes for speech."""

from __future__ import annotations

import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog

from callwright.media import tones
from callwright.media.codec import SAMPLE_RATE
from callwright.media.g711 import Pcm
from callwright.sandbox.phrases import file_name
from callwright.values.errors import OutsideError

log = structlog.get_logger()

_HIGH_HZ, _LOW_HZ, _NOTE_MS, _PAUSE_MS = 880.0, 620.0, 160, 60


class UnusablePhrase(OutsideError):
    """A phrase file is missing or is not 8 kHz, mono, 16 bit PCM in a WAV file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Samples to send. `is_speech` is False when tones stand in for a phrase that was not rendered."""

    samples: Pcm
    is_speech: bool


@dataclass(slots=True, kw_only=True)
class Voice:
    """Finds phrases in a folder (None: there is none) and keeps them in memory."""

    directory: Path | None
    _spoken: dict[str, Spoken] = field(default_factory=dict)

    def speak(self, text: str) -> Spoken:
        """Return the sound of a text; the first use of a text reads its file, which is short and local."""
        if text not in self._spoken:
            self._spoken[text] = self._load(text)
        return self._spoken[text]

    def _load(self, text: str) -> Spoken:
        try:
            return Spoken(samples=read_phrase(self._path(text)), is_speech=True)
        except UnusablePhrase as problem:
            log.warning("A phrase was replaced by tones.", action="phrase_missing", text=text, problem=str(problem))
            return Spoken(samples=stand_in(text), is_speech=False)

    def _path(self, text: str) -> Path:
        if self.directory is None:
            raise UnusablePhrase("no folder of rendered phrases was given (--phrases)")
        return self.directory / file_name(text)


def read_phrase(path: Path) -> Pcm:
    """Return the samples of a phrase file; raise `UnusablePhrase`."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (SAMPLE_RATE, 1, 2):
                raise UnusablePhrase(f"{path} is not 8 kHz, mono, 16 bit: render it again")
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    except (OSError, EOFError, wave.Error) as problem:
        raise UnusablePhrase(f"{path} cannot be read: {problem}") from problem


def stand_in(text: str) -> Pcm:
    """Return a high and a low note for each word, about as long as the text would take to say."""
    words = max(1, len(text.split()))
    notes = [tones.tone((hz,), _NOTE_MS) for hz in (_HIGH_HZ, _LOW_HZ)]
    pair = np.concatenate((notes[0], tones.silence(_PAUSE_MS), notes[1], tones.silence(_PAUSE_MS)))
    return np.tile(pair, words)
