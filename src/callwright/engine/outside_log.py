"""Log lines that anybody can cause by sending us something: so many in a while, then their number only.

A disk or a log service must not fill up because somebody floods a port, and a person must still find the first lines of
each kind, and how many more there were.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

MOST_LINES = 10  # of one action in one window
WINDOW_S = 10.0


@dataclass(slots=True)
class _Window:
    """The lines of one action since a moment: ``until`` when it ends, ``left_out`` how many were not written."""

    until: float
    written: int = 0
    left_out: int = 0


class OutsideLog:
    """A log for what comes of datagrams and messages from outside; use it within an event loop.

    ``clock`` gives seconds that never go back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.get_logger()
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def info(self, text: str, *, action: str, **facts: object) -> None:
        if self._may_write(action):
            self._log.info(text, action=action, **facts)

    def warning(self, text: str, *, action: str, **facts: object) -> None:
        if self._may_write(action):
            self._log.warning(text, action=action, **facts)

    def exception(self, text: str, *, action: str, **facts: object) -> None:
        """Write a line with the exception that is being handled."""
        if self._may_write(action):
            self._log.exception(text, action=action, **facts)

    def _may_write(self, action: str) -> bool:
        now = self._clock()
        window = self._windows.get(action)
        if window is None or now >= window.until:
            self._tell(action)
            window = self._windows[action] = _Window(now + WINDOW_S)
        if window.written < MOST_LINES:
            window.written += 1
            return True
        window.left_out += 1
        if window.left_out == 1:
            # The flood may be over by then, and its size would never be told.
            asyncio.get_running_loop().call_later(window.until - now, self._end, action, window)
        return False

    def _end(self, action: str, window: _Window) -> None:
        if self._windows.get(action) is window:
            self._tell(action)

    def _tell(self, action: str) -> None:
        """Forget the window of an action; say how many of its lines were left out, if any were."""
        window = self._windows.pop(action, None)
        if window is not None and window.left_out:
            self._log.warning(
                f"{window.left_out} more log lines of the kind '{action}' were left out within {WINDOW_S:g} s: what "
                "somebody outside sends caused them.",
                action="log_lines_left_out",
                of=action,
                left_out=window.left_out,
            )


outside_log = OutsideLog()  # one for the process: its log is one, too
