"""Legs as rows of arrays: what arrives on each one, counted (RFC 3550, appendix A), decoded and handed on.

Sound is only decoded for the rows that are listened to, and goes into the jitter buffer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from callwright.media import g711, rtp
from callwright.media.codec import COMFORT_NOISE_PAYLOAD, SAMPLE_RATE
from callwright.media.g711 import Law, Pcm
from callwright.media.jitter import JitterBuffer

MAX_PACKET_SAMPLES = SAMPLE_RATE // 5
"""The longest packet whose sound is taken: 200 ms."""
_SEQUENCE_JUMP = 3000
_STATIC_LAW = {0: Law.ULAW, 8: Law.ALAW}


@dataclass(frozen=True, slots=True)
class Heard:
    """Indexes into a batch that need a look one by one: key events, and packets with unusual headers or contents."""

    events: rtp.Ints
    unusual: rtp.Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A leg's reception so far; `highest` is the extended highest sequence number, times are the caller's clock."""

    ssrc: int
    received: int
    expected: int
    lost: int
    ignored: int
    highest: int
    jitter_samples: float
    first_at: float | None
    last_at: float | None


class Reception:
    """The receiving side of up to `capacity` legs."""

    def __init__(self, capacity: int) -> None:
        self._law = np.zeros(capacity, np.uint8)
        self._payload_type = np.zeros(capacity, np.int16)
        self._event_type = np.full(capacity, -1, np.int16)
        self._other_event_type = np.full(capacity, -1, np.int16)
        self._seen = np.zeros(capacity, np.bool_)
        self._ssrc = np.zeros(capacity, np.uint32)
        self._base = np.zeros(capacity, np.int64)
        self._highest = np.zeros(capacity, np.int64)
        self._received = np.zeros(capacity, np.int64)
        self._expected_before = np.zeros(capacity, np.int64)
        self._ignored = np.zeros(capacity, np.int64)
        self._jitter = np.zeros(capacity, np.float64)
        self._transit = np.zeros(capacity, np.float64)
        self._has_transit = np.zeros(capacity, np.bool_)
        self._first_at = np.zeros(capacity, np.float64)
        self.last_at = np.zeros(capacity, np.float64)
        self._listening = np.zeros(capacity, np.bool_)
        self.listened = np.zeros(0, np.int64)
        """The rows whose sound is collected, in ascending order."""
        self._buffer = JitterBuffer(capacity)

    def attach(self, row: int) -> None:
        """Give a row to a new leg."""
        for counts in (self._received, self._expected_before, self._ignored, self._jitter, self._first_at):
            counts[row] = 0
        self.last_at[row] = 0
        self._seen[row] = self._has_transit[row] = False
        self.listen(row, False)
        self._base[row] = self._highest[row] = 0

    def set_stream(self, row: int, *, law: Law, payload_type: int, event_types: tuple[int, ...]) -> None:
        """Choose what a row understands: the agreed payload type, and those that carry key events (two at most). The
        static payload types of both laws are always understood, as the far end may change between them.
        """
        self._law[row], self._payload_type[row] = law, payload_type
        kinds = (*event_types, -1, -1)
        self._event_type[row], self._other_event_type[row] = kinds[0], kinds[1]

    def listen(self, row: int, listening: bool) -> None:
        """Start or stop collecting a row's sound."""
        if listening and not self._listening[row]:
            self._buffer.start(row)
        self._listening[row] = listening
        self.listened = np.flatnonzero(self._listening)

    def understands(self, row: int, payload_type: int) -> bool:
        """Whether a payload type belongs to the row's stream."""
        return payload_type in (
            int(self._payload_type[row]),
            int(self._event_type[row]),
            int(self._other_event_type[row]),
            COMFORT_NOISE_PAYLOAD,
            *_STATIC_LAW,
        )

    def receive(self, rows: rtp.Ints, packets: rtp.U8, lengths: rtp.Ints, now: float) -> Heard:
        """Take a batch of datagrams, at most one per row; `rows` says whose each one is."""
        headers = rtp.parse_rows(packets, lengths)
        kind = headers.payload_type.astype(np.int16)
        agreed = kind == self._payload_type[rows]
        events = headers.rtp & ((kind == self._event_type[rows]) | (kind == self._other_event_type[rows]))
        sound = headers.rtp & ~events & (agreed | (kind == 0) | (kind == 8))
        pauses = headers.rtp & ~events & ~sound & (kind == COMFORT_NOISE_PAYLOAD)
        known = events | sound | pauses
        if not known.all():
            self._ignored[rows[~known]] += 1
        self._count(rows, headers, known, now)
        self._measure(rows, headers, sound, now)
        listening = self._listening[rows]
        plain = sound & listening & headers.plain
        for size in np.unique(lengths[plain]).tolist():
            samples = size - rtp.HEADER_BYTES
            if not 0 < samples <= MAX_PACKET_SAMPLES:
                continue
            same = plain & (lengths == size)
            law = np.where(agreed, self._law[rows], kind == 8).astype(np.uint8)[same]
            octets = packets[same, rtp.HEADER_BYTES : size]
            self._buffer.place(rows[same], headers.timestamp[same].astype(np.int64), g711.decode_rows(octets, law))
        unusual = listening & (pauses | (sound & ~headers.plain))
        return Heard(events=np.flatnonzero(events), unusual=np.flatnonzero(unusual))

    def receive_unusual(self, row: int, packet: rtp.Packet) -> None:
        """Take one packet whose header is not the plain one, or that says how silence sounds; it is counted already."""
        law = Law(int(self._law[row])) if packet.payload_type == self._payload_type[row] else None
        law = law if law is not None else _STATIC_LAW.get(packet.payload_type)
        if not packet.payload:
            return
        if law is None:
            if packet.payload_type == COMFORT_NOISE_PAYLOAD:
                self._buffer.be_silent(row, packet.payload[0] & 0x7F)
            return
        pcm = g711.decode(np.frombuffer(packet.payload[:MAX_PACKET_SAMPLES], np.uint8), law)
        self._buffer.place(np.array([row]), np.array([packet.timestamp], np.int64), pcm[None])

    def frames(self, rows: rtp.Ints) -> Pcm:
        """Read the next 20 ms of the given rows, which must be listening; shaped (rows, 160)."""
        return self._buffer.frames(rows)

    def counts(self, row: int) -> Counts:
        """A row's figures."""
        seen = bool(self._seen[row])
        expected = int(self._expected_before[row]) + (int(self._highest[row] - self._base[row]) + 1 if seen else 0)
        received = int(self._received[row])
        return Counts(
            ssrc=int(self._ssrc[row]),
            received=received,
            expected=expected,
            lost=max(expected - received, 0),
            ignored=int(self._ignored[row]),
            highest=int(self._highest[row]),
            jitter_samples=float(self._jitter[row]),
            first_at=float(self._first_at[row]) if seen else None,
            last_at=float(self.last_at[row]) if seen else None,
        )

    def _count(self, rows: rtp.Ints, headers: rtp.Headers, known: rtp.Bools, now: float) -> None:
        r = rows[known]
        sequence = headers.sequence[known].astype(np.int64)
        ssrc = headers.ssrc[known]
        fresh = ~self._seen[r]
        self._first_at[r[fresh]] = now
        self.last_at[r] = now
        highest = self._highest[r]
        step = (sequence - highest + 0x8000 & 0xFFFF) - 0x8000
        jumped = ~fresh & ((ssrc != self._ssrc[r]) | (np.abs(step) > _SEQUENCE_JUMP))
        if jumped.any():
            # A new source, or the old one restarted: what was expected so far stays in the books.
            j = r[jumped]
            self._expected_before[j] += self._highest[j] - self._base[j] + 1
            self._has_transit[j] = False
            self._buffer.lose_track(j)
        anew = fresh | jumped
        self._base[r[anew]] = sequence[anew]
        self._highest[r] = np.where(anew, sequence, highest + np.maximum(step, 0))
        self._ssrc[r] = ssrc
        self._seen[r] = True
        self._received[r] += 1

    def _measure(self, rows: rtp.Ints, headers: rtp.Headers, sound: rtp.Bools, now: float) -> None:
        r = rows[sound]
        # On the timestamp's own wheel, so that its wrap is no jump.
        transit = (now * SAMPLE_RATE - headers.timestamp[sound].astype(np.float64)) % 2.0**32
        change = np.abs((transit - self._transit[r] + 2.0**31) % 2.0**32 - 2.0**31)
        usable = self._has_transit[r] & (change < SAMPLE_RATE)
        self._jitter[r] += np.where(usable, (change - self._jitter[r]) / 16.0, 0.0)
        self._transit[r] = transit
        self._has_transit[r] = True
