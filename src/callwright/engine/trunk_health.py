"""Whether a trunk is there, by OPTIONS sent to it now and then.

Pure timed machine: ``wake_at`` says when to check next, ``checked`` takes what came of it.

unknown -> up     one good answer
unknown, up -> down   DOWN_AFTER failed checks in a row
down    -> up     UP_AFTER good answers in a row

Any answer shows that somebody is there, but 408 and 5xx (501 excepted: OPTIONS is not implemented) say that calls
would fail.
"""

from __future__ import annotations

from enum import StrEnum

DOWN_AFTER = 2
UP_AFTER = 2
DOUBT_S = 5.0  # how soon a check is repeated while the answers speak against the state


class HealthState(StrEnum):
    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"
    UNCHECKED = "unchecked"


class Health:
    """The health of one trunk, checked every ``every_s`` seconds; 0: never, and it counts as usable."""

    def __init__(self, *, every_s: float, now: float) -> None:
        self.state = HealthState.UNKNOWN if every_s else HealthState.UNCHECKED
        self.last_code: int | None = None  # of the last check; None: silence, or not checked yet
        self._every_s = every_s
        self._against = 0  # checks in a row that speak against the state
        self._next_at: float | None = now if every_s else None

    @property
    def is_down(self) -> bool:
        return self.state is HealthState.DOWN

    @property
    def why_down(self) -> str:
        """What came of the last check of a trunk that is down, "" for one that is not."""
        if not self.is_down:
            return ""
        if self.last_code is None:
            return "no answer to OPTIONS"
        return f"answers {'again' if is_alive(self.last_code) else 'OPTIONS'} with {self.last_code}"

    def wake_at(self) -> float | None:
        """Return when to check, None for never."""
        return self._next_at

    def checked(self, code: int | None, now: float) -> bool:
        """Take the code OPTIONS was answered with, None for silence; return whether the state changed."""
        self.last_code = code
        good = code is not None and is_alive(code)
        agrees = {HealthState.UP: good, HealthState.DOWN: not good}.get(self.state, False)
        self._against = 0 if agrees else self._against + 1
        before = self.state
        if good and (before is HealthState.UNKNOWN or (before is HealthState.DOWN and self._against >= UP_AFTER)):
            self.state = HealthState.UP
        elif not good and before is not HealthState.DOWN and self._against >= DOWN_AFTER:
            self.state = HealthState.DOWN
        if self.state is not before:
            self._against = 0
        self._next_at = now + (min(DOUBT_S, self._every_s) if self._against else self._every_s)
        return self.state is not before


def is_alive(code: int) -> bool:
    """Whether an answer to OPTIONS shows a trunk that takes calls."""
    return code == 501 or (code != 408 and code < 500) or code >= 600
