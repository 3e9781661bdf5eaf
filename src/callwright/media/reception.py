"""Legs as rows of arrays: what arrives on each one, counted (RFC 3550, appendix A) and put in order.

Sound is only decoded for the rows that are listened to. It goes into a ring of 640 ms per leg at the place its
timestamp says, and is read 60 ms behind: late, doubled and swapped packets need no further care, and a lost one
leaves silence. When the far end's clock jumps or drifts away the reading point follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from callwright.media import g711, rtp
from callwright.media.codec import FRAME_SAMPLES, SAMPLE_RATE
from callwright.media.g711 import DECODE, Law, Pcm

RING_FRAMES = 32
DELAY_FRAMES = 3
_RING_SAMPLES = RING_FRAMES * FRAME_SAMPLES
_DELAY_SAMPLES = DELAY_FRAMES * FRAME_SAMPLES
_FAR_AHEAD_SAMPLES = 16 * FRAME_SAMPLES
_LATE_IN_A_ROW = 3
_SEQUENCE_JUMP = 3000
_STATIC_LAW = {0: Law.ULAW, 8: Law.ALAW}
_DRIFT_FRAMES = 100


@dataclass(frozen=True, slots=True)
class Heard:
    """Indexes into a batch that need a look one by one: key events, and packets with unusual headers or lengths."""

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
        self._synced = np.zeros(capacity, np.bool_)
        self._ring = np.zeros((capacity, RING_FRAMES, FRAME_SAMPLES), np.int16)
        self._read_frame = np.zeros(capacity, np.int64)
        self._read_timestamp = np.zeros(capacity, np.int64)
        self._late = np.zeros(capacity, np.int64)
        self._least_lead = np.full(capacity, _RING_SAMPLES, np.int64)
        self._ticks = 0

    def attach(self, row: int) -> None:
        """Give a row to a new leg."""
        for counts in (self._received, self._expected_before, self._ignored, self._jitter, self._first_at):
            counts[row] = 0
        self.last_at[row] = 0
        self._seen[row] = self._has_transit[row] = self._listening[row] = self._synced[row] = False
        self._base[row] = self._highest[row] = self._late[row] = 0

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
            self._synced[row] = False
            self._ring[row] = 0
        self._listening[row] = listening

    def understands(self, row: int, payload_type: int) -> bool:
        """Whether a payload type belongs to the row's stream."""
        return payload_type in (
            int(self._payload_type[row]),
            int(self._event_type[row]),
            int(self._other_event_type[row]),
            *_STATIC_LAW,
        )

    def receive(self, rows: rtp.Ints, packets: rtp.U8, lengths: rtp.Ints, now: float) -> Heard:
        """Take a batch of datagrams, at most one per row; `rows` says whose each one is."""
        headers = rtp.parse_rows(packets, lengths)
        kind = headers.payload_type.astype(np.int16)
        agreed = kind == self._payload_type[rows]
        events = headers.rtp & ((kind == self._event_type[rows]) | (kind == self._other_event_type[rows]))
        sound = headers.rtp & ~events & (agreed | (kind == 0) | (kind == 8))
        known = events | sound
        if not known.all():
            self._ignored[rows[~known]] += 1
        self._count(rows, headers, known, now)
        self._measure(rows, headers, sound, now)
        heard = sound & self._listening[rows]
        whole = heard & headers.plain & (lengths == rtp.HEADER_BYTES + FRAME_SAMPLES)
        if whole.any():
            law = np.where(agreed, self._law[rows], kind == 8).astype(np.uint8)[whole]
            octets = packets[whole, rtp.HEADER_BYTES : rtp.HEADER_BYTES + FRAME_SAMPLES]
            self._place(rows[whole], headers.timestamp[whole].astype(np.int64), DECODE[law[:, None], octets])
        return Heard(events=np.flatnonzero(events), unusual=np.flatnonzero(heard & ~whole))

    def receive_unusual(self, row: int, packet: rtp.Packet) -> None:
        """Take the sound of one packet whose header or length is not the usual one; it is counted already."""
        law = Law(int(self._law[row])) if packet.payload_type == self._payload_type[row] else None
        law = law if law is not None else _STATIC_LAW.get(packet.payload_type)
        if law is None or not packet.payload:
            return
        pcm = g711.decode(np.frombuffer(packet.payload, np.uint8), law)
        rows, timestamp = np.array([row]), np.array([packet.timestamp], np.int64)
        self._place(rows, timestamp, pcm[None, :_RING_SAMPLES])

    def frames(self, rows: rtp.Ints) -> Pcm:
        """Read the next 20 ms of the given rows, which must be listening; shaped (rows, 160)."""
        at = self._read_frame[rows]
        sound = self._ring[rows, at]
        self._ring[rows, at] = 0
        self._read_frame[rows] = (at + 1) % RING_FRAMES
        self._read_timestamp[rows] += FRAME_SAMPLES
        self._ticks += 1
        if self._ticks % _DRIFT_FRAMES == 0:
            self._follow_drift(rows)
        return sound

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
            self._has_transit[j] = self._synced[j] = False
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

    def _place(self, rows: rtp.Ints, timestamps: rtp.Ints, sound: Pcm) -> None:
        length = sound.shape[1]
        lead = (timestamps - self._read_timestamp[rows] + 2**31) % 2**32 - 2**31
        late = self._synced[rows] & (lead < 0)
        self._late[rows] = np.where(late, self._late[rows] + 1, 0)
        resync = ~self._synced[rows] | (lead + length > _RING_SAMPLES) | (self._late[rows] >= _LATE_IN_A_ROW)
        if resync.any():
            r = rows[resync]
            self._ring[r] = 0
            self._read_frame[r] = 0
            self._read_timestamp[r] = timestamps[resync] - _DELAY_SAMPLES
            self._synced[r] = True
            self._late[r] = 0
            self._least_lead[r] = _RING_SAMPLES
            lead = np.where(resync, _DELAY_SAMPLES, lead)
        self._least_lead[rows] = np.minimum(self._least_lead[rows], np.maximum(lead, 0))
        fits = lead >= 0
        if length == FRAME_SAMPLES:
            aligned = fits & (lead % FRAME_SAMPLES == 0)
            r = rows[aligned]
            self._ring[r, (self._read_frame[r] + lead[aligned] // FRAME_SAMPLES) % RING_FRAMES] = sound[aligned]
            fits &= ~aligned
        if fits.any():
            r = rows[fits]
            start = self._read_frame[r] * FRAME_SAMPLES + lead[fits]
            at = (start[:, None] + np.arange(length)) % _RING_SAMPLES
            self._ring.reshape(len(self._ring), -1)[r[:, None], at] = sound[fits]

    def _follow_drift(self, rows: rtp.Ints) -> None:
        """Where packets have been waiting long for two seconds, leave a frame out: the far end's clock is faster."""
        far = rows[self._synced[rows] & (self._least_lead[rows] > _FAR_AHEAD_SAMPLES)]
        far = far[self._least_lead[far] < _RING_SAMPLES]
        self._ring[far, self._read_frame[far]] = 0
        self._read_frame[far] = (self._read_frame[far] + 1) % RING_FRAMES
        self._read_timestamp[far] += FRAME_SAMPLES
        self._least_lead[rows] = _RING_SAMPLES
