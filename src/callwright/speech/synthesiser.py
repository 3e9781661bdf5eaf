"""What an engine that speaks offers, and how it fails. Three real ones stand behind it: hibari, flite and espeak-ng."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from callwright.speech.voices import Voice
from callwright.values.errors import OutsideError, RequestError

Samples = NDArray[np.float32]
"""Mono sound, full scale ±1."""

MAX_SOUND_S = 600.0
"""No rendered sound is longer: beyond it a text is refused, however few characters it has."""


class TextTooLong(RequestError):
    """A text has more characters, or makes a longer sound, than we speak in one go; the message names the limit."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="text_to_say")


class SynthesisFailed(OutsideError):
    """A speech engine crashed, ran out of time or gave no usable sound. The text to be spoken is never in here."""


class EngineUnusable(SynthesisFailed):
    """The engine itself is in trouble, not this text: it does not start or does not answer. Others are asked first for
    a while; a text that merely breaks an engine must not change the voice of other calls.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Samples as an engine made them, and their rate in Hz."""

    samples: Samples
    rate: int


class Synthesiser(Protocol):
    """One engine. ``max_characters`` is the longest text it is handed at once."""

    engine: str
    version: str
    max_characters: int

    async def speak(self, text: str, voice: Voice, rate: float) -> Sound:
        """Speak a normalised text at ``rate`` times the usual pace (0.5 to 2); raise ``SynthesisFailed``."""
        ...

    async def close(self) -> None:
        """Leave no process behind; harmless when nothing was started."""
        ...
