"""How a call ended, as a value, and the one table of causes (docs/reference/web-services.md, causes)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Names of ``hangup_cause`` in a CDR."""

    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"
    NORMAL = "NORMAL"
    BUSY = "BUSY"
    NOANSWER = "NOANSWER"
    UNOBTAINABLE = "UNOBTAINABLE"
    CHANGED = "CHANGED"
    OUTOFORDER = "OUTOFORDER"
    BARRED = "BARRED"
    REJECTED = "REJECTED"
    NOCHANNELS = "NOCHANNELS"
    CONGESTION = "CONGESTION"
    FAILED = "FAILED"
    OTHER = "OTHER"


class RestCause(StrEnum):
    """Values of ``call_cause`` in a REST page request."""

    COMPLETED = "completed"
    HUNG_UP = "hung_up"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    UNOBTAINABLE = "unobtainable"
    DROPPED = "dropped"
    FAILED = "failed"


class EndedBy(StrEnum):
    """Who ended a call: the far end, this platform on behalf of the application, or neither (a failure or a limit)."""

    FAR_END = "far_end"
    APPLICATION = "application"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one call ended. ``code`` is the SIP code as received (200 after an answer, -1 for in-band error tones).

    ``detail`` says more in words; ``q850`` is the cause the telephone network gave (ITU-T Q.850), None without one.
    """

    cause: Cause
    code: int
    rest_cause: RestCause
    ended_by: EndedBy
    detail: str = ""
    q850: int | None = None

    @property
    def hangup_cause(self) -> str:
        """The CDR's text, e.g. ``BUSY(486)``."""
        return f"{self.cause}({self.code})"

    @property
    def was_answered(self) -> bool:
        return self.code == 200


_TABLE: dict[int, tuple[Cause, RestCause]] = {
    486: (Cause.BUSY, RestCause.BUSY),
    600: (Cause.BUSY, RestCause.BUSY),
    408: (Cause.NOANSWER, RestCause.NO_ANSWER),
    480: (Cause.NOANSWER, RestCause.NO_ANSWER),
    487: (Cause.NOANSWER, RestCause.NO_ANSWER),
    404: (Cause.UNOBTAINABLE, RestCause.UNOBTAINABLE),
    484: (Cause.UNOBTAINABLE, RestCause.UNOBTAINABLE),
    485: (Cause.UNOBTAINABLE, RestCause.UNOBTAINABLE),
    604: (Cause.UNOBTAINABLE, RestCause.UNOBTAINABLE),
    410: (Cause.CHANGED, RestCause.UNOBTAINABLE),
    502: (Cause.OUTOFORDER, RestCause.UNOBTAINABLE),
    403: (Cause.BARRED, RestCause.FAILED),
    603: (Cause.REJECTED, RestCause.FAILED),
    503: (Cause.NOCHANNELS, RestCause.FAILED),
    504: (Cause.CONGESTION, RestCause.FAILED),
    -1: (Cause.FAILED, RestCause.UNOBTAINABLE),
}


def failed_outcome(
    code: int, *, ended_by: EndedBy = EndedBy.FAR_END, detail: str = "", q850: int | None = None
) -> Outcome:
    """Return the outcome of a call that was never answered, from its final SIP code (-1: in-band error tones)."""
    cause, rest_cause = _TABLE.get(code, (Cause.FAILED, RestCause.FAILED))
    return Outcome(cause=cause, code=code, rest_cause=rest_cause, ended_by=ended_by, detail=detail, q850=q850)


def answered_outcome(*, ended_by: EndedBy, detail: str = "", q850: int | None = None) -> Outcome:
    """Return the outcome of a call that was answered: ``hung_up`` by the far end, else ``completed``."""
    rest_cause = RestCause.HUNG_UP if ended_by is EndedBy.FAR_END else RestCause.COMPLETED
    return Outcome(cause=Cause.NORMAL, code=200, rest_cause=rest_cause, ended_by=ended_by, detail=detail, q850=q850)
