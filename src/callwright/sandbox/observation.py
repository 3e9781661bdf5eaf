"""What one simulated telephone saw of one call: the file it leaves, written and read (docs/reference/sandbox.md).

All times are seconds since 1970 by the sandbox's clock. None means that it did not happen.
"""

from __future__ import annotations

import hashlib
import os
import wave
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from callwright.media.codec import SAMPLE_RATE


class EndedBy(StrEnum):
    """Who or what ended a simulated call."""

    CALLER = "caller"
    PERSONA = "persona"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    FAILED = "failed"
    SANDBOX_STOPPED = "sandbox_stopped"


class Direction(StrEnum):
    RECEIVED = "received"
    SENT = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class SipSeen:
    """One SIP message of the call: its start line's gist (`INVITE`, `180 Ringing`) and its CSeq."""

    at: float
    direction: Direction
    message: str
    cseq: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHeard:
    """A key the caller pressed: when it began and how long it was."""

    key: str
    at: float
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounded:
    """Something the persona said, played or pressed, and when it was queued to be sent."""

    what: str
    text: str
    at: float
    is_speech: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpSeen:
    """Packets of one call. `lost` never came, `out_of_order` came late, `duplicates` came more than once."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    out_of_order: int = 0
    duplicates: int = 0
    first_received_at: float | None = None
    last_received_at: float | None = None


@dataclass(slots=True, kw_only=True)
class Observation:
    """One call, filled while it lasts. `headers` are those of the INVITE as received; `caller` is the From URI.

    `wav` is the file of what was heard, beside the observation's own; its first sample arrived at
    `rtp.first_received_at`.
    """

    call_id: str
    dialled: str
    persona: str
    persona_number: str
    caller: str
    caller_display: str = ""
    request_uri: str = ""
    invited_at: float
    ringing_at: float | None = None
    answered_at: float | None = None
    acked_at: float | None = None
    ended_at: float | None = None
    ended_by: EndedBy | None = None
    end_reason: str = ""
    final_code: int | None = None
    codec: str = ""
    remote: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    messages: list[SipSeen] = field(default_factory=list)
    keys_heard: list[KeyHeard] = field(default_factory=list)
    sounded: list[Sounded] = field(default_factory=list)
    rtp: RtpSeen = field(default_factory=RtpSeen)
    heard_s: float = 0.0
    wav: str | None = None

    @property
    def keys(self) -> str:
        """The keys heard, in order."""
        return "".join(heard.key for heard in self.keys_heard)

    @property
    def keys_sent(self) -> str:
        """The keys the persona pressed, in order."""
        return "".join(sounded.text for sounded in self.sounded if sounded.what == "press")


def base_name(observation: Observation) -> str:
    """Return the name of the files of a call, without its ending: UTC time of the INVITE and a hash of the Call-ID."""
    at = datetime.fromtimestamp(observation.invited_at, UTC).strftime("%Y-%m-%d_%H-%M-%S.%f")[:-3]
    return f"{at}_{hashlib.sha256(observation.call_id.encode()).hexdigest()[:12]}"


def write_observation(directory: Path, observation: Observation, heard: bytes) -> Path:
    """Write the WAV (when anything was heard), then the JSON in one step; return the JSON's path.

    `heard` is little-endian sixteen bit samples at 8 kHz. A JSON file that exists is complete, and so is its WAV.
    """
    name = base_name(observation)
    if heard:
        observation.wav = f"{name}.wav"
        with wave.open(str(directory / observation.wav), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(heard)
    path = directory / f"{name}.json"
    unfinished = directory / f".{name}.json.part"
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(observation), indent=2))
    os.replace(unfinished, path)
    return path
