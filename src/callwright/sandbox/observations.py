"""Reads back what the simulated phone network saw: observations, heard sound and rings (docs/reference/sandbox.md)."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from callwright.media.g711 import Pcm
from callwright.sandbox.observation import Observation
from callwright.values.errors import OutsideError

RINGS_FILE = "rings.jsonl"


class UnreadableObservation(OutsideError):
    """A file in the sandbox's data folder is not what the sandbox writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingLine:
    """One line of `rings.jsonl`: a call that arrived, each Call-ID once, with the time its INVITE was received."""

    at: float
    call_id: str
    dialled: str
    caller: str


def read_observation(path: Path) -> Observation:
    """Read one observation; raise `UnreadableObservation`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Observation)
    except (OSError, msgspec.DecodeError) as problem:
        raise UnreadableObservation(f"{path} is not an observation of the sandbox: {problem}") from problem


def read_observations(directory: Path, *, dialled: str = "", call_id: str = "") -> list[Observation]:
    """Return the finished calls in a data folder by time of their INVITE, all or those of one number or Call-ID."""
    found = [read_observation(path) for path in sorted(directory.glob("*.json"))]
    return [
        observation
        for observation in sorted(found, key=lambda seen: seen.invited_at)
        if dialled in ("", observation.dialled) and call_id in ("", observation.call_id)
    ]


def read_heard(directory: Path, observation: Observation) -> Pcm:
    """Return the samples (8 kHz) a telephone heard; empty when it heard nothing."""
    if observation.wav is None:
        return np.zeros(0, np.int16)
    with wave.open(str(directory / observation.wav), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def read_rings(directory: Path) -> list[RingLine]:
    """Return every call that arrived, in order of arrival; a last line cut short by a crash is left out."""
    path = directory / RINGS_FILE
    if not path.is_file():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [msgspec.json.decode(line, type=RingLine) for line in whole.splitlines() if line]
