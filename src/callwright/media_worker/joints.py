"""Pairs of legs that hear each other: what one receives is what the other sends, wherever nothing else is played."""

from __future__ import annotations

import numpy as np

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

    def carry(self, heard: Ints, frames: Pcm) -> None:
        """Put what was heard this tick, `frames` of the rows `heard` in ascending order, into the partners' packets."""
        if len(self._rows):
            self._playout.overlay(self._rows, frames[np.searchsorted(heard, self._partners)])

    def _renew(self) -> None:
        self._rows = np.array(sorted(self._pairs), np.int64)
        self._partners = np.array([self._pairs[row] for row in sorted(self._pairs)], np.int64)
