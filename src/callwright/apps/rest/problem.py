"""What ends an instance with an error, as a value with a stable text (docs/reference/rest-applications.md, errors)."""

from __future__ import annotations

from enum import StrEnum

from callwright.values.errors import CallwrightError


class ProblemKind(StrEnum):
    """How the text of an error begins; applications compare with these."""

    PAGE_REQUEST_FAILED = "page request failed"
    INVALID_RESPONSE = "invalid response"
    INVALID_ACTION = "invalid action"
    MEDIA_NOT_AVAILABLE = "media not available"
    WRONG_CALL_STATE = "wrong call state"
    INTERNAL_ERROR = "internal error"


class Problem(CallwrightError):
    """The instance cannot go on. ``action`` names the failing action, "" when none was running; ``details`` has one
    entry for each thing found wrong.
    """

    def __init__(self, kind: ProblemKind, *details: str, action: str = "") -> None:
        super().__init__(f"{kind}: {details[0]}" if details else str(kind))
        self.kind = kind
        self.details = details
        self.action = action

    @property
    def text(self) -> str:
        """The text of ``error_result.result``."""
        return str(self)
