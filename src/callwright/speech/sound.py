"""Finished prompts from what engines give: one rate, one loudness, and a WAV file a telephone leg can play."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence

import numpy as np
import soxr

from callwright.speech.synthesiser import Samples, Sound

RATE = 8000
BYTES_PER_SECOND = RATE * 2
HEADER_BYTES = 44

_FRAME = RATE // 50
_SPEECH_LEVEL = 0.1  # -20 dBFS while speaking: what recorded prompts usually have
_PEAK = 0.9
_MOST_GAIN = 6.0
_QUIET = 0.003  # about -50 dBFS: below it there is nothing but an engine's lead-in
_KEPT_EDGE = RATE * 30 // 1000
_SHORTEST = RATE // 50


def to_telephone(sounds: Sequence[Sound]) -> Samples:
    """Join the sounds one engine made of an utterance and bring them to 8 kHz and the usual loudness.

    They are resampled whole: a resampler fed in pieces holds sound back at every end.
    """
    joined = np.concatenate([sound.samples for sound in sounds]) if sounds else np.zeros(0, np.float32)
    if joined.size and sounds[0].rate != RATE:
        joined = soxr.resample(joined, sounds[0].rate, RATE)
    return _levelled(np.asarray(joined, dtype=np.float32))


def trimmed(samples: Samples) -> Samples:
    """Cut the silence engines put before and after a text, but for 30 ms that keep its edges soft."""
    loud = np.flatnonzero(np.abs(samples) > _QUIET)
    if not loud.size:
        return samples[:0]
    return samples[max(0, int(loud[0]) - _KEPT_EDGE) : int(loud[-1]) + 1 + _KEPT_EDGE]


def silence(seconds: float) -> Samples:
    """Return so much silence."""
    return np.zeros(round(seconds * RATE), np.float32)


def louder(samples: Samples, gain_db: float) -> Samples:
    """Apply a gain; peaks that would clip are held at full scale, as a loud voice on a telephone is."""
    if gain_db == 0:
        return samples
    return np.asarray(np.clip(samples * (10 ** (gain_db / 20)), -1.0, 1.0), dtype=np.float32)


def wav_file(parts: Sequence[Samples]) -> bytes:
    """Return an 8 kHz mono 16 bit WAV file of the parts one after another.

    It holds 20 ms of silence when there is nothing to hear: players expect a sound to have samples.
    """
    samples = np.concatenate([*parts, np.zeros(0, np.float32)])
    if samples.size < _SHORTEST:
        samples = np.concatenate([samples, np.zeros(_SHORTEST - samples.size, np.float32)])
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())
    return out.getvalue()


def _levelled(samples: Samples) -> Samples:
    frames = samples[: samples.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.asarray(np.mean(np.square(frames), axis=1, dtype=np.float64))
    spoken = power[power > _QUIET**2]
    peak = float(np.max(np.abs(samples))) if samples.size else 0.0
    if not spoken.size or peak == 0:
        return samples
    gain = min(_SPEECH_LEVEL / float(np.sqrt(np.mean(spoken))), _PEAK / peak, _MOST_GAIN)
    return (samples * np.float32(gain)).astype(np.float32)
