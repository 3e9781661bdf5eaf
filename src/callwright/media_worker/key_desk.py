"""Keys that far ends press: heard as RTP events or as tone pairs, told to the node, kept out of recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from callwright.media import protocol as wire
from callwright.media.dtmf import KeyDown, KeyPress
from callwright.media.g711 import Pcm
from callwright.media.rtp import Ints, Packet
from callwright.media.tone_keys import ToneKeys
from callwright.media_worker.leg import Leg
from callwright.media_worker.recording_desk import RecordingDesk

_SAME_KEY_S = 0.5
"""A tone of the same key so soon after its event is the same press, sent both ways."""


class KeyDesk:
    """Keys of all legs. `relay` is called with keys that the leg's partner is to get as well."""

    def __init__(
        self,
        by_row: Sequence[Leg | None],
        recordings: RecordingDesk,
        *,
        say: Callable[[wire.Report], None],
        relay: Callable[[Leg, str], None],
    ) -> None:
        self._by_row = by_row
        self._recordings = recordings
        self._say = say
        self._relay = relay
        self._tones = ToneKeys(len(by_row))
        self._toned_rows: set[int] = set()
        self._toned = np.zeros(0, np.int64)
        self._pressing: set[Leg] = set()

    def attend(self, leg: Leg) -> None:
        """Begin or stop to look for tone pairs on a leg, as it says."""
        attended = leg.row in self._toned_rows
        if leg.hears_tones and not attended:
            self._tones.start(leg.row)
            self._toned_rows.add(leg.row)
            self._toned = np.array(sorted(self._toned_rows), np.int64)
        elif attended and not leg.hears_tones:
            self._leave(leg)

    def hear_sound(self, heard: Ints, frames: Pcm, now: float, to_wall: float) -> None:
        """Look for tone pairs in this tick's frames; `heard` is ascending and says whose they are."""
        if not len(self._toned):
            return
        for row, event in self._tones.add(self._toned, frames[np.searchsorted(heard, self._toned)], now):
            leg = self._by_row[row]
            if leg is not None:
                self._hear_tone(leg, event, to_wall)

    def hear_packet(self, leg: Leg, packet: Packet, now: float, to_wall: float) -> None:
        """Take one event packet."""
        leg.presses.receive(packet.payload, packet.timestamp, now, marker=False)
        self._tell_presses(leg, to_wall)

    def wake(self, now: float, to_wall: float) -> None:
        """Time passed: keys whose ends were lost are over."""
        for leg in [leg for leg in self._pressing if (leg.presses.wake_at() or now) <= now]:
            leg.presses.wake(now)
            self._tell_presses(leg, to_wall)

    def finish(self, leg: Leg, to_wall: float) -> None:
        """The leg ends, and with it what is still down."""
        leg.presses.finish()
        self._tell_presses(leg, to_wall)
        self._pressing.discard(leg)
        if leg.row in self._toned_rows:
            self._leave(leg)

    def _leave(self, leg: Leg) -> None:
        self._toned_rows.discard(leg.row)
        self._toned = np.array(sorted(self._toned_rows), np.int64)

    def _tell_presses(self, leg: Leg, to_wall: float) -> None:
        for event in leg.presses.take_events():
            self._tell(leg, event, to_wall)
            if isinstance(event, KeyDown):
                leg.last_event = event
                if leg.partner is not None and leg.relay_keys:
                    self._relay(leg.partner, event.key)
        if leg.presses.wake_at() is None:
            self._pressing.discard(leg)
        else:
            self._pressing.add(leg)

    def _hear_tone(self, leg: Leg, event: KeyDown | KeyPress, to_wall: float) -> None:
        if isinstance(event, KeyDown):
            last = leg.last_event
            twin = last is not None and last.key == event.key and event.at - last.at < _SAME_KEY_S
            leg.tone_told = leg.tone_keys and not twin
        if leg.tone_told:
            self._tell(leg, event, to_wall)
        elif isinstance(event, KeyDown):
            self._recordings.mute(leg)
        else:
            self._recordings.unmute(leg)

    def _tell(self, leg: Leg, event: KeyDown | KeyPress, to_wall: float) -> None:
        if isinstance(event, KeyDown):
            self._recordings.mute(leg)
            kind: type[wire.KeyHeard] | type[wire.KeyReleased] = wire.KeyHeard
        else:
            self._recordings.unmute(leg)
            kind = wire.KeyReleased
        at = round(event.at + to_wall, 4)
        self._say(kind(leg=leg.number, key=event.key, duration_ms=event.duration_ms, at=at))
