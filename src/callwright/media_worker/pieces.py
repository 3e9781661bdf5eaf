"""Blocks of several recordings, written by one call of the C helper, without the interpreter's lock."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import numpy as np

from callwright.media.g711 import Octets, Pcm
from callwright.media.helper import address
from callwright.media.wav import WavWriter

if TYPE_CHECKING:
    from callwright.media_worker.recorder import Tape

_TOGETHER = 64
_HEADER_BYTES = 64


class Pieces:
    """At most one piece for each tape (`callwright_write` in callwright/media/c/recording.c)."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._write = library.callwright_write
        self._write.restype = None
        self._waiting: dict[Tape, tuple[WavWriter, Octets]] = {}
        self._files = np.zeros(_TOGETHER, np.int64)
        self._offsets = np.zeros(_TOGETHER, np.int64)
        self._places = np.zeros(_TOGETHER, np.uint64)
        self._lengths = np.zeros(_TOGETHER, np.int64)
        self._headers: Octets = np.zeros((_TOGETHER, _HEADER_BYTES), np.uint8)
        self._header_lengths = np.zeros(_TOGETHER, np.int64)
        self._errors = np.zeros(_TOGETHER, np.int64)
        of_pieces = (self._files, self._offsets, self._places, self._lengths, self._headers)
        self._arrays = [ctypes.c_void_p(address(array)) for array in of_pieces]
        self._ends = [ctypes.c_void_p(address(array)) for array in (self._header_lengths, self._errors)]

    def __contains__(self, tape: Tape) -> bool:
        return tape in self._waiting

    @property
    def full(self) -> bool:
        """Whether there is no room for another one."""
        return len(self._waiting) == _TOGETHER

    def add(self, tape: Tape, file: int, writer: WavWriter, samples: Pcm) -> None:
        """Take samples for the end of a tape's file."""
        octets = writer.octets(samples)
        if not len(octets):
            return
        at, head = len(self._waiting), writer.header_with(len(octets))
        self._waiting[tape] = (writer, octets)
        self._files[at], self._offsets[at] = file, writer.end
        self._places[at], self._lengths[at] = address(octets), len(octets)
        self._headers[at, : len(head)] = np.frombuffer(head, np.uint8)
        self._header_lengths[at] = len(head)

    def write(self) -> list[tuple[Tape, str]]:
        """Write them all; return those that failed and why."""
        if not self._waiting:
            return []
        waiting, self._waiting = self._waiting, {}
        self._write(len(waiting), *self._arrays, _HEADER_BYTES, *self._ends)
        failed = []
        for (tape, (writer, octets)), error in zip(waiting.items(), self._errors.tolist(), strict=False):
            if error:
                failed.append((tape, os.strerror(error)))
            else:
                writer.grown(len(octets))
        return failed
