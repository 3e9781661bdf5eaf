"""The thread that writes recordings, so that a slow disk never holds up the tick."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from callwright.media.codec import SAMPLE_RATE
from callwright.media.g711 import Pcm
from callwright.media.helper import HELPER
from callwright.media.wav import WavFormat, WavWriter
from callwright.media_worker import memory
from callwright.media_worker.pieces import Pieces

MAX_WAITING_BLOCKS = 8192
"""About eight seconds of a thousand recordings; a disk further behind than this has failed."""

MANY_WAITING_BLOCKS = 512
"""So many were not foreseen: a thousand recordings begun at once, or a disk that paused."""


@dataclass(slots=True, eq=False)
class Tape:
    """One file being written. `closed` is called with the seconds written and the error, "" for none."""

    path: str
    wav_format: WavFormat
    channels: int
    closed: Callable[[float, str], None]
    failed: Callable[[], None]
    error: str = ""
    file: BinaryIO | None = None
    writer: WavWriter | None = None

    @property
    def seconds(self) -> float:
        return self.writer.samples / SAMPLE_RATE if self.writer else 0.0


Work = tuple[Tape, Pcm | None]
"""Samples for a file, or None: it is complete."""


class Recorder:
    """Opens, writes and closes files in order. `take_closed` must be called regularly: callbacks run from there."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[list[Work] | None] = queue.SimpleQueue()
        self._gathered: list[Work] = []
        self._begun = self._done = 0
        self._pieces = None if HELPER is None else Pieces(HELPER)
        self._news: deque[tuple[Tape, bool]] = deque()
        self._may_work = threading.Event()
        self._may_work.set()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def open(self, tape: Tape, first: Pcm) -> None:
        """Begin a file, with samples that may be empty; errors come later, through `failed`."""
        self._gathered.append((tape, first))

    def write(self, tape: Tape, samples: Pcm) -> None:
        """Append samples."""
        if self._begun - self._done + len(self._gathered) > MAX_WAITING_BLOCKS:
            if not tape.error:
                tape.error = "the disk is too slow"
                self._news.append((tape, False))
            return
        self._gathered.append((tape, samples))

    def close(self, tape: Tape) -> None:
        """Finish a file; `closed` is called when that is done."""
        self._gathered.append((tape, None))

    def hold(self) -> None:
        """Begin nothing more until `go_on`: in a tick every packet that is sent would wait for this thread's turn."""
        if self._begun != self._done:
            self._may_work.clear()

    def go_on(self) -> None:
        """The tick is over."""
        if not self._may_work.is_set():
            self._may_work.set()

    def take_closed(self) -> None:
        """Hand over what was gathered, and tell of files that were closed or have failed."""
        self._hand_over()
        while self._news:
            tape, closed = self._news.popleft()
            if closed:
                tape.closed(tape.seconds, tape.error)
            else:
                tape.failed()

    def finish(self, timeout_s: float) -> None:
        """Write what waits and end the thread."""
        self._hand_over()
        self._work.put(None)
        self._thread.join(timeout_s)

    def _hand_over(self) -> None:
        # One waking of the thread for all that a tick has to write.
        if self._gathered:
            self._begun += len(self._gathered)
            self._work.put(self._gathered)
            self._gathered = []

    def _write(self) -> None:
        behind = 0
        while (works := self._work.get()) is not None:
            for tape, samples in works:
                self._may_work.wait()
                if samples is None:
                    self._end(tape)
                elif not tape.error:
                    self._append(tape, samples)
            self._flush()
            self._done += len(works)
            behind = max(behind, self._begun - self._done)
            if behind > MANY_WAITING_BLOCKS and self._work.empty():
                behind = 0
                memory.give_back()

    def _append(self, tape: Tape, samples: Pcm) -> None:
        try:
            if tape.writer is None:
                # Unbuffered: what was written survives the death of this process.
                tape.file = open(tape.path, "wb", buffering=0)
                tape.writer = WavWriter(tape.file, tape.wav_format, tape.channels)
            if self._pieces is None:
                tape.writer.write(samples)
                return
        except OSError as error:
            self._fail(tape, error.strerror or str(error))
            return
        if self._pieces.full or tape in self._pieces:
            self._flush()
        if not tape.error and tape.file is not None:
            self._pieces.add(tape, tape.file.fileno(), tape.writer, samples)

    def _flush(self) -> None:
        if self._pieces is not None:
            for tape, reason in self._pieces.write():
                self._fail(tape, reason)

    def _fail(self, tape: Tape, reason: str) -> None:
        tape.error = tape.error or f"it cannot be written: {reason}"
        self._news.append((tape, False))

    def _end(self, tape: Tape) -> None:
        self._flush()
        try:
            self._close(tape)
        except OSError as error:
            tape.error = tape.error or f"it cannot be written: {error.strerror or error}"
        self._news.append((tape, True))

    def _close(self, tape: Tape) -> None:
        if tape.file is None:
            return
        try:
            if tape.writer is not None:
                tape.writer.finish()
        finally:
            tape.file.close()
