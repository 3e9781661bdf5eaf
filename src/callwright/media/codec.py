"""The audio codecs we speak: G.711 both laws, G.722 and L16 (RFC 3551, sections 4.5.14, 4.5.2 and 4.5.11).

All have a clock of 8,000 on the wire: L16 is taken at that rate, and G.722 has it though its sound has twice as many
samples, by an old mistake that RFC 3551 keeps. So packets, timestamps and key events are alike for every codec.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

SAMPLE_RATE = 8000
FRAME_MS = 20
FRAME_SAMPLES = 160
FRAMES_PER_SECOND = 50


@dataclass(frozen=True, slots=True)
class Codec:
    """One agreed audio codec: `name` is PCMA, PCMU, G722 or L16, `payload` its RTP payload type on this leg."""

    name: str
    payload: int


PCMA = Codec(name="PCMA", payload=8)
PCMU = Codec(name="PCMU", payload=0)
G722 = Codec(name="G722", payload=9)
L16 = Codec(name="L16", payload=96)


class Coding(IntEnum):
    """How a leg's sound is coded; those of G.711 have the values of `g711.Law`."""

    ULAW = 0
    ALAW = 1
    G722 = 2
    L16 = 3


CODINGS = {"PCMU": Coding.ULAW, "PCMA": Coding.ALAW, "G722": Coding.G722, "L16": Coding.L16}
"""By the name of the codec."""

PLAIN_CODINGS = 2
"""Codings below this one have an octet for a sample, by a table."""

FRAME_OCTETS = (160, 160, 160, 320)
"""What 20 ms take, by coding."""


def samples_in_frame(coding: int) -> int:
    """How many samples the sound of 20 ms has."""
    return 2 * FRAME_SAMPLES if coding == Coding.G722 else FRAME_SAMPLES


COMFORT_NOISE_PAYLOAD = 13
"""The static payload type that says how the far end's silence sounds (RFC 3389)."""

DTMF_PAYLOAD = 101
"""The payload type we offer for telephone-event (RFC 4733)."""
