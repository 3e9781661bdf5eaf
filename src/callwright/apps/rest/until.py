"""Doing something only until something else has happened: ``asyncio.timeout`` for any event, and in cheap for time.

The body of these contexts sees a cancellation and passes it on; a cancellation from outside goes through.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self


class _Breaking:
    """A context whose body is broken off by ``_strike``."""

    __slots__ = ("_cancellations", "_has_struck", "_is_open", "_task")

    def _enter(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "awaiting needs a task"
        self._task = task
        self._cancellations = task.cancelling()
        self._is_open, self._has_struck = True, False

    def _strike(self, _: object = None) -> None:
        if self._is_open:
            self._has_struck = True
            self._task.cancel()

    def _has_broken(self, kind: type[BaseException] | None) -> bool:
        """Close; return whether the cancellation the body ended with is ours."""
        self._is_open = False
        if not self._has_struck:
            return False
        from_outside = self._task.uncancel() > self._cancellations
        return kind is asyncio.CancelledError and not from_outside


class Until(_Breaking):
    """A context in which what is awaited is broken off as soon as a future is done. Leaving it says nothing: whoever
    uses it asks the future.
    """

    __slots__ = ("_event",)

    def __init__(self, event: asyncio.Future[Any]) -> None:
        self._event = event

    def __enter__(self) -> Self:
        self._enter()
        self._event.add_done_callback(self._strike)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._event.remove_done_callback(self._strike)
        return self._has_broken(kind)


class Within(_Breaking):
    """A context in which what is awaited may take so many seconds; leaving it raises ``TimeoutError`` if it took
    longer.
    """

    __slots__ = ("_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> Self:
        self._enter()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._strike)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._has_broken(kind):
            raise TimeoutError from error
