"""Sounds ready to send: files and tones are read, resampled and encoded by loader threads and shared by all legs.

A cached sound is known by its file's path, modification time and size and by its coding, so that a replaced file is
read anew. The least recently used sounds that nobody plays make room for others.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from callwright.media import tones
from callwright.media.arena import Arena, Run, to_frames
from callwright.media.codec import FRAMES_PER_SECOND, SAMPLE_RATE, Coding, samples_in_frame
from callwright.media.g711 import Octets, Pcm
from callwright.media.sounds import Keys, Silence, SoundFile, Tone

ARENA_ROWS = 2 * 3600 * FRAMES_PER_SECOND
"""Two hours of sound, 58 MB when all of it is in use."""
MAX_SOUND_S = 1800
_MAX_AUDIO_CHANNELS = 8
_MAX_RATE = 192_000
_MAX_SAMPLES = 2 * MAX_SOUND_S * 48_000  # a second of work: half an hour in two channels of the best telephones
_BLOCK = 65_536
_LOADERS = 2

Loadable = SoundFile | Tone | Keys


class SoundError(Exception):
    """A sound cannot be played; the message is the reason, for the person who supplied it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


@dataclass(slots=True)
class CachedSound:
    """A sound in the arena. It stays there while `pins` playlists use it."""

    identity: Hashable
    run: Run
    pins: int = 0


@dataclass(frozen=True, slots=True)
class _Job:
    sound: Loadable
    coding: Coding
    anew: bool


@dataclass(frozen=True, slots=True)
class _Result:
    job: _Job
    identity: Hashable
    frames: Octets | None
    error: SoundError | None


Taker = Callable[[CachedSound | SoundError], None]


def read_file(path: str, wanted_rate: int = SAMPLE_RATE) -> Pcm:
    """Read a sound file as samples of one audio channel at the wanted rate; raise `SoundError` with the reason."""
    try:
        with soundfile.SoundFile(path) as file:
            rate, channels, frames = file.samplerate, file.channels, file.frames
            if frames > MAX_SOUND_S * rate:
                raise SoundError(path, f"it is longer than {MAX_SOUND_S // 60} minutes")
            if channels > _MAX_AUDIO_CHANNELS or not 1000 <= rate <= _MAX_RATE:
                raise SoundError(path, f"{channels} audio channels at {rate} Hz is no sound we can play")
            if frames * channels > _MAX_SAMPLES:
                raise SoundError(path, f"it has {frames * channels:,} samples, at most {_MAX_SAMPLES:,} can be played")
            samples = _one_channel(file, wanted_rate)
    except (OSError, soundfile.SoundFileError, ValueError, RuntimeError, MemoryError) as error:
        raise SoundError(path, _reason(path, error)) from error
    return np.asarray(np.clip(np.rint(np.nan_to_num(samples) * 32768.0), -32768, 32767), np.int16)


def _one_channel(file: soundfile.SoundFile, wanted_rate: int) -> npt.NDArray[np.float32]:
    """Read a file a block at a time: a compressed one may be a thousand times as large in memory."""
    rate = file.samplerate
    stream = soxr.ResampleStream(rate, wanted_rate, 1, dtype="float32") if rate != wanted_rate else None
    parts = []
    while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
        part = block.mean(axis=1, dtype=np.float32)
        parts.append(part if stream is None else stream.resample_chunk(part))
    if stream is not None and parts:
        parts.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _reason(path: str, error: Exception) -> str:
    if not os.path.exists(path):
        return "there is no such file"
    if not os.path.isfile(path):
        return "it is not a file"
    if not os.access(path, os.R_OK):
        return "it may not be read"
    return f"it is not a sound file that can be read ({error})"


def render(sound: Loadable, rate: int = SAMPLE_RATE) -> Pcm:
    """Make the samples of a sound, 8,000 or 16,000 a second; raise `SoundError`."""
    if isinstance(sound, SoundFile):
        return read_file(sound.path, rate)
    if isinstance(sound, Keys):
        made = tones.keys(sound.digits)
    else:
        made = tones.tone(sound.frequencies, sound.ms, sound.level_dbm0)
    return made if rate == SAMPLE_RATE else np.asarray(soxr.resample(made, SAMPLE_RATE, rate), np.int16)


def identify(sound: Loadable) -> Hashable:
    """What makes a sound the same as a cached one; raise `SoundError` when its file is missing."""
    if not isinstance(sound, SoundFile):
        return sound
    try:
        facts = os.stat(sound.path)
    except (OSError, ValueError) as error:
        raise SoundError(
            sound.path, _reason(sound.path, error) if isinstance(error, OSError) else str(error)
        ) from error
    return (sound.path, facts.st_mtime_ns, facts.st_size)


class SoundCache:
    """Hands out sounds in the arena. `take_loaded` must be called regularly: takers are called from there."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._cached: OrderedDict[Hashable, CachedSound] = OrderedDict()
        self._takers: dict[tuple[Loadable, Coding], list[Taker]] = {}
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._results: deque[_Result] = deque()
        for number in range(_LOADERS):
            threading.Thread(target=self._load, name=f"sound-loader-{number}", daemon=True).start()

    def __len__(self) -> int:
        return len(self._cached)

    def request(self, sound: Loadable, coding: Coding, taker: Taker) -> None:
        """Have a sound loaded if need be; `taker` gets it pinned, or the error."""
        takers = self._takers.setdefault((sound, coding), [])
        takers.append(taker)
        if len(takers) == 1:
            self._jobs.put(_Job(sound, coding, anew=False))

    def release(self, sound: CachedSound) -> None:
        """A playlist has done with a sound it got from `request`."""
        sound.pins -= 1

    def take_loaded(self) -> None:
        """Hand loaded sounds to those who asked."""
        while self._results:
            self._settle(self._results.popleft())

    def _settle(self, result: _Result) -> None:
        job = result.job
        outcome: CachedSound | SoundError | None = result.error
        if outcome is None:
            key = (result.identity, job.coding)
            outcome = self._cached.get(key)
            if outcome is not None:
                self._cached.move_to_end(key)
            elif result.frames is not None:
                outcome = self._store(key, result.frames, job)
            else:
                # It was thrown out between the loader's look and now.
                self._jobs.put(_Job(job.sound, job.coding, anew=True))
                return
        for taker in self._takers.pop((job.sound, job.coding)):
            if isinstance(outcome, CachedSound):
                outcome.pins += 1
            taker(outcome)

    def _store(self, key: Hashable, frames: Octets, job: _Job) -> CachedSound | SoundError:
        run = self._arena.store(frames) if len(frames) else Run(0, 0)
        for old in list(self._cached):
            if run is not None:
                break
            if self._cached[old].pins == 0:
                self._arena.release(self._cached.pop(old).run)
                run = self._arena.store(frames)
        if run is None:
            path = job.sound.path if isinstance(job.sound, SoundFile) else ""
            return SoundError(path, "the sound cache is full of sounds being played; start another media worker")
        sound = self._cached[key] = CachedSound(key, run)
        return sound

    def _load(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                identity = identify(job.sound)
                known = not job.anew and (identity, job.coding) in self._cached
                frames = None if known else _frames(job)
                self._results.append(_Result(job, identity, frames, None))
            except SoundError as error:
                self._results.append(_Result(job, None, None, error))


def _frames(job: _Job) -> Octets:
    rate = samples_in_frame(job.coding) * FRAMES_PER_SECOND
    return to_frames(render(job.sound, rate), job.coding)


def silence_frames(sound: Silence) -> int:
    """Whole frames of a silence."""
    return max(-(-sound.ms * FRAMES_PER_SECOND // 1000), 0)
