"""What applications see of the call engine: the verbs of one leg and the facts about it.

Two implementations exist, the real engine (``engine.engine``) and the fake one that ships for tests
(``testing.fake_engine``); both pass the contract tests in ``tests/contract``. The engine knows nothing of
applications, records or HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from callwright.media.sounds import Keys, Silence, Sound, SoundFile, Tone
from callwright.sip.diversion import Diversion, HistoryEntry, diversions, history
from callwright.sip.headers import Pairs
from callwright.values.destination import Destination
from callwright.values.errors import CallwrightError, OutsideError
from callwright.values.ids import CallId
from callwright.values.outcome import Outcome

__all__ = [
    "Call",
    "CallEnded",
    "CallFacts",
    "CallFailed",
    "CallOrder",
    "CallProgress",
    "Engine",
    "KeyInbox",
    "Keys",
    "MediaUnavailable",
    "Recorded",
    "RecordingFormat",
    "RecordingOrder",
    "Refusal",
    "Silence",
    "Sound",
    "SoundFile",
    "Tone",
]

RING_TIMEOUT_S = 60.0  # our choice (docs/reference/rest-applications.md, ringing)
_DIVERTING = {"diversion", "history-info"}
MAX_CALL_DURATION_S = 240 * 60.0  # our choice: the documented default of secondary calls


class RecordingFormat(StrEnum):
    ALAW = "alaw"
    ULAW = "ulaw"
    PCM16 = "pcm16"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOrder:
    """How to record what the far end says: limits in seconds, the file's path and its format (None: the call's
    codec).
    """

    path: str
    max_duration_s: float
    max_silence_s: float
    max_initial_silence_s: float
    beep: bool = False
    format: RecordingFormat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A finished recording. ``reason`` is ``max_duration``, ``silence``, ``stopped`` or ``ended`` (the call went
    down).
    """

    path: str
    duration_s: float
    contains_sound: bool
    reason: str


class CallOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call to place. ``caller_id`` is digits, a SIP user or address, or "" (then ``service_name`` is the From
    user). ``trunk`` names the only trunk that may carry it, "" for whichever does.

    ``heard_by`` is the answered call of this engine whose far end hears this one from its first sound on, also before
    the answer: ringback tones, announcements. It is not heard itself before the answer; from then on both hear each
    other, until one of them ends. None, or a call that is not up when this one is prepared: nobody hears it.
    """

    call_id: CallId
    destination: Destination
    caller_id: str
    service_name: str
    headers: tuple[tuple[str, str], ...] = ()
    ring_timeout_s: float = RING_TIMEOUT_S
    max_duration_s: float = MAX_CALL_DURATION_S
    trunk: str = ""
    heard_by: CallId | None = None


@dataclass(slots=True, kw_only=True)
class CallFacts:
    """What happened on one leg so far. Times are epoch seconds; None means it did not happen.

    ``ended_at`` is when this side knew that the call is over: a BYE or refusal came, or our BYE or CANCEL left.
    ``retry_after_s`` is what a refusal asked for (RFC 3261 section 20.33). ``trunk`` names the trunk that carried the
    call last, "" for a call that goes without one. ``redirects`` are the Request-URIs it went on to, in order.
    ``diversions`` and ``history`` are what far ends said last of where they sent the call (181, 3xx, 200 and others).
    """

    call_id: CallId
    destination: Destination
    originating: str = ""
    initiated_at: float | None = None
    ringing_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None
    codec: str = ""
    remote: str = ""
    retry_after_s: int | None = None
    trunk: str = ""
    redirects: tuple[str, ...] = ()
    diversions: tuple[Diversion, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    media: dict[str, float] | None = None

    def take_diversions(self, headers: Pairs) -> None:
        """Note what a response says of where the call was sent."""
        if _DIVERTING.isdisjoint([name.lower() for name, _ in headers]):
            return
        self.diversions = diversions(headers) or self.diversions
        self.history = history(headers) or self.history


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a destination cannot be called now; ``reason`` is the text after ``couldnotrun``."""

    reason: str


class CallEnded(CallwrightError):
    """The call is over: nothing more can be done on it. Raised by every verb, also while it runs."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"the call ended: {outcome.hangup_cause}, by {outcome.ended_by}")
        self.outcome = outcome


class CallFailed(CallwrightError):
    """There is no call to work with: it was not answered, or its answer is of no use; ``facts.outcome`` says why."""

    def __init__(self, facts: CallFacts) -> None:
        assert facts.outcome is not None
        super().__init__(f"the call was not answered: {facts.outcome.hangup_cause} {facts.outcome.detail}".rstrip())
        self.facts = facts
        self.outcome = facts.outcome


class MediaUnavailable(OutsideError):
    """A sound cannot be played or a recording cannot be written: missing, unreadable or of an unsupported format."""


class KeyInbox(Protocol):
    """Keys the far end pressed and nobody has taken yet, in order (type-ahead)."""

    def peek(self) -> str:
        """Return the waiting keys without taking them."""
        ...

    def take_all(self) -> str:
        """Take and return all waiting keys."""
        ...

    async def next(self, timeout_s: float | None) -> str | None:
        """Take the next key, waiting for it; None after ``timeout_s`` seconds. Raise ``CallEnded`` when the call
        ends.
        """
        ...

    async def arrived(self) -> None:
        """Return when at least one key is waiting; raise ``CallEnded`` when the call ends."""
        ...


class Call(Protocol):
    """One answered leg. Verbs raise ``CallEnded`` when the far end hangs up; cancelling a verb stops its sound at
    once.
    """

    @property
    def call_id(self) -> CallId: ...

    @property
    def facts(self) -> CallFacts: ...

    @property
    def keys(self) -> KeyInbox: ...

    @property
    def is_up(self) -> bool: ...

    async def play(self, sounds: Sequence[Sound]) -> None:
        """Play sounds one after the other to their end; raise ``MediaUnavailable`` naming the sound that cannot be
        played.
        """
        ...

    async def record(self, order: RecordingOrder) -> Recorded:
        """Record the far end until a limit or ``stop_recording``; when the call ends the file is kept and
        ``CallEnded`` raised.
        """
        ...

    def stop_recording(self) -> None:
        """End a running recording normally."""
        ...

    @property
    def last_recording(self) -> Recorded | None:
        """The latest finished recording, also one that the end of the call cut short."""
        ...

    async def hang_up(self) -> None:
        """End the call; when this returns the far end knows, or does not answer. Calling it again changes nothing."""
        ...

    async def wait_ended(self) -> Outcome:
        """Wait until the far end hung up or our BYE left, and return how the call ended."""
        ...


class CallProgress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened on a call's way up or down, for logs and ``call --watch``. ``at`` is epoch seconds."""

    call_id: CallId
    what: str
    at: float
    detail: str = ""


class Engine(Protocol):
    """Places calls."""

    def refusal(self, destination: Destination) -> Refusal | None:
        """Return why this destination cannot be called by this node, or None."""
        ...

    def turn_of(self, call_id: CallId) -> float:
        """Return from when the INVITE of a call that ``place`` has prepared may leave, as far as its trunk's own limit
        goes and is known now; in seconds of the event loop's clock, 0 when nothing holds it.
        """
        ...

    async def place(
        self,
        order: CallOrder,
        *,
        before_invite: Callable[[bytes], Awaitable[None]],
        on_answered: Callable[[CallFacts, bytes], Awaitable[None]],
        may_follow: Callable[[Destination], Awaitable[str]] | None = None,
        on_moved: Callable[[bytes], None] | None = None,
        facts: CallFacts | None = None,
    ) -> Call:
        """Place a call and return it answered; raise ``CallFailed`` when it was not answered.

        Everything that can fail without the network (a port, an address, a text SIP cannot carry) is prepared first;
        then ``before_invite`` is awaited with what a later life needs to cancel this call (bytes for
        ``hang_up_saved``), and the INVITE leaves in the same turn of the event loop in which it returns, or at
        ``turn_of`` if that is later. When preparing fails ``before_invite`` is never awaited: ``CallFailed`` says that
        this order can never be placed, ``OutsideError`` that nothing is wrong with it and it may be placed later. An
        exception from ``before_invite`` means nothing was sent and is passed on. ``on_answered`` gets the facts and the
        saved dialog (bytes for ``hang_up_saved``) at the answer; the far end gets its ACK, and ``place`` returns, when
        it has returned. Cancelling ``place`` cancels the call.

        ``may_follow`` is asked before a call to a number follows a redirection to another one: "" when it may, else why
        not. Without it such a redirection is not followed. ``on_moved`` is told, and not waited for, what a later life
        needs in the place of what ``before_invite`` got, because the call went on to another place. ``facts`` are the
        call's, to be filled in on the way: who cancels ``place`` has them to know how the call ended.
        """
        ...

    async def hang_up_saved(self, saved: bytes) -> None:
        """End a call of an earlier life of this node: BYE for one that was answered, and return when that was answered
        or given up; CANCEL for one that was not, and return at once.
        """
        ...
