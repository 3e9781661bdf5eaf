"""Tables for people that other programs can read too."""

from __future__ import annotations

import pytest

from callwright.cli.tables import show_table


def test_columns_are_aligned_and_no_line_ends_with_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name", "pages"), [("a", ""), ("longer name", "http://x/")], empty="nothing")
    assert capsys.readouterr().out == "name         pages\na\nlonger name  http://x/\n"


def test_without_rows_it_says_that_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name",), [], empty="no service yet")
    assert capsys.readouterr().out == "no service yet\n"
