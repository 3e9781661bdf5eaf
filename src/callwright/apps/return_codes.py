"""The return codes of instances: the one table (docs/reference/rest-applications.md, return codes).

0 is an instance that ended as its application wanted or as its call did, busy and unanswered calls included. Negative
codes are errors: each makes an error record 2008.
"""

from __future__ import annotations

from callwright.apps.rest.problem import ProblemKind

COMPLETED = 0
INTERNAL = -1
PAGE_REQUEST_FAILED = -10
INVALID_RESPONSE = -11
INVALID_ACTION = -12
MEDIA_NOT_AVAILABLE = -13
WRONG_CALL_STATE = -14
CANCELLED = -80  # the operator ended it, or this node stopped before it was over
PLATFORM_RESTARTED = -90  # found unfinished after a crash; written by recovery

MEANINGS: dict[int, str] = {
    COMPLETED: "completed",
    INTERNAL: "internal error",
    PAGE_REQUEST_FAILED: "page request failed",
    INVALID_RESPONSE: "invalid response",
    INVALID_ACTION: "invalid action",
    MEDIA_NOT_AVAILABLE: "media not available",
    WRONG_CALL_STATE: "wrong call state",
    CANCELLED: "ended by the operator, or the platform was stopped",
    PLATFORM_RESTARTED: "the platform restarted; the call may have rung",
}

_OF_PROBLEMS: dict[ProblemKind, int] = {
    ProblemKind.PAGE_REQUEST_FAILED: PAGE_REQUEST_FAILED,
    ProblemKind.INVALID_RESPONSE: INVALID_RESPONSE,
    ProblemKind.INVALID_ACTION: INVALID_ACTION,
    ProblemKind.MEDIA_NOT_AVAILABLE: MEDIA_NOT_AVAILABLE,
    ProblemKind.WRONG_CALL_STATE: WRONG_CALL_STATE,
    ProblemKind.INTERNAL_ERROR: INTERNAL,
}


def code_of(kind: ProblemKind) -> int:
    """Return the return code of an instance that this kind of problem ended."""
    return _OF_PROBLEMS[kind]


def error_text(service_name: str, code: int) -> str:
    """Return the text of error record 2008 for a REST instance (docs/reference/records.md, error records)."""
    return f"REST application [{service_name}]. started ok. completion status [{code}]"
