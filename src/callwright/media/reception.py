"""Legs as rows of arrays: what arrives on each one, counted (RFC 3550, appendix A), decoded and handed on.

Sound is only decoded for the rows that are listened to, and goes into the jitter buffer.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from callwright.media import g711, g722, rtp
from callwright.media.codec import COMFORT_NOISE_PAYLOAD, FRAME_SAMPLES, PLAIN_CODINGS, SAMPLE_RATE, Coding
from callwright.media.g711 import Octets, Pcm
from callwright.media.helper import HELPER, address
from callwright.media.jitter import LOUDEST, RING_FRAMES, JitterBuffer
from callwright.media.rates import Doubler, Halver

Floats = npt.NDArray[np.float64]

MAX_PACKET_SAMPLES = SAMPLE_RATE // 5
"""The longest packet whose sound is taken: 200 ms."""
_SEQUENCE_JUMP = 3000
_FEW = 8
"""So many packets are looked at one by one sooner than with arrays."""
_NOTHING = np.zeros(0, np.int64)
_NO_FRAMES: Pcm = np.zeros((0, FRAME_SAMPLES), np.int16)
# Looking a member up in its class takes longer than what is done with it.
_G722, _L16 = Coding.G722, Coding.L16
_STATIC = {0: Coding.ULAW, 8: Coding.ALAW}


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


class _Usual:
    """What the C helper does with the usual packets of a reception (`callwright/media/c/reception.c`): pointers to the
    arrays that both work on.
    """

    def __init__(self, library: ctypes.CDLL, reception: Reception, buffer: JitterBuffer) -> None:
        self._take = library.callwright_take
        self._arrays = [*reception.usual_arrays(), *buffer.usual_arrays(), g711.DECODE]
        pointers = [address(array) for array in self._arrays]
        numbers = (RING_FRAMES, PLAIN_CODINGS)
        self._structure = (ctypes.c_int64 * (len(pointers) + len(numbers)))(*pointers, *numbers)
        self._rest = np.zeros(0, np.int64)

    def take(self, rows: rtp.Ints, packets: rtp.U8, lengths: rtp.Ints, at: Floats) -> rtp.Ints:
        """Take the usual packets of a batch; return the indexes of the others."""
        rows, packets = np.ascontiguousarray(rows), np.ascontiguousarray(packets)
        lengths, at = np.ascontiguousarray(lengths), np.ascontiguousarray(at)
        if len(self._rest) < len(rows):
            self._rest = np.zeros(2 * len(rows), np.int64)
        left = self._take(
            self._structure,
            len(rows),
            *(ctypes.c_void_p(address(array)) for array in (rows, packets)),
            packets.shape[1],
            *(ctypes.c_void_p(address(array)) for array in (lengths, at, self._rest)),
        )
        return self._rest[:left].copy()


class Reception:
    """The receiving side of up to `capacity` legs. Packets are taken by the C helper, if there is one, as far as they
    are usual.
    """

    def __init__(self, capacity: int, helper: ctypes.CDLL | None = HELPER) -> None:
        self._coding = np.zeros(capacity, np.uint8)
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
        self._wide = _Wide(capacity) if g722.SPOKEN else None
        self.wide_rows = _NOTHING
        """Of the rows read last, those with 16,000 samples a second, in ascending order."""
        self.wide_frames: Pcm = np.zeros((0, 2 * FRAME_SAMPLES), np.int16)
        """Their frames at that rate."""
        self._usual = None if helper is None else _Usual(helper, self, self._buffer)

    def usual_arrays(self) -> tuple[npt.NDArray[np.generic], ...]:
        """What the C helper works on, in the order of its `struct reception`."""
        return (
            self._coding,
            self._payload_type,
            self._event_type,
            self._other_event_type,
            self._seen,
            self._ssrc,
            self._highest,
            self._received,
            self._jitter,
            self._transit,
            self._has_transit,
            self.last_at,
            self._listening,
        )

    def attach(self, row: int) -> None:
        """Give a row to a new leg."""
        for counts in (self._received, self._expected_before, self._ignored, self._jitter, self._first_at):
            counts[row] = 0
        self.last_at[row] = 0
        self._seen[row] = self._has_transit[row] = False
        self.listen(row, False)
        self._base[row] = self._highest[row] = 0

    def set_stream(self, row: int, *, coding: Coding, payload_type: int, event_types: tuple[int, ...]) -> None:
        """Choose what a row understands: the agreed payload type, and those that carry key events (two at most). The
        static payload types of both laws are always understood, as the far end may change between them.
        """
        changed = int(self._coding[row]) != coding
        self._coding[row], self._payload_type[row] = coding, payload_type
        kinds = (*event_types, -1, -1)
        self._event_type[row], self._other_event_type[row] = kinds[0], kinds[1]
        if changed and self._listening[row]:
            self._start(row)

    def listen(self, row: int, listening: bool) -> None:
        """Start or stop collecting a row's sound."""
        if listening == self._listening[row]:
            return
        if listening:
            self._start(row)
        self._listening[row] = listening
        self.listened = np.flatnonzero(self._listening)

    def understands(self, row: int, payload_type: int) -> bool:
        """Whether a payload type belongs to the row's stream."""
        return payload_type in (
            int(self._payload_type[row]),
            int(self._event_type[row]),
            int(self._other_event_type[row]),
            COMFORT_NOISE_PAYLOAD,
            *_STATIC,
        )

    def receive(self, rows: rtp.Ints, packets: rtp.U8, lengths: rtp.Ints, at: Floats | float) -> Heard:
        """Take a batch of datagrams, at most one per row; `rows` says whose each one is, `at` when they came."""
        at = np.broadcast_to(np.asarray(at, np.float64), len(rows))
        if self._usual is None:
            return self._receive(rows, packets, lengths, at)
        rest = self._usual.take(rows, packets, lengths, at)
        if 0 < len(rest) <= _FEW:
            begun = [self._begin(int(rows[i]), packets[i, : lengths[i]], float(at[i])) for i in rest.tolist()]
            rest = rest[np.logical_not(begun)]
        if not len(rest):
            return Heard(events=_NOTHING, unusual=_NOTHING)
        heard = self._receive(rows[rest], packets[rest], lengths[rest], at[rest])
        return Heard(events=rest[heard.events], unusual=rest[heard.unusual])

    def _begin(self, row: int, packet: rtp.U8, at: float) -> bool:
        """Take the first packet of a stream that nobody listens to, as `_receive` does; say whether it was one. There
        is one in every call, and for one alone arrays take ten times as long.
        """
        head = packet[: rtp.HEADER_BYTES].tobytes()
        if self._seen[row] or self._listening[row] or len(head) < rtp.HEADER_BYTES or head[0] != rtp.VERSION_BITS:
            return False
        kind = head[1] & 0x7F
        if kind != self._payload_type[row] or kind in (self._event_type[row], self._other_event_type[row]):
            return False
        self._seen[row] = self._has_transit[row] = True
        self._base[row] = self._highest[row] = int.from_bytes(head[2:4], "big")
        self._ssrc[row] = int.from_bytes(head[8:12], "big")
        self._transit[row] = (at * SAMPLE_RATE - int.from_bytes(head[4:8], "big")) % 2.0**32
        self._received[row] += 1
        self._first_at[row] = self.last_at[row] = at
        return True

    def _receive(self, rows: rtp.Ints, packets: rtp.U8, lengths: rtp.Ints, at: Floats) -> Heard:
        headers = rtp.parse_rows(packets, lengths)
        kind = headers.payload_type.astype(np.int16)
        agreed = kind == self._payload_type[rows]
        events = headers.rtp & ((kind == self._event_type[rows]) | (kind == self._other_event_type[rows]))
        sound = headers.rtp & ~events & (agreed | (kind == 0) | (kind == 8))
        pauses = headers.rtp & ~events & ~sound & (kind == COMFORT_NOISE_PAYLOAD)
        known = events | sound | pauses
        if not known.all():
            self._ignored[rows[~known]] += 1
        self._count(rows, headers, known, at)
        self._measure(rows, headers, sound, at)
        listening = self._listening[rows]
        plain = sound & listening & headers.plain
        coding = np.where(agreed, self._coding[rows], kind == 8).astype(np.uint8)
        for size in set(lengths[plain].tolist()):
            same = plain & (lengths == size)
            stamps = headers.timestamp[same].astype(np.int64)
            self._hear(rows[same], coding[same], packets[same, rtp.HEADER_BYTES : size], stamps)
        unusual = listening & (pauses | (sound & ~headers.plain))
        return Heard(events=np.flatnonzero(events), unusual=np.flatnonzero(unusual))

    def receive_unusual(self, row: int, packet: rtp.Packet) -> None:
        """Take one packet whose header is not the plain one, or that says how silence sounds; it is counted already."""
        coding: int | None = _STATIC.get(packet.payload_type)
        if packet.payload_type == self._payload_type[row]:
            coding = int(self._coding[row])
        if not packet.payload:
            return
        if coding is None:
            if packet.payload_type == COMFORT_NOISE_PAYLOAD:
                self._buffer_of(row).be_silent(row, packet.payload[0] & 0x7F)
            return
        octets = np.frombuffer(packet.payload, np.uint8).reshape(1, -1)
        self._hear(np.array([row]), np.array([coding], np.uint8), octets, np.array([packet.timestamp], np.int64))

    def frames(self, rows: rtp.Ints) -> Pcm:
        """Read the next 20 ms of the given rows, which must be listening; shaped (rows, 160)."""
        if not len(rows):
            self.wide_rows = _NOTHING
            return _NO_FRAMES
        wide = self._coding[rows] == _G722
        if self._wide is None or not wide.any():
            self.wide_rows = _NOTHING
            return self._buffer.frames(rows)
        self.wide_rows = rows[wide]
        self.wide_frames = self._wide.buffer.frames(self.wide_rows)
        frames = np.empty((len(rows), FRAME_SAMPLES), np.int16)
        frames[~wide] = self._buffer.frames(rows[~wide])
        frames[wide] = self._wide.halver.halve(self.wide_rows, self.wide_frames)
        return frames

    def _start(self, row: int) -> None:
        if self._wide is not None and self._coding[row] == _G722:
            self._wide.begin(row)
        else:
            self._buffer.start(row)

    def _buffer_of(self, row: int) -> JitterBuffer:
        wide = self._wide is not None and self._coding[row] == _G722
        return self._wide.buffer if wide and self._wide is not None else self._buffer

    def _hear(self, rows: rtp.Ints, coding: Octets, octets: Octets, timestamps: rtp.Ints) -> None:
        """Take the sound of packets of one length, of rows that are listened to; `coding` is that of each packet."""
        size = octets.shape[1]
        wide, linear = self._coding[rows] == _G722, coding == _L16
        plain = ~wide & ~linear
        if plain.any() and 0 < size <= MAX_PACKET_SAMPLES:
            self._buffer.place(rows[plain], timestamps[plain], g711.decode_rows(octets[plain], coding[plain]))
        if linear.any() and 0 < size <= 2 * MAX_PACKET_SAMPLES and size % 2 == 0:
            sound = np.ascontiguousarray(octets[linear]).view(">i2").astype(np.int16)
            self._buffer.place(rows[linear], timestamps[linear], np.maximum(sound, np.int16(-LOUDEST)))
        if self._wide is not None and wide.any() and 0 < size <= MAX_PACKET_SAMPLES:
            self._wide.hear(rows[wide], coding[wide], octets[wide], timestamps[wide])

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

    def _count(self, rows: rtp.Ints, headers: rtp.Headers, known: rtp.Bools, at: Floats) -> None:
        r = rows[known]
        sequence = headers.sequence[known].astype(np.int64)
        ssrc = headers.ssrc[known]
        fresh = ~self._seen[r]
        self._first_at[r[fresh]] = at[known][fresh]
        self.last_at[r] = at[known]
        highest = self._highest[r]
        step = (sequence - highest + 0x8000 & 0xFFFF) - 0x8000
        jumped = ~fresh & ((ssrc != self._ssrc[r]) | (np.abs(step) > _SEQUENCE_JUMP))
        if jumped.any():
            # A new source, or the old one restarted: what was expected so far stays in the books.
            j = r[jumped]
            self._expected_before[j] += self._highest[j] - self._base[j] + 1
            self._has_transit[j] = False
            self._buffer.lose_track(j)
            if self._wide is not None:
                self._wide.buffer.lose_track(j)
        anew = fresh | jumped
        self._base[r[anew]] = sequence[anew]
        self._highest[r] = np.where(anew, sequence, highest + np.maximum(step, 0))
        self._ssrc[r] = ssrc
        self._seen[r] = True
        self._received[r] += 1

    def _measure(self, rows: rtp.Ints, headers: rtp.Headers, sound: rtp.Bools, at: Floats) -> None:
        r = rows[sound]
        # On the timestamp's own wheel, so that its wrap is no jump.
        transit = (at[sound] * SAMPLE_RATE - headers.timestamp[sound].astype(np.float64)) % 2.0**32
        change = np.abs((transit - self._transit[r] + 2.0**31) % 2.0**32 - 2.0**31)
        usable = self._has_transit[r] & (change < SAMPLE_RATE)
        self._jitter[r] += np.where(usable, (change - self._jitter[r]) / 16.0, 0.0)
        self._transit[r] = transit
        self._has_transit[r] = True


class _Wide:
    """Rows with 16,000 samples a second: those whose agreed coding is G.722."""

    def __init__(self, capacity: int) -> None:
        self.buffer = JitterBuffer(capacity, 2 * FRAME_SAMPLES)
        self.halver = Halver(capacity)
        self._decoder = g722.Bank(capacity)
        self._doubler = Doubler(capacity)

    def begin(self, row: int) -> None:
        """Start a row anew."""
        self.buffer.start(row)
        for each in (self.halver, self._decoder, self._doubler):
            each.begin(row)

    def hear(self, rows: rtp.Ints, coding: Octets, octets: Octets, timestamps: rtp.Ints) -> None:
        """Take the sound of packets of one length. A far end may fall back to G.711 without saying so."""
        own = coding == _G722
        sound = np.empty((len(rows), 2 * octets.shape[1]), np.int16)
        sound[own] = self._decoder.decode(rows[own], octets[own])
        sound[~own] = self._doubler.double(rows[~own], g711.decode_rows(octets[~own], coding[~own]))
        # Two samples for each step of the clock, on the same wheel.
        self.buffer.place(rows, 2 * timestamps % 2**32, np.maximum(sound, np.int16(-LOUDEST)))
