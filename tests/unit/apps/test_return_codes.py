from __future__ import annotations

from callwright.apps import return_codes
from callwright.apps.rest.problem import ProblemKind
from callwright.records import ledger


def test_every_problem_has_a_negative_code_with_a_meaning() -> None:
    codes = [return_codes.code_of(kind) for kind in ProblemKind]
    assert all(code < 0 for code in codes)
    assert len(set(codes)) == len(codes)
    assert all(code in return_codes.MEANINGS for code in codes)


def test_code_that_recovery_gives_is_that_of_the_table() -> None:
    assert ledger.RETURN_CODE_RESTARTED == return_codes.PLATFORM_RESTARTED


def test_error_text_is_that_of_rest_applications() -> None:
    assert return_codes.error_text("reminder", -10) == (
        "REST application [reminder]. started ok. completion status [-10]"
    )
