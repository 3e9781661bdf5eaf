"""What a telephone hears, 20 ms at a time: quiet, speech, or a beep that just ended.

Speech is energy. A beep is a steady sine wave: nearly all energy of two frames together lies around one frequency that
does not move for at least `MIN_BEEP_FRAMES`. Voices have harmonics and their pitch moves, telephone keys in sound have
two frequencies, so neither is taken for a beep.
"""

from __future__ import annotations

import numpy as np

from callwright.media.codec import FRAME_SAMPLES, SAMPLE_RATE
from callwright.media.g711 import Pcm
from callwright.sandbox.script import Hearing

LOUD_RMS = 130.0
"""About -45 dBm0: above the noise of a line, below any voice."""
MIN_BEEP_FRAMES = 5
PURITY = 0.9
LOWEST_BEEP_HZ = 350.0
SAME_HZ = 15.0

_WINDOW = np.hanning(2 * FRAME_SAMPLES)
_BIN_HZ = SAMPLE_RATE / (2 * FRAME_SAMPLES)


class Listener:
    """Classifies a stream of samples of any chunking."""

    def __init__(self) -> None:
        self._waiting: Pcm = np.zeros(0, np.int16)
        self._before: Pcm = np.zeros(FRAME_SAMPLES, np.int16)
        self._tone_hz = 0.0
        self._tone_frames = 0

    def hear(self, samples: Pcm) -> list[Hearing]:
        """Take samples, give what each complete frame is."""
        self._waiting = np.concatenate((self._waiting, samples)) if len(self._waiting) else samples
        hearings = []
        while len(self._waiting) >= FRAME_SAMPLES:
            hearings.append(self._classify(self._waiting[:FRAME_SAMPLES]))
            self._waiting = self._waiting[FRAME_SAMPLES:]
        return hearings

    def _classify(self, frame: Pcm) -> Hearing:
        before, self._before = self._before, frame
        level = frame.astype(np.float64)
        if float(np.sqrt(np.mean(level * level))) < LOUD_RMS:
            return self._not_a_tone(Hearing.QUIET)
        pitch = _pure_pitch(np.concatenate((before, frame)))
        if pitch is None:
            return self._not_a_tone(Hearing.SPEECH)
        if self._tone_frames and abs(pitch - self._tone_hz) > SAME_HZ:
            self._tone_frames = 0
        self._tone_hz = pitch
        self._tone_frames += 1
        # Whether this is a beep or a vowel is only known when it ends, or has lasted; neither counts as speech.
        return Hearing.QUIET

    def _not_a_tone(self, hearing: Hearing) -> Hearing:
        frames, self._tone_frames = self._tone_frames, 0
        return Hearing.BEEP if frames >= MIN_BEEP_FRAMES else hearing


def _pure_pitch(samples: Pcm) -> float | None:
    """The frequency in Hz of samples that are one sine wave, else None."""
    spectrum = np.abs(np.fft.rfft(samples * _WINDOW)) ** 2
    peak = int(np.argmax(spectrum))
    if not LOWEST_BEEP_HZ / _BIN_HZ <= peak < len(spectrum) - 3:
        return None
    if float(np.sum(spectrum[peak - 3 : peak + 4])) < PURITY * float(np.sum(spectrum)):
        return None
    left, middle, right = (float(np.sqrt(v)) for v in spectrum[peak - 1 : peak + 2])
    return (peak + 0.5 * (left - right) / (left - 2 * middle + right)) * _BIN_HZ
