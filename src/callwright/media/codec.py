"""The audio codecs we speak: G.711 A-law and mu-law (RFC 3551, section 4.5.14)."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE = 8000
FRAME_MS = 20
FRAME_SAMPLES = 160
FRAMES_PER_SECOND = 50


@dataclass(frozen=True, slots=True)
class Codec:
    """One agreed audio codec: `name` is PCMA or PCMU, `payload` its RTP payload type on this leg."""

    name: str
    payload: int


PCMA = Codec(name="PCMA", payload=8)
PCMU = Codec(name="PCMU", payload=0)

COMFORT_NOISE_PAYLOAD = 13
"""The static payload type that says how the far end's silence sounds (RFC 3389)."""

DTMF_PAYLOAD = 101
"""The payload type we offer for telephone-event (RFC 4733)."""
