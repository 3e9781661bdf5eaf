"""Legs as rows of arrays: what each one sends in a 20 ms tick.

Every connected leg sends one packet per tick, silence when nothing plays. What a leg plays is a position in the
arena of frames, a step (1 for sound, 0 for standing on the silence row) and the number of frames left; when none are
left the row is reported and falls back to silence.
"""

from __future__ import annotations

import numpy as np

from callwright.media import g711, rtp
from callwright.media.arena import Arena
from callwright.media.codec import FRAME_SAMPLES
from callwright.media.g711 import ENCODE, Law, Pcm

PACKET_BYTES = rtp.HEADER_BYTES + FRAME_SAMPLES


class Playout:
    """The sending side of up to `capacity` legs."""

    def __init__(self, capacity: int, arena: Arena) -> None:
        self._arena = arena
        self.packets = np.zeros((capacity, PACKET_BYTES), np.uint8)
        """After a tick, row i is the packet of the i-th sending leg."""
        self.rows = np.zeros(0, np.int64)
        """The legs that send, in the order of `packets`."""
        self.sent = np.zeros(capacity, np.int64)
        self.timestamp = np.zeros(capacity, np.uint32)
        self.sequence = np.zeros(capacity, np.uint16)
        self.ssrc = np.zeros(capacity, np.uint32)
        self.law = np.zeros(capacity, np.uint8)
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
        self._position[row] = Law.ULAW
        self._sending[row] = False

    def set_stream(self, row: int, *, law: Law, payload_type: int, sending: bool) -> None:
        """Choose how a row is sent. What was playing stops: its frames may be of the other law."""
        self.law[row], self._payload_type[row] = law, payload_type
        self.rest(row)
        if sending != self._sending[row]:
            self._sending[row] = sending
            self._marker[row] = sending
            self.rows = np.flatnonzero(self._sending)

    def detach(self, row: int) -> None:
        """The leg is gone."""
        self._sending[row] = False
        self._left[row] = 0
        self.rows = np.flatnonzero(self._sending)

    def play(self, row: int, start: int, frames: int) -> None:
        """Send `frames` frames of the arena from `start` on."""
        self._position[row], self._step[row], self._left[row] = start, 1, frames

    def wait(self, row: int, frames: int) -> None:
        """Send silence for a number of frames, and report the row at their end."""
        self._position[row], self._step[row], self._left[row] = self.law[row], 0, frames

    def rest(self, row: int) -> int:
        """Send silence until told otherwise; return how many frames of what was playing were left."""
        left = int(self._left[row])
        self._position[row], self._step[row], self._left[row] = self.law[row], 0, 0
        return left

    def tick(self) -> rtp.Ints:
        """Build every leg's packet and move on; return the rows that have now sent their last frame."""
        rows = self.rows
        packets = self.packets[: len(rows)]
        packets[:, rtp.HEADER_BYTES :] = self._arena.frames[self._position[rows]]
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
        self._position[ended], self._step[ended] = self.law[ended], 0
        return ended

    def overlay(self, rows: rtp.Ints, frames: Pcm) -> None:
        """Put a frame of sound into each of the packets that `tick` built for these rows, where nothing is played."""
        index = np.minimum(np.searchsorted(self.rows, rows), max(len(self.rows) - 1, 0))
        if not len(self.rows):
            return
        taken = (self.rows[index] == rows) & self._idle[index]
        samples = np.ascontiguousarray(frames[taken]).view(np.uint16)
        self.packets[index[taken], rtp.HEADER_BYTES :] = ENCODE[self.law[rows[taken]][:, None], samples]

    def skip(self, ticks: int) -> None:
        """Ticks were missed: timestamps move on without packets (RFC 3550, 5.1: they follow the sampling clock)."""
        self.timestamp[self.rows] += np.uint32(FRAME_SAMPLES * ticks)

    def sound_sent(self, rows: rtp.Ints) -> Pcm:
        """What the given rows sent in the last tick, shaped (rows, 160); zeros for those that do not send."""
        sound = np.zeros((len(rows), FRAME_SAMPLES), np.int16)
        if len(self.rows) == 0:
            return sound
        index = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        present = self.rows[index] == rows
        octets = self.packets[index[present], rtp.HEADER_BYTES :]
        sound[present] = g711.decode_rows(octets, self.law[rows[present]])
        return sound
