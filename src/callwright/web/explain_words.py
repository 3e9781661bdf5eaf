"""What reasons, return codes and causes mean, and what to do about them, in words for people."""

from __future__ import annotations

import re
from enum import StrEnum

from callwright.apps import return_codes
from callwright.outbound.reasons import Reason
from callwright.sip.event import NO_ADDRESS, UNSENT
from callwright.values.outcome import Cause

Advice = tuple[str, str]
"""What it means, and what to do."""

_SERVICE = "callwright service show"
_RULES = "callwright account rules ACCOUNT"

REASONS: dict[Reason, Advice] = {
    Reason.NO_UAS: (
        "The application of this service runs on a remote application server, and none was connected.",
        "Connect the application server, then start again.",
    ),
    Reason.SERVICE_DISABLED: (
        "The service was switched off while the start waited.",
        "Add another service (callwright service add) and start that one: this one cannot be switched on again.",
    ),
    Reason.INVALID_CALLER_ID: (
        "The caller id in 'from' is not one the account may show to telephone numbers.",
        "Use one of the account's caller ids (callwright account list); they are chosen when the account is added "
        "(callwright account add --caller-id).",
    ),
    Reason.INVALID_DESTINATION: (
        "The destination was accepted by an earlier version of callwright and means nothing to this one.",
        "Start again with a destination as docs/reference/web-services.md describes them.",
    ),
    Reason.WRONG_CALL_TYPE: (
        "A conference room was named for a telephone service, or the reverse.",
        f"Look at call_type of the service ({_SERVICE}), and start the service that fits the destination.",
    ),
    Reason.EMERGENCY_NUMBER: (
        "The destination is an emergency number of some country; these are refused for every account.",
        "Correct the number: emergency services can only be called by a person's own telephone.",
    ),
    Reason.SHORT_CODE: (
        "The destination works only inside its own country, so it cannot be dialled from here.",
        "Use the full international number that the short code stands for, if there is one.",
    ),
    Reason.PREMIUM_NUMBER: (
        "The destination is a premium rate or shared cost number, and the account does not allow them.",
        f"Allow them ({_RULES} --allow-premium), or correct the number.",
    ),
    Reason.UNKNOWN_NUMBER: (
        "No country has such a number, or it belongs to a satellite network; the account does not allow these.",
        f"Correct the number: country code first, without leading 0; or allow such numbers ({_RULES} --allow-unknown).",
    ),
    Reason.NUMBER_BLOCKED: (
        "The account's lists of allowed and forbidden prefixes do not let this number through.",
        f"Change the lists ({_RULES} with --allow and --block), or do not call this number.",
    ),
    Reason.DO_NOT_CALL: (
        "The number is on the account's do-not-call list.",
        "Leave it alone; whoever owns it asked not to be called.",
    ),
    Reason.PRICE_LIMIT: (
        "A minute of this call would cost more than the account allows.",
        f"Raise the limit ({_RULES} --max-price), or do not call this number.",
    ),
    Reason.INSUFFICIENT_BALANCE: (
        "The account's daily cap or credit would be exceeded, counting what running calls may still cost.",
        f"Wait for running calls to end, or raise what was reached ({_RULES} shows it; --daily-cap or --add-credit), "
        "then start again.",
    ),
    Reason.QUEUE_PURGED: (
        "The queue of the service was emptied before this start was dialled.",
        "Start again if the call is still wanted.",
    ),
    Reason.QUEUE_TIME_LIMIT: (
        "The start waited in its queue for as long as a start may.",
        "Start fewer calls at a time, or let starts wait longer (calls.queue_limit_s in the settings).",
    ),
    Reason.INTERNAL_ERROR: (
        "The platform failed before anybody was dialled; this is a defect of callwright.",
        "Report it with the lines of the node's log that name this reference.",
    ),
}

_NO_ROUTE: Advice = (
    "This node has no way to reach the destination.",
    "Correct the destination, or add a trunk that carries it (callwright trunk add); for test numbers run "
    "callwright serve --sandbox.",
)
_NOT_AVAILABLE: Advice = (
    "This version of callwright accepts this kind of destination but cannot call it.",
    "Use tel: or sip: destinations.",
)

RETURN_CODES: dict[int, str] = {
    return_codes.INTERNAL: "Report it with the lines of the node's log that name this instance.",
    return_codes.PAGE_REQUEST_FAILED: "Look in the instance's log which page failed and how; check that its web server "
    "runs and can be reached from this node.",
    return_codes.INVALID_RESPONSE: "Look in the instance's log which answer could not be read; it must be "
    "the JSON that docs/reference/rest-applications.md describes.",
    return_codes.INVALID_ACTION: "Look in the instance's log which action was refused, and correct the page.",
    return_codes.MEDIA_NOT_AVAILABLE: "Look in the instance's log which sound is missing, and put it where it belongs.",
    return_codes.WRONG_CALL_STATE: "Look in the instance's log which action came at the wrong time.",
    return_codes.CANCELLED: "Start again if the call is still wanted.",
    return_codes.PLATFORM_RESTARTED: "Decide whether to call again: the telephone may have rung, so callwright "
    "does not.",
}


class HowFar(StrEnum):
    """How far a call had come when the platform stopped all of a sudden."""

    UNKNOWN = "unknown"
    UP = "up"
    OVER = "over"


RESTARTS: dict[HowFar, Advice] = {  # in place of what is said of -90 in general
    HowFar.UNKNOWN: (
        "The platform stopped while the call was being placed; the telephone may have rung.",
        RETURN_CODES[return_codes.PLATFORM_RESTARTED],
    ),
    HowFar.UP: (
        "The platform stopped while the call was up, and hung up when it ran again: the application did not get to its "
        "end.",
        "Decide whether to call again: somebody answered and was cut off, so callwright does not.",
    ),
    HowFar.OVER: (
        "The call was over when the platform stopped, but the application was not: its final page may not have been "
        "asked.",
        "Look below how the call ended; callwright does not call again.",
    ),
}

CAUSES: dict[Cause, str] = {
    Cause.TIMEOUT: "it reached the longest duration a call may have",
    Cause.ERROR: "the platform failed or was restarted; it is not known how far the call came",
    Cause.NORMAL: "it was answered, and ended normally",
    Cause.BUSY: "the called party was busy",
    Cause.NOANSWER: "nobody answered",
    Cause.UNOBTAINABLE: "the number does not exist or cannot be reached",
    Cause.CHANGED: "the number is not in use any more",
    Cause.OUTOFORDER: "the far end is out of order",
    Cause.BARRED: "the far end or its network does not allow this call",
    Cause.REJECTED: "the called party declined",
    Cause.NOCHANNELS: "the far end had no free line",
    Cause.CONGESTION: "the network was congested",
    Cause.FAILED: "it failed in the network",
    Cause.OTHER: "it ended in a way that has no name of its own",
}

_CAUSE = re.compile(r"(?P<cause>[A-Z]+)\((?P<code>-?\d+)\)")


def advice_on_reason(reason: str) -> Advice:
    """Return what a reason after ``couldnotrun`` means and what to do."""
    if reason in REASONS:
        return REASONS[Reason(reason)]
    if reason.startswith("No route"):
        return _NO_ROUTE
    if reason.endswith("not available"):
        return _NOT_AVAILABLE
    return f"The start could not run: {reason}.", "See docs/reference/queue.md, reasons."


def advice_on_return_code(code: int, *, is_answered: bool = True) -> Advice:
    """Return what a return code means and what to do, "" when nothing needs to be done.

    ``is_answered`` is False when no call of the start was answered.
    """
    if code == return_codes.COMPLETED and not is_answered:
        return "Nobody answered the call, so the application had only its final page, if it has one, to run.", ""
    if code == return_codes.COMPLETED:
        return "The application ran to its end.", ""
    if code > 0 or code <= -100:
        return f"The application ended with its own return code {code}.", "Ask whoever wrote the application."
    meaning = return_codes.MEANINGS.get(code, f"the platform ended it with {code}")
    return f"The instance ended with an error: {meaning}.", RETURN_CODES.get(code, "Look in the instance's log.")


def cause_in_words(hangup_cause: str, detail: str = "") -> str:
    """Return what ``BUSY(486)`` says, as a part of a sentence; causes without words are returned as they are.

    ``detail`` is that of the call's record: a 503 of our own is nobody else's.
    """
    if detail.endswith(NO_ADDRESS):
        return (
            "nothing was sent: the host's name leads to no address. Check how it is written, and the name servers of "
            "this machine"
        )
    if UNSENT in detail.split("; "):
        return (
            "nothing could be sent to the far end: nobody listens there, no way leads there, or its certificate is not "
            "believed. `callwright trunk test` and the node's log say which"
        )
    found = _CAUSE.fullmatch(hangup_cause)
    if found is None or found["cause"] not in Cause.__members__:
        return hangup_cause
    words = CAUSES[Cause(found["cause"])]
    code = int(found["code"])
    return words if code in (0, 200) else f"{words} (SIP {code})" if code > 0 else f"{words} (tones before an answer)"
