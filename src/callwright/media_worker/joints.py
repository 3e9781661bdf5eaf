"""Pairs of legs that hear each other: what one receives is what the other sends, wherever nothing else is played."""

from __future__ import annotations

import numpy as np

from callwright.media.codec import Coding
from callwright.media.g711 import Pcm
from callwright.media.matrix import Playout
from callwright.media.rtp import Ints
from callwright.media_worker.leg import Leg


class Joints:
    """Which legs are joined; two at a time, both of this worker."""

    def __init__(self, playout: Playout) -> None:
        self._playout = playout
        self._pairs: dict[int, int] = {}
        self._rows = self._partners = np.zeros(0, np.int64)

    def join(self, leg: Leg, other: Leg) -> None:
        """Let two legs hear each other. Neither may be joined already."""
        leg.partner, other.partner = other, leg
        self._pairs[leg.row], self._pairs[other.row] = other.row, leg.row
        self._renew()

    def part(self, leg: Leg) -> Leg | None:
        """End a leg's joint; return the other one, None when it had none."""
        other = leg.partner
        if other is not None:
            leg.partner = other.partner = None
            del self._pairs[leg.row], self._pairs[other.row]
            self._renew()
        return other

    def carry(self, heard: Ints, frames: Pcm, wide: Ints, wide_frames: Pcm) -> None:
        """Put what was heard this tick, `frames` of the rows `heard` in ascending order, into the partners' packets.
        Of the rows `wide` it is there with 16,000 samples a second as well, which goes to partners who can hear that.
        """
        rows, partners = self._rows, self._partners
        if len(rows) and len(wide):
            both = np.isin(partners, wide) & (self._playout.coding[rows] == Coding.G722)
            self._playout.overlay(rows[both], wide_frames[np.searchsorted(wide, partners[both])])
            rows, partners = rows[~both], partners[~both]
        if len(rows):
            self._playout.overlay(rows, frames[np.searchsorted(heard, partners)])

    def _renew(self) -> None:
        self._rows = np.array(sorted(self._pairs), np.int64)
        self._partners = np.array([self._pairs[row] for row in sorted(self._pairs)], np.int64)
