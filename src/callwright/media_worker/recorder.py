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
from callwright.media.wav import WavFormat, WavWriter

MAX_WAITING_BLOCKS = 8192
"""About eight seconds of a thousand recordings; a disk further behind than this has failed."""


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


class Recorder:
    """Opens, writes and closes files in order. `take_closed` must be called regularly: callbacks run from there."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Tape, Pcm | None] | None] = queue.SimpleQueue()
        self._news: deque[tuple[Tape, bool]] = deque()
        self._may_work = threading.Event()
        self._may_work.set()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def open(self, tape: Tape, first: Pcm) -> None:
        """Begin a file, with samples that may be empty; errors come later, through `failed`."""
        self._work.put((tape, first))

    def write(self, tape: Tape, samples: Pcm) -> None:
        """Append samples."""
        if self._work.qsize() > MAX_WAITING_BLOCKS:
            if not tape.error:
                tape.error = "the disk is too slow"
                self._news.append((tape, False))
            return
        self._work.put((tape, samples))

    def close(self, tape: Tape) -> None:
        """Finish a file; `closed` is called when that is done."""
        self._work.put((tape, None))

    def hold(self) -> None:
        """Begin nothing more until `go_on`: in a tick every packet that is sent would wait for this thread's turn."""
        self._may_work.clear()

    def go_on(self) -> None:
        """The tick is over."""
        self._may_work.set()

    def take_closed(self) -> None:
        """Tell of files that were closed or have failed."""
        while self._news:
            tape, closed = self._news.popleft()
            if closed:
                tape.closed(tape.seconds, tape.error)
            else:
                tape.failed()

    def finish(self, timeout_s: float) -> None:
        """Write what waits and end the thread."""
        self._work.put(None)
        self._thread.join(timeout_s)

    def _write(self) -> None:
        while (work := self._work.get()) is not None:
            tape, samples = work
            self._may_work.wait()
            try:
                if samples is None:
                    self._close(tape)
                elif not tape.error:
                    self._append(tape, samples)
            except OSError as error:
                if not tape.error:
                    tape.error = f"it cannot be written: {error.strerror or error}"
                    if samples is not None:
                        self._news.append((tape, False))
            if samples is None:
                self._news.append((tape, True))

    def _append(self, tape: Tape, samples: Pcm) -> None:
        if tape.writer is None:
            # Unbuffered: what was written survives the death of this process.
            tape.file = open(tape.path, "wb", buffering=0)
            tape.writer = WavWriter(tape.file, tape.wav_format, tape.channels)
        tape.writer.write(samples)

    def _close(self, tape: Tape) -> None:
        if tape.file is None:
            return
        try:
            if tape.writer is not None:
                tape.writer.finish()
        finally:
            tape.file.close()
