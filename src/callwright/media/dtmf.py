"""Telephone keys as RTP events (RFC 4733): one machine that sends them, one that hears them.

Sending: a key is a run of packets that share the timestamp at which it was pressed while their duration grows; the
last one has the end bit and goes out three times (section 2.5.1.4). A pause of plain audio follows each key.

Hearing: the timestamp names the key press, so repeated, reordered and late packets of it are one press. It is
reported twice: as it goes down, at the first packet of it that arrives, and exactly once as a whole: at its first end
packet, when the next press begins, or when no packet of it came for a while (all end packets lost). A key held longer
than the duration field can say goes on in a new segment (2.5.1.3).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from callwright.media.codec import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE
from callwright.media.rtp import signed_difference

KEYS = "0123456789*#ABCD"
"""Key by event number (RFC 4733, table 7)."""

END_BIT = 0x80
EVENT_BYTES = 4
VOLUME = 10
KEY_FRAMES = 5
PAUSE_FRAMES = 5
END_PACKETS = 3
LOST_END_S = 0.15
"""Longer than the 50 ms updates some senders use, twice lost; shorter than any pause between keys people make."""
_LONGEST_SEGMENT = 0xFFFF
_STALE_SAMPLES = 5 * SAMPLE_RATE


def is_key(character: str) -> bool:
    """Whether one character is a telephone key."""
    return len(character) == 1 and character in KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDown:
    """A key went down at the far end: when (the caller's clock, seconds), and for how long it was down when we heard
    of it.
    """

    key: str
    at: float
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPress:
    """A key the far end pressed: when (the caller's clock, seconds) and for how long."""

    key: str
    at: float
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPacket:
    """One packet to send instead of audio. `timestamp` is that of the key's beginning."""

    payload: bytes
    timestamp: int
    marker: bool


def event_payload(key: str, *, duration: int, end: bool) -> bytes:
    """Render the four octets of an event (section 2.3); `duration` in timestamp units."""
    return bytes((KEYS.index(key), (END_BIT if end else 0) | VOLUME)) + duration.to_bytes(2, "big")


class KeySender:
    """Turns queued keys into what each 20 ms tick has to send."""

    __slots__ = ("_began", "_frame", "_key", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._key = ""
        self._frame = 0
        self._began = 0

    def press(self, keys: str) -> None:
        """Queue keys; raise ValueError when one of them is not a telephone key."""
        if wrong := [key for key in keys if not is_key(key)]:
            raise ValueError(f"{wrong[0]!r} is not a telephone key; the keys are {KEYS}")
        self._waiting.extend(keys)

    def clear(self) -> None:
        """Forget the keys that wait; the one being sent is finished."""
        self._waiting.clear()

    @property
    def busy(self) -> bool:
        """Whether a key is being sent or waits to be."""
        return bool(self._key or self._waiting)

    def tick(self, timestamp: int) -> EventPacket | None:
        """The event packet of this tick, or None when audio (silence) is to be sent instead."""
        if not self._key:
            if not self._waiting:
                return None
            self._key, self._frame, self._began = self._waiting.popleft(), 0, timestamp
        frame, key = self._frame, self._key
        self._frame += 1
        if frame >= KEY_FRAMES - 1 + END_PACKETS + PAUSE_FRAMES:
            self._key = ""
            return self.tick(timestamp)
        if frame >= KEY_FRAMES - 1 + END_PACKETS:
            return None
        payload = event_payload(key, duration=min(frame + 1, KEY_FRAMES) * FRAME_SAMPLES, end=frame >= KEY_FRAMES - 1)
        return EventPacket(payload=payload, timestamp=self._began, marker=frame == 0)


@dataclass(slots=True, kw_only=True)
class _Press:
    key: str
    began: int
    segment: int
    duration: int
    at: float
    heard_at: float


class KeyReceiver:
    """Turns received event packets into key presses, each reported exactly once."""

    __slots__ = ("_ended", "_press", "_reported")

    def __init__(self) -> None:
        self._press: _Press | None = None
        self._ended: int | None = None
        self._reported: list[KeyDown | KeyPress] = []

    def receive(self, payload: bytes, timestamp: int, now: float, *, marker: bool = False) -> None:
        """An event packet arrived. Events that are not keys, and damaged packets, are ignored."""
        if len(payload) < EVENT_BYTES or payload[0] >= len(KEYS):
            return
        key, end, duration = KEYS[payload[0]], bool(payload[1] & END_BIT), int.from_bytes(payload[2:4], "big")
        if self._is_over(timestamp):
            return
        press = self._press
        if press is not None and timestamp != press.segment:
            step = signed_difference(timestamp, press.segment, 32)
            if key == press.key and not marker and 0 < step <= _LONGEST_SEGMENT <= step + FRAME_SAMPLES:
                press.segment, press.duration = timestamp, 0
            elif -_STALE_SAMPLES < step < 0:
                return
            else:
                self._report()
                press = None
        if press is None:
            press = self._press = _Press(
                key=key, began=timestamp, segment=timestamp, duration=0, at=now - duration / SAMPLE_RATE, heard_at=now
            )
            self._reported.append(KeyDown(key=key, at=press.at, duration_ms=duration * 1000 // SAMPLE_RATE))
        press.duration = max(press.duration, duration)
        press.heard_at = now
        if end:
            self._report()

    def wake(self, now: float) -> None:
        """Time passed: a press that has not been heard of for a while is over."""
        if self._press is not None and now >= self._press.heard_at + LOST_END_S:
            self._report()

    def wake_at(self) -> float | None:
        """When `wake` has something to do."""
        return None if self._press is None else self._press.heard_at + LOST_END_S

    def finish(self) -> None:
        """The leg ends: a press that is still down is over."""
        self._report()

    def take_events(self) -> list[KeyDown | KeyPress]:
        """What happened since the last time, in order: every press is a `KeyDown` and, later, a `KeyPress`."""
        reported, self._reported = self._reported, []
        return reported

    def take_presses(self) -> list[KeyPress]:
        """The presses that ended since the last time, for those who do not care when they began."""
        return [event for event in self.take_events() if isinstance(event, KeyPress)]

    def _is_over(self, timestamp: int) -> bool:
        """Whether a packet belongs to a press reported before. A sender that restarts its clock is heard again."""
        if self._ended is None:
            return False
        step = signed_difference(timestamp, self._ended, 32)
        return -_STALE_SAMPLES < step <= 0

    def _report(self) -> None:
        press, self._press = self._press, None
        if press is None:
            return
        self._ended = press.segment
        samples = signed_difference(press.segment, press.began, 32) + press.duration
        duration_ms = max(samples * 1000 // SAMPLE_RATE, FRAME_MS)
        self._reported.append(KeyPress(key=press.key, at=press.at, duration_ms=duration_ms))
