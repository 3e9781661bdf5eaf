"""A call that exists only in memory: it obeys the contract of ``engine.interface.Call`` and remembers what it was told.

The far end is a ``Persona`` and, in tests, the test itself: ``press`` and ``far_end_hangs_up``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from callwright.engine.interface import (
    CallEnded,
    CallFacts,
    CallOrder,
    Keys,
    MediaUnavailable,
    Recorded,
    RecordingFormat,
    RecordingOrder,
    Silence,
    Sound,
    SoundFile,
    Tone,
)
from callwright.testing.personas import LISTENER, Persona
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy, Outcome, answered_outcome

KEY_S = 0.2  # one DTMF key and the pause after it
SPEECH_BEGINS_S = 0.3  # how long the far end takes to start talking into a recording
_RATE = 8000
_SUBTYPES = {RecordingFormat.ALAW: "ALAW", RecordingFormat.ULAW: "ULAW", RecordingFormat.PCM16: "PCM_16"}

T = TypeVar("T")


def length_of_file(path: str) -> float:
    """Return the seconds of sound in a file; raise ``MediaUnavailable`` when there is none."""
    try:
        return float(soundfile.info(path).duration)
    except (soundfile.LibsndfileError, OSError) as error:
        raise MediaUnavailable(f"{path}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One sound the far end was played; ``finished`` is false when it was stopped before its end."""

    sound: Sound
    finished: bool


class FakeKeys:
    """Keys pressed and not yet taken (``engine.interface.KeyInbox``)."""

    def __init__(self, ended: asyncio.Future[Outcome], speed: float) -> None:
        self._waiting = ""
        self._arrived = asyncio.Event()
        self._ended = ended
        self._speed = speed

    def put(self, keys: str) -> None:
        self._waiting += keys
        self._arrived.set()

    def peek(self) -> str:
        return self._waiting

    def take_all(self) -> str:
        taken, self._waiting = self._waiting, ""
        self._arrived.clear()
        return taken

    async def next(self, timeout_s: float | None) -> str | None:
        if not self._waiting:
            try:
                async with asyncio.timeout(None if timeout_s is None else timeout_s / self._speed):
                    await self.arrived()
            except TimeoutError:
                return None
        key, self._waiting = self._waiting[0], self._waiting[1:]
        if not self._waiting:
            self._arrived.clear()
        return key

    async def arrived(self) -> None:
        await while_up(self._ended, self._arrived.wait())


async def while_up(ended: asyncio.Future[Outcome], doing: Awaitable[T]) -> T:
    """Await something that only makes sense on a living call; raise ``CallEnded`` when the call ends first."""
    task = asyncio.ensure_future(doing)
    both: set[asyncio.Future[T] | asyncio.Future[Outcome]] = {task, ended}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise CallEnded(ended.result())
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


class FakeCall:
    """One answered call in memory. ``played`` and ``recordings`` tell tests what the application did with it;
    ``recording_begun`` is set by the first recording.
    """

    def __init__(
        self,
        order: CallOrder,
        facts: CallFacts,
        *,
        persona: Persona = LISTENER,
        clock: Callable[[], float] = time.time,
        speed: float = 1.0,
        length_of: Callable[[str], float] = length_of_file,
    ) -> None:
        self.order = order
        self.persona = persona
        self.played: list[Played] = []
        self.recordings: list[Recorded] = []
        self.recording_begun = asyncio.Event()
        self._facts = facts
        self._clock = clock
        self._speed = speed
        self._length_of = length_of
        self._ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._keys = FakeKeys(self._ended, speed)
        self._stop_recording = asyncio.Event()
        self._heard_s = 0.0
        self._pressed = False
        self._timers: list[asyncio.TimerHandle] = []
        if persona.hangs_up_after_s is not None:
            self._later(persona.hangs_up_after_s, self.far_end_hangs_up)
        self._later(order.max_duration_s, self._reach_limit)

    @property
    def call_id(self) -> CallId:
        return self._facts.call_id

    @property
    def facts(self) -> CallFacts:
        return self._facts

    @property
    def keys(self) -> FakeKeys:
        return self._keys

    @property
    def is_up(self) -> bool:
        return not self._ended.done()

    @property
    def last_recording(self) -> Recorded | None:
        return self.recordings[-1] if self.recordings else None

    # what the application does

    async def play(self, sounds: Sequence[Sound]) -> None:
        self._check_up()
        lengths = [await self._length(sound) for sound in sounds]
        for sound, length_s in zip(sounds, lengths, strict=True):
            finished = False
            try:
                await while_up(self._ended, self._sleep(length_s))
                finished = True
            finally:
                self.played.append(Played(sound=sound, finished=finished))
        self._heard(sum(lengths))

    async def record(self, order: RecordingOrder) -> Recorded:
        self._check_up()
        if not await asyncio.to_thread(Path(order.path).parent.is_dir):
            raise MediaUnavailable(f"{order.path}: there is no such folder")
        self._stop_recording.clear()
        spoken_s = self.persona.speaks_s
        first_wait_s = order.max_initial_silence_s or order.max_silence_s
        if spoken_s and first_wait_s >= SPEECH_BEGINS_S:
            wanted_s, reason = spoken_s + order.max_silence_s, "silence"
            if wanted_s >= order.max_duration_s:
                wanted_s, reason = order.max_duration_s, "max_duration"
            start_s = SPEECH_BEGINS_S
        else:
            start_s, wanted_s, reason, spoken_s = first_wait_s, 0.0, "silence", 0.0
        began = asyncio.get_running_loop().time()
        self.recording_begun.set()
        reason_now = "stopped"
        try:
            stopped = await while_up(self._ended, self._stopped_within(start_s + wanted_s))
            reason_now = "stopped" if stopped else reason
        except CallEnded:
            reason_now = "ended"
            raise
        finally:
            took_s = (asyncio.get_running_loop().time() - began) * self._speed
            length_s = max(0.0, min(wanted_s, took_s - start_s))
            recorded = Recorded(
                path=order.path,
                duration_s=length_s,
                contains_sound=min(length_s, spoken_s) > 0,
                reason=reason_now,
            )
            # Shielded in effect: a cancelled or cut-short recording still leaves a valid file behind (the contract).
            _write_wav(order, length_s, spoken_s)
            self.recordings.append(recorded)
        return recorded

    def stop_recording(self) -> None:
        self._stop_recording.set()

    async def hang_up(self) -> None:
        self.end(answered_outcome(ended_by=EndedBy.APPLICATION))

    async def wait_ended(self) -> Outcome:
        return await asyncio.shield(self._ended)

    # what the far end does

    def press(self, keys: str) -> None:
        """The far end presses keys."""
        if self.is_up:
            self._keys.put(keys)

    def far_end_hangs_up(self) -> None:
        self.end(answered_outcome(ended_by=EndedBy.FAR_END))

    def end(self, outcome: Outcome) -> None:
        """The call is over; only the first end counts."""
        if self._ended.done():
            return
        self._facts.ended_at = self._clock()
        self._facts.outcome = outcome
        for timer in self._timers:
            timer.cancel()
        self._ended.set_result(outcome)

    # inside

    def _reach_limit(self) -> None:
        self.end(answered_outcome(ended_by=EndedBy.PLATFORM, detail="the longest allowed duration was reached"))

    def _check_up(self) -> None:
        if self._ended.done():
            raise CallEnded(self._ended.result())

    def _later(self, delay_s: float, do: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(delay_s / self._speed, do))

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds / self._speed):
                return await self._stop_recording.wait()
        except TimeoutError:
            return False

    async def _length(self, sound: Sound) -> float:
        match sound:
            case SoundFile(path=path):
                return await asyncio.to_thread(self._length_of, path)
            case Keys(digits=digits):
                return KEY_S * len(digits)
            case Silence(ms=ms) | Tone(ms=ms):
                return ms / 1000

    def _heard(self, seconds: float) -> None:
        self._heard_s += seconds
        if self.persona.patience_s is not None and self._heard_s >= self.persona.patience_s:
            self.far_end_hangs_up()
        elif self.persona.presses and not self._pressed:
            self._pressed = True
            self._later(self.persona.presses_after_s, lambda: self.press(self.persona.presses))


def _write_wav(order: RecordingOrder, length_s: float, spoken_s: float) -> None:
    """Write what the far end said: a tone while it speaks, silence after it."""
    count, spoken = int(length_s * _RATE), int(min(length_s, spoken_s) * _RATE)
    samples = np.zeros(count, dtype=np.float32)
    samples[:spoken] = 0.2 * np.sin(2 * np.pi * 440 * np.arange(spoken) / _RATE)
    subtype = _SUBTYPES[order.format or RecordingFormat.ALAW]
    soundfile.write(order.path, samples, _RATE, subtype=subtype, format="WAV")
