"""What happens in an instance, told as it happens: for its log and for whoever watches the call."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from callwright.apps.rest.log import InstanceLog, Level
from callwright.values.ids import CallId, InstanceId


class EventKind(StrEnum):
    """Kinds of ``InstanceEvent``; ``text`` of each is said here."""

    DIALLING = "dialling"  # the destination
    ANSWERED = "answered"
    NOT_ANSWERED = "not_answered"  # the cause
    PAGE = "page"  # which page, method, URL and status; ``seconds`` is how long the answer took
    PAGE_FAILED = "page_failed"  # what went wrong
    ACTION_BEGUN = "action_begun"  # its name
    ACTION_ENDED = "action_ended"  # its name
    PROMPT = "prompt"  # what is played, private text masked
    DIGIT = "digit"  # a key an action took
    RECORDING = "recording"  # file name and path; ``seconds`` is its length
    CALL_ENDED = "call_ended"  # the cause
    PROBLEM = "problem"  # what went wrong
    ENDED = "ended"  # the return code


_WORDS = {kind: kind.value.replace("_", " ") for kind in EventKind}


class InstanceEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that happened. ``at`` is epoch seconds; ``text`` is fit for people and has no secrets."""

    # A struct, for ten of them are made a call: a frozen dataclass takes ten times as long.

    instance_id: InstanceId
    call_id: CallId
    at: float
    kind: EventKind
    text: str = ""
    seconds: float | None = None


class Journal:
    """Tells everything twice: to the instance's log and to the watcher."""

    def __init__(
        self,
        *,
        instance_id: InstanceId,
        call_id: CallId,
        log: InstanceLog,
        watcher: Callable[[InstanceEvent], None],
        clock: Callable[[], float],
    ) -> None:
        self.log = log
        self._instance_id = instance_id
        self._call_id = call_id
        self._watcher = watcher
        self._clock = clock

    def tell(self, kind: EventKind, text: str = "", *, seconds: float | None = None, level: Level = Level.INFO) -> None:
        """Tell that something happened."""
        took = "" if seconds is None else f" ({seconds:.3f} s)"
        self.log.line(level, f"{_WORDS[kind]}: {text}{took}" if text else _WORDS[kind])
        self._watcher(
            InstanceEvent(
                instance_id=self._instance_id,
                call_id=self._call_id,
                at=self._clock(),
                kind=kind,
                text=text,
                seconds=seconds,
            )
        )
