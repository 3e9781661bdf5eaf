"""The one tree of exceptions: each kind says whose fault it was.

The text of an exception says what happened, whose fault it is and what to do; the cause is chained. One place per edge
turns them into HTTP or SIP answers.
"""

from __future__ import annotations


class CallwrightError(Exception):
    """Base of everything callwright raises on purpose."""


class PeerError(CallwrightError):
    """The other side broke a rule: a malformed SIP message, an unusable page, a wrong packet."""


class RequestError(CallwrightError):
    """Our caller asked for something impossible. ``field`` names the parameter at fault, "" when there is none."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class OutsideError(CallwrightError):
    """The outside world failed: no route, a full disk, a server that does not answer."""


class InternalError(CallwrightError):
    """We have a bug: a rule we rely on does not hold."""
