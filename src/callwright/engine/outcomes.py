"""How calls ended, as the events of the SIP core tell it and as our own giving up has it. Pure."""

from __future__ import annotations

from callwright.engine.redirects import FOLLOWED_CODES
from callwright.sip import event as sip_event
from callwright.sip.headers import header_value
from callwright.sip.reason import q850_cause
from callwright.values.outcome import Cause, EndedBy, Outcome, RestCause, answered_outcome, failed_outcome


def platform_error(code: int, detail: str) -> Outcome:
    """We cannot go on with a call that the far end would have carried."""
    return Outcome(cause=Cause.ERROR, code=code, rest_cause=RestCause.FAILED, ended_by=EndedBy.PLATFORM, detail=detail)


def ended_by_us(detail: str, *, was_answered: bool) -> Outcome:
    """We hung up, or gave the call up before its answer."""
    if was_answered:
        return answered_outcome(ended_by=EndedBy.PLATFORM, detail=detail)
    return failed_outcome(487, ended_by=EndedBy.PLATFORM, detail=detail)


def hung_up_by_far_end(event: sip_event.Ended) -> Outcome:
    said = event.reason_header
    return answered_outcome(ended_by=EndedBy.FAR_END, detail=said, q850=q850_cause(said))


def not_answered(event: sip_event.Failed, *, gave_up: str, not_followed: str) -> Outcome:
    """The far end refused or was silent. ``gave_up`` says why we gave up before that, ``not_followed`` why a
    redirection led no further; "" where that was not so.
    """
    reason = header_value(event.headers, "reason")
    if gave_up:
        # A redirection that came before we gave up was followed no more: then our giving up is what ended the call.
        code = 487 if event.code in FOLLOWED_CODES else event.code
        return failed_outcome(code, ended_by=EndedBy.PLATFORM, detail=gave_up)
    why_not = f"not followed: {not_followed}" if not_followed else ""
    return failed_outcome(
        event.code,
        ended_by=EndedBy.PLATFORM if event.local else EndedBy.FAR_END,
        detail="; ".join(part for part in (event.reason, reason, why_not) if part),
        q850=q850_cause(reason or ""),
    )


def retry_after(event: sip_event.Failed) -> int | None:
    """Return the seconds a far end asks for peace, without comment and parameters (RFC 3261 section 20.33); None when
    it does not, or for what is no number.
    """
    value = header_value(event.headers, "retry-after") or ""
    digits = value.partition(";")[0].partition("(")[0].strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else None
