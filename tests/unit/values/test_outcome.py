from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.values.outcome import Cause, EndedBy, RestCause, answered_outcome, failed_outcome

CAUSES = [
    (486, "BUSY(486)", RestCause.BUSY),
    (600, "BUSY(600)", RestCause.BUSY),
    (408, "NOANSWER(408)", RestCause.NO_ANSWER),
    (480, "NOANSWER(480)", RestCause.NO_ANSWER),
    (487, "NOANSWER(487)", RestCause.NO_ANSWER),
    (404, "UNOBTAINABLE(404)", RestCause.UNOBTAINABLE),
    (484, "UNOBTAINABLE(484)", RestCause.UNOBTAINABLE),
    (485, "UNOBTAINABLE(485)", RestCause.UNOBTAINABLE),
    (604, "UNOBTAINABLE(604)", RestCause.UNOBTAINABLE),
    (410, "CHANGED(410)", RestCause.UNOBTAINABLE),
    (502, "OUTOFORDER(502)", RestCause.UNOBTAINABLE),
    (403, "BARRED(403)", RestCause.FAILED),
    (603, "REJECTED(603)", RestCause.FAILED),
    (503, "NOCHANNELS(503)", RestCause.FAILED),
    (504, "CONGESTION(504)", RestCause.FAILED),
    (500, "FAILED(500)", RestCause.FAILED),
    (606, "FAILED(606)", RestCause.FAILED),
    (-1, "FAILED(-1)", RestCause.UNOBTAINABLE),
]


@pytest.mark.parametrize(("code", "hangup_cause", "rest_cause"), CAUSES)
def test_each_final_code_has_its_causes(code: int, hangup_cause: str, rest_cause: RestCause) -> None:
    outcome = failed_outcome(code)
    assert (outcome.hangup_cause, outcome.rest_cause, outcome.was_answered) == (hangup_cause, rest_cause, False)


@given(st.integers(min_value=400, max_value=699))
def test_the_code_received_is_the_code_shown(code: int) -> None:
    outcome = failed_outcome(code, ended_by=EndedBy.PLATFORM, detail="why")
    assert outcome.hangup_cause.endswith(f"({code})")
    assert (outcome.ended_by, outcome.detail) == (EndedBy.PLATFORM, "why")


@pytest.mark.parametrize(
    ("ended_by", "rest_cause"),
    [
        (EndedBy.FAR_END, RestCause.HUNG_UP),
        (EndedBy.APPLICATION, RestCause.COMPLETED),
        (EndedBy.PLATFORM, RestCause.COMPLETED),
    ],
)
def test_an_answered_call_ends_normally_and_tells_who_ended_it(ended_by: EndedBy, rest_cause: RestCause) -> None:
    outcome = answered_outcome(ended_by=ended_by)
    assert (outcome.cause, outcome.hangup_cause) == (Cause.NORMAL, "NORMAL(200)")
    assert (outcome.rest_cause, outcome.was_answered) == (rest_cause, True)
