"""The reference page names what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from callwright.apps import return_codes
from callwright.apps.rest.actions import ACTIONS, NOT_AVAILABLE
from callwright.apps.rest.problem import ProblemKind

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "rest-applications.md").read_text()


@pytest.mark.parametrize("action", [*sorted(ACTIONS), *sorted(NOT_AVAILABLE)])
def test_every_action_is_on_the_page(action: str) -> None:
    assert f"`{action}`" in PAGE or f"### {action}" in PAGE


@pytest.mark.parametrize(("code", "meaning"), sorted(return_codes.MEANINGS.items()))
def test_every_return_code_is_on_the_page(code: int, meaning: str) -> None:
    assert f"| {code} | {meaning}" in PAGE


@pytest.mark.parametrize("kind", list(ProblemKind))
def test_every_kind_of_problem_is_on_the_page(kind: ProblemKind) -> None:
    assert f"`{kind}`" in PAGE
