"""Recordings of all legs: orders in, frames from the tick to the recorder's files, news of finished files out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from callwright.media import tones
from callwright.media.g711 import Pcm
from callwright.media.matrix import Playout
from callwright.media.protocol import Record, RecordingDone, Report, Trouble
from callwright.media.recording import Recordings, Tapes
from callwright.media.rtp import Ints
from callwright.media.sounds import Tone
from callwright.media.wav import WavFormat
from callwright.media_worker.leg import Leg, Recording
from callwright.media_worker.player import Playlist
from callwright.media_worker.recorder import Recorder, Tape
from callwright.media_worker.sounds import SoundError

_BEEP = Tone(frequencies=(tones.BEEP_HZ,), ms=tones.BEEP_MS, level_dbm0=tones.BEEP_DBM0)
_NO_PCM = np.zeros(0, np.int16)


def _mixed(samples: Pcm) -> Pcm:
    """Both audio channels as one."""
    both = samples.astype(np.int32).sum(axis=1)
    return np.asarray(np.clip(both, -32768, 32767), np.int16)


class RecordingDesk:
    """What is being recorded on which leg. `by_row` is the worker's own table; `attend` is called when a leg's sound is
    needed, or not any more, and `files_closed` whenever a file of a leg is complete.
    """

    def __init__(
        self,
        playout: Playout,
        recorder: Recorder,
        by_row: Sequence[Leg | None],
        *,
        say: Callable[[Report], None],
        attend: Callable[[Leg], None],
        files_closed: Callable[[Leg], None],
    ) -> None:
        self._playout = playout
        self._recorder = recorder
        self._by_row = by_row
        self._say = say
        self._attend = attend
        self._files_closed = files_closed
        self._recordings = Recordings(len(by_row))
        self._tapes = Tapes(len(by_row))

    def capture(self, heard: Ints, frames: Pcm) -> None:
        """Take this tick's frame of every leg; `heard` is ascending and says whose `frames` they are."""
        recording, taped = self._recordings.rows, self._tapes.rows
        if len(taped):
            sent = self._playout.sound_sent(taped)
            for block in self._tapes.add(taped, frames[np.searchsorted(heard, taped)], sent):
                leg = self._by_row[block.row]
                if leg is not None and leg.tape is not None:
                    self._recorder.write(leg.tape, _mixed(block.samples) if leg.mixes else block.samples)
        if len(recording):
            blocks, over = self._recordings.add(recording, frames[np.searchsorted(heard, recording)])
            for block in blocks:
                leg = self._by_row[block.row]
                if leg is not None and leg.recording is not None and leg.recording.tape is not None:
                    self._recorder.write(leg.recording.tape, block.samples)
            for end in over:
                leg = self._by_row[end.row]
                if leg is not None:
                    self.stop(leg, end.how)

    def record(self, leg: Leg, order: Record) -> None:
        """Begin a recording, after a beep if one is wanted."""
        recording = Recording(order)
        if leg.recording is not None:
            self._done(leg, recording, 0.0, "failed", "the leg is being recorded already")
            return
        leg.recording = recording
        if not order.beep:
            self._start(leg, recording)
            return

        def beeped(how: str, error: SoundError | None) -> None:
            if recording.how is None and how != "closed":
                self._start(leg, recording)

        leg.player.add(Playlist((_BEEP,), beeped))

    def stop(self, leg: Leg, how: str) -> None:
        """End a leg's recording, if there is one."""
        recording = leg.recording
        if recording is None:
            return
        leg.recording = None
        recording.how = how
        if recording.tape is None:
            # The beep is still to be heard: the file shall exist all the same.
            self._start(leg, recording)
        assert recording.tape is not None
        self._recorder.write(recording.tape, self._recordings.stop(leg.row))
        self._recorder.close(recording.tape)
        self._attend(leg)

    def record_leg(self, leg: Leg, path: str, *, mixed: bool, mute_keys: bool) -> None:
        """Record everything on a leg until it closes."""
        if leg.tape is not None:
            self._trouble(leg, path, "the leg is being recorded already")
            return

        def closed(seconds: float, error: str) -> None:
            leg.open_tapes -= 1
            if error:
                self._trouble(leg, path, error)
            self._files_closed(leg)

        leg.tape = Tape(path, WavFormat.PCM16, 1 if mixed else 2, closed, lambda: self.stop_tape(leg))
        leg.mixes, leg.mutes = mixed, mute_keys
        leg.open_tapes += 1
        self._recorder.open(leg.tape, _NO_PCM)
        self._tapes.start(leg.row)
        self._attend(leg)

    def stop_tape(self, leg: Leg) -> None:
        """End a leg's whole-leg recording, if there is one."""
        tape, leg.tape = leg.tape, None
        if tape is not None:
            rest = self._tapes.stop(leg.row)
            self._recorder.write(tape, _mixed(rest) if leg.mixes else rest)
            self._recorder.close(tape)
            self._attend(leg)

    def mute(self, leg: Leg) -> None:
        """A key is down: leave it out of the leg's recording, and of its partner's, which hears it."""
        for one in (leg, leg.partner):
            if one is not None and one.mutes:
                self._tapes.mute(one.row)

    def unmute(self, leg: Leg) -> None:
        """The key was let go."""
        for one in (leg, leg.partner):
            if one is not None and one.mutes:
                self._tapes.unmute(one.row)

    def _start(self, leg: Leg, recording: Recording) -> None:
        order = recording.order

        def closed(seconds: float, error: str) -> None:
            leg.open_tapes -= 1
            self._done(leg, recording, seconds, "failed" if error else recording.how or "stopped", error)
            self._files_closed(leg)

        def failed() -> None:
            if leg.recording is recording:
                self.stop(leg, "failed")

        recording.tape = Tape(order.path, WavFormat(order.format), 1, closed, failed)
        leg.open_tapes += 1
        self._recorder.open(recording.tape, _NO_PCM)
        self._recordings.start(
            leg.row,
            max_duration_s=order.max_duration_s,
            max_silence_s=order.max_silence_s,
            max_initial_silence_s=order.max_initial_silence_s,
        )
        self._attend(leg)

    def _done(self, leg: Leg, recording: Recording, seconds: float, how: str, reason: str) -> None:
        self._say(
            RecordingDone(
                leg=leg.number,
                recording=recording.order.recording,
                path=recording.order.path,
                duration_s=seconds,
                contains_sound=seconds > 0,
                how=how,
                reason=reason,
            )
        )

    def _trouble(self, leg: Leg, path: str, reason: str) -> None:
        self._say(Trouble(leg=leg.number, action="media.record_leg", text=f"{path} is not recorded: {reason}"))
