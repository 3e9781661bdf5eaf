"""Legs as rows of arrays: what each one sends in a 20 ms tick.

Every connected leg sends one packet per tick, silence when nothing plays. What a leg plays is a position in the
arena of frames, a step (1 for sound, 0 for standing on the silence row) and the number of frames left; when none are
left the row is reported and falls back to silence.
"""

from __future__ import annotations

import numpy as np

from callwright.media import g711, g722, rtp
from callwright.media.arena import ROW_OCTETS, ROWS_OF_FRAME, Arena, silence_row
from callwright.media.codec import FRAME_OCTETS, FRAME_SAMPLES, PLAIN_CODINGS, Coding
from callwright.media.g711 import ENCODE, Pcm
from callwright.media.rates import Doubler, Halver

PACKET_BYTES = rtp.HEADER_BYTES + max(FRAME_OCTETS)
_SILENCE = np.array([silence_row(coding) for coding in Coding])
_ROWS = np.array(ROWS_OF_FRAME)
_OCTETS = np.array(FRAME_OCTETS, np.int32)
# Looking a member up in its class takes longer than what is done with it.
_ULAW, _G722, _L16 = Coding.ULAW, Coding.G722, Coding.L16


class Playout:
    """The sending side of up to `capacity` legs."""

    def __init__(self, capacity: int, arena: Arena) -> None:
        self._arena = arena
        self.packets = np.zeros((capacity, PACKET_BYTES), np.uint8)
        """After a tick, row i is the packet of the i-th sending leg, `lengths[i]` octets of it."""
        self.lengths = np.zeros(0, np.int32)
        self.rows = np.zeros(0, np.int64)
        """The legs that sent in the last tick, in the order of `packets`."""
        self.sent = np.zeros(capacity, np.int64)
        self.timestamp = np.zeros(capacity, np.uint32)
        self.sequence = np.zeros(capacity, np.uint16)
        self.ssrc = np.zeros(capacity, np.uint32)
        self.coding = np.zeros(capacity, np.uint8)
        self._wide = _Wide(capacity) if g722.SPOKEN else None
        self._alike = True
        self._stale = False
        self._sending = np.zeros(capacity, np.bool_)
        self._payload_type = np.zeros(capacity, np.uint8)
        self._marker = np.zeros(capacity, np.bool_)
        self._position = np.zeros(capacity, np.int64)
        self._step = np.zeros(capacity, np.int64)
        self._left = np.zeros(capacity, np.int64)
        self._idle = np.zeros(0, np.bool_)
        self.packets[:, 0] = rtp.VERSION_BITS

    def attach(self, row: int, *, ssrc: int, sequence: int, timestamp: int) -> None:
        """Give a row to a new leg; its three numbers are chosen at random by the caller (RFC 3550, 5.1)."""
        self.ssrc[row], self.sequence[row], self.timestamp[row] = ssrc, sequence, timestamp
        self.sent[row] = 0
        self._left[row] = self._step[row] = 0
        self._position[row] = _SILENCE[_ULAW]
        self._sending[row] = False

    def set_stream(self, row: int, *, coding: Coding, payload_type: int, sending: bool) -> None:
        """Choose how a row is sent. What was playing stops: its frames may be of another coding."""
        self.coding[row], self._payload_type[row] = coding, payload_type
        self.rest(row)
        if self._wide is not None and coding is _G722:
            self._wide.begin(row)
        if sending != self._sending[row]:
            self._sending[row] = sending
            self._marker[row] = sending
        self._stale = True

    def detach(self, row: int) -> None:
        """The leg is gone."""
        self._sending[row] = False
        self._left[row] = 0
        self._stale = True

    def play(self, row: int, start: int, frames: int) -> None:
        """Send `frames` frames of the arena from `start` on."""
        self._position[row], self._step[row], self._left[row] = start, _ROWS[self.coding[row]], frames

    def wait(self, row: int, frames: int) -> None:
        """Send silence for a number of frames, and report the row at their end."""
        self._position[row], self._step[row], self._left[row] = _SILENCE[self.coding[row]], 0, frames

    def rest(self, row: int) -> int:
        """Send silence until told otherwise; return how many frames of what was playing were left."""
        left = int(self._left[row])
        self._position[row], self._step[row], self._left[row] = _SILENCE[self.coding[row]], 0, 0
        return left

    def tick(self) -> rtp.Ints:
        """Build every leg's packet and move on; return the rows that have now sent their last frame."""
        if self._stale:
            self._renew()
        rows = self.rows
        packets = self.packets[: len(rows)]
        packets[:, rtp.HEADER_BYTES : rtp.HEADER_BYTES + ROW_OCTETS] = self._arena.frames[self._position[rows]]
        if not self._alike:
            longer = np.flatnonzero(self.coding[rows] == _L16)
            packets[longer, rtp.HEADER_BYTES + ROW_OCTETS :] = self._arena.frames[self._position[rows[longer]] + 1]
        rtp.stamp_rows(packets, self._payload_type[rows], self.sequence[rows], self.timestamp[rows], self._marker[rows])
        packets[:, 8:12] = self.ssrc[rows].astype(">u4").view(np.uint8).reshape(-1, 4)
        self._marker[rows] = False
        self.sequence[rows] += np.uint16(1)
        self.timestamp[rows] += np.uint32(FRAME_SAMPLES)
        self.sent[rows] += 1
        self._position[rows] += self._step[rows]
        left = self._left[rows]
        self._idle = left == 0
        self._left[rows] = np.maximum(left - 1, 0)
        ended = np.asarray(rows[left == 1], np.int64)
        self._position[ended], self._step[ended] = _SILENCE[self.coding[ended]], 0
        return ended

    def place_of(self, row: int) -> int | None:
        """Which packet of the last tick is this row's, None when it does not send."""
        at = int(np.searchsorted(self.rows, row))
        return at if at < len(self.rows) and self.rows[at] == row else None

    def packet(self, at: int) -> rtp.Packet:
        """The `at`-th packet of the last tick, as a value."""
        packet = rtp.parse(self.packets[at, : self.lengths[at]].tobytes())
        assert packet is not None
        return packet

    def sent_instead(self, row: int, packets: int) -> None:
        """So many packets were sent for this row in the last tick, in place of the one that `tick` built."""
        self.sequence[row] = (int(self.sequence[row]) + packets - 1) & 0xFFFF
        self.sent[row] += packets - 1

    def overlay(self, rows: rtp.Ints, frames: Pcm) -> None:
        """Put a frame of sound into each of the packets that `tick` built for these rows, where nothing is played.
        Frames have 160 samples, or 320 for rows whose coding is G.722; all rows of a call are of one kind.
        """
        index = np.minimum(np.searchsorted(self.rows, rows), max(len(self.rows) - 1, 0))
        if not len(self.rows):
            return
        taken = (self.rows[index] == rows) & self._idle[index]
        index, rows, samples = index[taken], rows[taken], np.ascontiguousarray(frames[taken])
        first = rtp.HEADER_BYTES
        if samples.shape[1] != FRAME_SAMPLES:
            assert self._wide is not None
            self.packets[index, first : first + ROW_OCTETS] = self._wide.sent.encode(rows, samples)
            return
        coding = self.coding[rows]
        if self._alike:
            coded = ENCODE[coding[:, None], samples.view(np.uint16)]
            self.packets[index, first : first + ROW_OCTETS] = coded
            return
        plain, linear, wide = coding < PLAIN_CODINGS, coding == _L16, coding == _G722
        coded = ENCODE[coding[plain][:, None], samples[plain].view(np.uint16)]
        self.packets[index[plain], first : first + ROW_OCTETS] = coded
        self.packets[index[linear], first:] = (
            samples[linear].astype(">i2").view(np.uint8).reshape(-1, 2 * FRAME_SAMPLES)
        )
        if self._wide is not None and wide.any():
            doubled = self._wide.doubler.double(rows[wide], samples[wide])
            self.packets[index[wide], first : first + ROW_OCTETS] = self._wide.sent.encode(rows[wide], doubled)

    def skip(self, ticks: int) -> None:
        """Ticks were missed: timestamps move on without packets (RFC 3550, 5.1: they follow the sampling clock)."""
        self.timestamp[self._sending] += np.uint32(FRAME_SAMPLES * ticks)

    def sound_sent(self, rows: rtp.Ints) -> Pcm:
        """What the given rows sent in the last tick, shaped (rows, 160); zeros for those that do not send."""
        sound = np.zeros((len(rows), FRAME_SAMPLES), np.int16)
        if len(self.rows) == 0:
            return sound
        index = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        present = self.rows[index] == rows
        index, rows = index[present], rows[present]
        first = rtp.HEADER_BYTES
        octets = self.packets[index, first : first + ROW_OCTETS]
        if self._alike:
            sound[present] = g711.decode_rows(octets, self.coding[rows])
            return sound
        coding = self.coding[rows]
        plain, linear, wide = coding < PLAIN_CODINGS, coding == _L16, coding == _G722
        into = np.flatnonzero(present)
        sound[into[plain]] = g711.decode_rows(octets[plain], coding[plain])
        sound[into[linear]] = np.ascontiguousarray(self.packets[index[linear], first:]).view(">i2")
        if self._wide is not None and wide.any():
            heard = self._wide.heard.decode(rows[wide], octets[wide])
            sound[into[wide]] = self._wide.halver.halve(rows[wide], heard)
        return sound

    def octets(self, row: int) -> int:
        """How many octets of sound a packet of this row carries."""
        return FRAME_OCTETS[self.coding[row]]

    def _renew(self) -> None:
        """Take note of who sends in which coding. Once a tick is enough, however many legs came and went."""
        self._stale = False
        self.rows = np.flatnonzero(self._sending)
        coding = self.coding[self.rows]
        self.lengths = rtp.HEADER_BYTES + _OCTETS[coding]
        self._alike = bool((coding < PLAIN_CODINGS).all())


class _Wide:
    """What rows that send G.722 need: the encoder of what passes through, and the way back for recordings."""

    def __init__(self, capacity: int) -> None:
        self.sent = g722.Bank(capacity)
        self.heard = g722.Bank(capacity)
        self.doubler = Doubler(capacity)
        self.halver = Halver(capacity)

    def begin(self, row: int) -> None:
        """Start a row anew."""
        self.sent.begin_behind_silence(row)
        for each in (self.heard, self.doubler, self.halver):
            each.begin(row)
