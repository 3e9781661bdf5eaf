"""One outgoing leg: SIP dialog and media leg joined, from its INVITE to the end of its BYE.

    dialling -> up -> ending -> over     we hang up: BYE sent, its answer awaited
                up -> over               the far end hangs up
    dialling -> over                     never answered

The ``Outcome`` is fixed when the call leaves ``up`` (or ``dialling``) and never changed afterwards: from then on every
verb raises ``CallEnded`` and the records may be closed. The port stays taken until ``over``. The engine feeds SIP
events in; the media leg feeds its own. docs/reference/calls.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any

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
from callwright.engine.media_client import Digit, Leg, LegEvent, LegStats, MediaError, NoRtp
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy, Outcome, answered_outcome

log = structlog.get_logger()

FILE_LIMIT_S = 15.0  # for the file of a recording that was stopped: the call would be held up by it


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
        self._keys_by = ""
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
        self._check_up()
        try:
            await self._leg.play(sounds)
        except MediaError as problem:
            self._check_up()  # the end of the call interrupts what plays; of both at once, the end is what counts
            raise MediaUnavailable(str(problem)) from problem
        self._check_up()

    async def record(self, order: RecordingOrder) -> Recorded:
        self._check_up()
        if self._recording is not None and not self._recording.done():
            raise MediaUnavailable(f"{order.path}: another recording runs on this call; one at a time is possible")
        recording = self._recording = asyncio.create_task(self._record(order), name=f"record {self.call_id}")
        recording.add_done_callback(_take_exception)
        try:
            await _first_of(recording, self._ended)
            if self._ended.done():
                self._leg.stop_recording()
                if not await self._completed(recording):
                    self._check_up()
            # Shielded: the file must be closed and reported even when whoever asked for it is gone.
            recorded = await asyncio.shield(recording)
        except asyncio.CancelledError:
            self._leg.stop_recording()
            await self._completed(recording)
            raise
        except MediaError as problem:
            self._check_up()
            raise MediaUnavailable(str(problem)) from problem
        self._check_up()
        return recorded

    def stop_recording(self) -> None:
        self._leg.stop_recording()

    async def hang_up(self) -> None:
        self.end(answered_outcome(ended_by=EndedBy.APPLICATION))
        await self.wait_closed()

    async def wait_ended(self) -> Outcome:
        return await asyncio.shield(self._ended)

    # --- what the engine tells

    def went_up(self) -> None:
        """The far end answered."""
        self.state = LegState.UP

    def key_told(self, key: str) -> None:
        """The far end sent a key as INFO."""
        if self.is_up:
            self._key(key, "INFO")

    def end(self, outcome: Outcome, *, reason: str | None = None) -> None:
        """Hang up with this outcome, now; when the call is not up this changes nothing."""
        if self.state is not LegState.UP:
            return
        self.state = LegState.ENDING
        self._settle(outcome)
        self._send_bye(reason)
        self._progress("BYE", "sent")

    def over(self, outcome: Outcome) -> None:
        """The dialog is over; ``outcome`` counts unless an earlier end fixed another."""
        self.state = LegState.OVER
        self._settle(outcome)

    @property
    def is_recording(self) -> bool:
        return self._recording is not None and not self._recording.done()

    async def finish_recording(self) -> None:
        """Stop a recording that still runs; return when its file is complete or given up."""
        if self._recording is not None and self.is_recording:
            self._leg.stop_recording()
            await self._completed(self._recording)

    def close_media(self, then: Callable[[OutgoingCall], None]) -> None:
        """Close the media leg; when that is done keep its statistics, tell ``wait_closed`` and call ``then``. Called
        once, after ``over`` and when nothing is recorded any more.
        """
        self._leg.begin_close().add_done_callback(partial(self._media_closed, then))

    def _media_closed(self, then: Callable[[OutgoingCall], None], closed: asyncio.Future[LegStats]) -> None:
        try:
            self.facts.media = closed.result().as_facts()
        finally:
            self._closed.set()
            self._let_go()
            then(self)

    async def wait_closed(self) -> None:
        """Return when the call is over and its media are closed."""
        await self._closed.wait()

    # --- inside

    def _let_go(self) -> None:
        """Break the circles this call is part of, so that its memory is free now and not when garbage is looked for."""
        self._leg.on_event = _not_heard
        self._send_bye = _no_bye

    def _settle(self, outcome: Outcome) -> None:
        if self._ended.done():
            return
        if self.facts.ended_at is None:
            self.facts.ended_at = self._clock()
        self.facts.outcome = outcome
        self.keys.close(outcome)
        self._ended.set_result(outcome)
        self._leg.interrupt()

    def _check_up(self) -> None:
        if self._ended.done():
            raise CallEnded(self._ended.result())

    async def _completed(self, recording: asyncio.Task[Recorded]) -> bool:
        """Wait for a stopped recording's file; False when it is given up, because its disk stands still."""
        await asyncio.wait({recording}, timeout=FILE_LIMIT_S)
        if recording.done():
            return True
        log.error(
            f"A recording was not completed within {FILE_LIMIT_S:g} s and is not waited for any more: look after the "
            "disk it is on.",
            action="recording_given_up",
            call=self.call_id,
        )
        recording.cancel()
        return False

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

    def _heard(self, event: LegEvent) -> None:
        match event:
            case Digit(key=key) if self.is_up:  # not before the answer, when early sound may be heard already
                self._key(key, "sound")
            case NoRtp(seconds=seconds) if self.is_up:
                log.warning(
                    f"No sound has arrived from the far end for {seconds:.0f} s.", action="no_rtp", call=self.call_id
                )
                self._progress("no sound", f"nothing heard for {seconds:.0f} s")
            case _:
                pass  # playbacks and recordings report to whoever awaits them

    def _key(self, key: str, by: str) -> None:
        """Take a key. What brought the first one brings all: some far ends send each key by INFO and by sound."""
        self._keys_by = self._keys_by or by
        if self._keys_by == by:
            self.keys.put(key)
            self._progress("key", key)

    def _progress(self, what: str, detail: str = "") -> None:
        self._on_progress(CallProgress(call_id=self.call_id, what=what, at=self._clock(), detail=detail))


def _not_heard(event: LegEvent) -> None:
    """Leave alone what a media leg still says of a call that is over."""


def _no_bye(reason: str | None) -> None:
    """Send nothing: the dialog is over."""


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _take_exception(task: asyncio.Task[Any]) -> None:
    """Mark a failure as seen: whoever waited may be gone, or the end of the call may count more."""
    if not task.cancelled():
        task.exception()
