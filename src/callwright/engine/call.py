"""One outgoing leg: SIP dialog and media leg joined, from its INVITE to the end of its BYE.

A leg is ``dialling``, then ``up``, then ``ending`` (a BYE or CANCEL of ours is under way), then ``over``. ``over``
is reached exactly once, with an ``Outcome`` that is never changed afterwards. The engine feeds SIP events in; the
media leg feeds its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from enum import Enum
from typing import Any, TypeVar

import structlog

from callwright.engine.interface import (
    CallEnded,
    CallFacts,
    CallProgress,
    MediaUnavailable,
    Recorded,
    RecordingOrder,
    Sound,
)
from callwright.engine.key_inbox import WaitingKeys
from callwright.engine.media_client import Digit, Leg, LegEvent, MediaError, NoRtp
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy, Outcome, answered_outcome

log = structlog.get_logger()

T = TypeVar("T")


class LegState(Enum):
    DIALLING = "dialling"
    UP = "up"
    ENDING = "ending"
    OVER = "over"


class OutgoingCall:
    """The ``Call`` of the real engine. ``send_bye`` puts the BYE on the wire; the engine reports how it went."""

    def __init__(
        self,
        *,
        facts: CallFacts,
        leg: Leg,
        send_bye: Callable[[str | None], None],
        clock: Callable[[], float],
        on_progress: Callable[[CallProgress], None],
    ) -> None:
        self.facts = facts
        self.state = LegState.DIALLING
        self.keys = WaitingKeys()
        self.last_recording: Recorded | None = None
        self._leg = leg
        self._send_bye = send_bye
        self._clock = clock
        self._on_progress = on_progress
        self._ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self._recording: asyncio.Task[Recorded] | None = None
        self._pending_outcome: Outcome | None = None
        leg.on_event = self._heard

    # --- facts

    @property
    def call_id(self) -> CallId:
        return self.facts.call_id

    @property
    def is_up(self) -> bool:
        return self.state is LegState.UP

    # --- verbs

    async def play(self, sounds: Sequence[Sound]) -> None:
        try:
            await self._while_up(lambda: self._leg.play(sounds))
        except MediaError as problem:
            raise MediaUnavailable(str(problem)) from problem

    async def record(self, order: RecordingOrder) -> Recorded:
        if self.state is not LegState.UP:
            raise CallEnded(await self.wait_ended())
        self._recording = asyncio.create_task(self._record(order), name=f"record {self.call_id}")
        try:
            await _first_of(self._recording, self._ended)
            if self._ended.done():
                self._leg.stop_recording()
            # Shielded: the file must be closed and reported even when whoever asked for it is gone.
            recorded = await asyncio.shield(self._recording)
        except asyncio.CancelledError:
            self._leg.stop_recording()
            raise
        except MediaError as problem:
            raise MediaUnavailable(str(problem)) from problem
        if self._ended.done():
            raise CallEnded(self._ended.result())
        return recorded

    def stop_recording(self) -> None:
        self._leg.stop_recording()

    async def hang_up(self) -> None:
        await self.end(answered_outcome(ended_by=EndedBy.APPLICATION))

    async def wait_ended(self) -> Outcome:
        return await asyncio.shield(self._ended)

    # --- what the engine tells

    async def end(self, outcome: Outcome, *, reason: str | None = None) -> None:
        """End the call with this outcome unless it is already ending; return when it is over and its media are
        closed.
        """
        if self.state is LegState.UP:
            self.state = LegState.ENDING
            self._pending_outcome = outcome
            self.facts.ended_at = self._clock()
            self._send_bye(reason)
            self._progress("BYE", "sent")
        await self._closed.wait()

    async def wait_closed(self) -> None:
        """Return when the call is over and its media are closed."""
        await self._closed.wait()

    def went_up(self) -> None:
        self.state = LegState.UP

    def over(self, outcome: Outcome) -> None:
        """The dialog is over: take the outcome of our own BYE if there was one, else this one; close the media."""
        if self.state is LegState.OVER:
            return
        self.state = LegState.OVER
        if self.facts.ended_at is None:
            self.facts.ended_at = self._clock()
        self.facts.outcome = self._pending_outcome or outcome
        self.keys.close(self.facts.outcome)
        self._ended.set_result(self.facts.outcome)

    async def close_media(self) -> None:
        """Finish what uses the media leg, close it and keep its statistics. Called once, after ``over``."""
        try:
            if self._recording is not None and not self._recording.done():
                self._leg.stop_recording()
                await asyncio.wait({self._recording})
            self.facts.media = (await self._leg.close()).as_facts()
        finally:
            self._closed.set()

    # --- inside

    async def _record(self, order: RecordingOrder) -> Recorded:
        ended = await self._leg.record(
            order.path,
            max_duration_s=order.max_duration_s,
            max_silence_s=order.max_silence_s,
            max_initial_silence_s=order.max_initial_silence_s,
            beep=order.beep,
            format=order.format or self._own_format(),
        )
        reason = "ended" if self._ended.done() else ended.reason
        self.last_recording = Recorded(
            path=ended.path, duration_s=ended.duration_s, contains_sound=ended.contains_sound, reason=reason
        )
        return self.last_recording

    def _own_format(self) -> str:
        return "ulaw" if self.facts.codec == "PCMU" else "alaw"

    async def _while_up(self, verb: Callable[[], Coroutine[None, None, T]]) -> T:
        """Run a verb until it is done or the call ends, whichever comes first."""
        if self.state is not LegState.UP:
            raise CallEnded(await self.wait_ended())
        task = asyncio.create_task(verb(), name=f"verb on {self.call_id}")
        try:
            await _first_of(task, self._ended)
            if task.done():
                return task.result()
            raise CallEnded(self._ended.result())
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    def _heard(self, event: LegEvent) -> None:
        match event:
            case Digit(key=key, duration_ms=duration_ms):
                self.keys.put(key)
                self._progress("key", f"{key} ({duration_ms} ms)")
            case NoRtp(seconds=seconds):
                log.warning(
                    f"No sound has arrived from the far end for {seconds:.0f} s.", action="no_rtp", call=self.call_id
                )
                self._progress("no sound", f"nothing heard for {seconds:.0f} s")
            case _:
                pass  # playbacks and recordings report to whoever awaits them

    def _progress(self, what: str, detail: str = "") -> None:
        self._on_progress(CallProgress(call_id=self.call_id, what=what, at=self._clock(), detail=detail))


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
