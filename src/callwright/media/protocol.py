"""What a node and its media worker say to each other over a Unix socketpair.

Both directions carry frames: a length of four octets, most significant first, then a MessagePack array of messages.
Every message is a map with its kind under `t`. Legs, playbacks and recordings are numbered by the node.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from callwright.media.sounds import Sound
from callwright.values.errors import InternalError

LENGTH_BYTES = 4
MAX_FRAME_BYTES = 16 * 1024 * 1024


class Message(msgspec.Struct, tag_field="t", omit_defaults=True):
    """Base that gives every message the same wire shape."""


# From the node


class Configure(Message, tag="configure"):
    """First message: where to bind, the range of even RTP ports (last one excluded), when silence is reported."""

    host: str
    first_port: int
    end_port: int
    no_rtp_s: float


class OpenLeg(Message, tag="open"):
    leg: int


class ConnectLeg(Message, tag="connect"):
    """Start, or change, the stream of a leg. `coding` is the codec's name, `ptime_ms` the packet length the far
    end asks for; `tone_keys` says whether keys are also looked for in the sound; `signalled_by` is the host its SIP
    comes from, "" for an unknown one.
    """

    leg: int
    host: str
    port: int
    coding: str
    payload: int
    dtmf_payload: int | None
    send: bool
    receive: bool
    tone_keys: bool = False
    ptime_ms: int = 20
    signalled_by: str = ""


class Play(Message, tag="play"):
    leg: int
    playback: int
    sounds: list[Sound]


class StopPlayback(Message, tag="stop_playback"):
    leg: int
    playback: int


class SendKeys(Message, tag="keys"):
    leg: int
    digits: str


class Record(Message, tag="record"):
    """Record what the far end sends. Limits are seconds, 0 means none; `format` is alaw, ulaw or pcm16."""

    leg: int
    recording: int
    path: str
    max_duration_s: float
    max_silence_s: float
    max_initial_silence_s: float
    beep: bool
    format: str


class StopRecording(Message, tag="stop_recording"):
    leg: int
    recording: int


class RecordLeg(Message, tag="record_leg"):
    """Record the whole leg until it closes: in two audio channels, the far end left and we right, or `mixed` in one.
    With `mute_keys` keys are left out.
    """

    leg: int
    path: str
    mixed: bool = False
    mute_keys: bool = False


class JoinLegs(Message, tag="join"):
    """Let two legs of this worker hear each other. Keys pressed on one are sent on the other with `relay_keys`."""

    leg: int
    other: int
    relay_keys: bool = False


class PartLegs(Message, tag="part"):
    """End the joint of a leg, if it has one."""

    leg: int


class CloseLeg(Message, tag="close"):
    leg: int


class AskReport(Message, tag="ask_report"):
    pass


class Ping(Message, tag="ping"):
    """Answered by `Pong` as soon as the worker comes to it: a worker that does not is hung."""


Command = (
    Configure
    | OpenLeg
    | ConnectLeg
    | Play
    | StopPlayback
    | SendKeys
    | Record
    | StopRecording
    | RecordLeg
    | JoinLegs
    | PartLegs
    | CloseLeg
    | AskReport
    | Ping
)

# From the worker


class Ready(Message, tag="ready"):
    """The worker is configured; `legs` is how many it can hold."""

    legs: int


class Pong(Message, tag="pong"):
    pass


class LegOpened(Message, tag="opened"):
    leg: int
    port: int


class LegRefused(Message, tag="refused"):
    leg: int
    reason: str


class PlaybackDone(Message, tag="playback_done"):
    """`how` is finished, stopped, closed or failed; a failed one has played nothing and names `path` and `reason`."""

    leg: int
    playback: int
    how: str
    path: str = ""
    reason: str = ""


class KeyHeard(Message, tag="key"):
    """A key went down at the epoch time `at`; `duration_ms` is how long it was down when it was heard of."""

    leg: int
    key: str
    duration_ms: int
    at: float


class KeyReleased(Message, tag="key_released"):
    """The key that went down at `at` was let go after `duration_ms`."""

    leg: int
    key: str
    duration_ms: int
    at: float


class RtpLost(Message, tag="no_rtp"):
    leg: int
    seconds: float


class RecordingDone(Message, tag="recording_done"):
    """A recording's file is closed. `how` is max_duration, silence, stopped, ended (the leg closed) or failed."""

    leg: int
    recording: int
    path: str
    duration_s: float
    contains_sound: bool
    how: str
    reason: str = ""


class LegStats(msgspec.Struct, frozen=True, kw_only=True):
    """What happened on a leg's RTP. Times are epoch seconds, None when it never happened; `round_trip_ms` needs RTCP
    from the far end; `jitter_ms` is RFC 3550's estimate, blurred by our 10 ms reading rhythm without the C helper.
    """

    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    packets_ignored: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float | None = None
    first_rtp_at: float | None = None
    last_rtp_at: float | None = None
    remote_host: str = ""
    remote_port: int = 0

    def as_facts(self) -> dict[str, float]:
        """The figures that are known, by name."""
        figures = msgspec.structs.asdict(self)
        return {name: float(value) for name, value in figures.items() if isinstance(value, (int, float))}


class LegClosed(Message, tag="closed"):
    leg: int
    stats: LegStats


class WorkerReport(Message, tag="report"):
    """Figures since the start: ticks made, those more than 5 ms late, the worst lateness, CPU time used."""

    legs: int
    ticks: int
    late_ticks: int
    worst_late_ms: float
    cpu_s: float
    cached_sounds: int
    packets_sent: int
    packets_received: int


class Trouble(Message, tag="trouble"):
    """Something the node should log: a failing whole-leg recording, a full disk."""

    leg: int
    action: str
    text: str


Report = (
    Ready
    | Pong
    | LegOpened
    | LegRefused
    | PlaybackDone
    | KeyHeard
    | KeyReleased
    | RtpLost
    | RecordingDone
    | LegClosed
    | WorkerReport
    | Trouble
)

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(list[Command])
_reports = msgspec.msgpack.Decoder(list[Report])


def pack(messages: Sequence[Message]) -> bytes:
    """Render messages as one frame."""
    body = _encoder.encode(messages)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class Frames:
    """Cuts a byte stream into the bodies of frames, however it is chunked."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the frame bodies they complete; raise InternalError for an absurd length."""
        self._buffer += data
        bodies = []
        while len(self._buffer) >= LENGTH_BYTES:
            size = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if size > MAX_FRAME_BYTES:
                raise InternalError(f"a media frame claims {size} bytes; node and media worker are out of step")
            end = LENGTH_BYTES + size
            if len(self._buffer) < end:
                break
            bodies.append(bytes(self._buffer[LENGTH_BYTES:end]))
            del self._buffer[:end]
        return bodies


def read_commands(body: bytes) -> list[Command]:
    """Decode one frame from the node."""
    return _commands.decode(body)


def read_reports(body: bytes) -> list[Report]:
    """Decode one frame from a worker."""
    return _reports.decode(body)
