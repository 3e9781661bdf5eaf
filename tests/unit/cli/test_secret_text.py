"""Secrets of commands: given on the command line, or read from the input, where nobody else can see them."""

from __future__ import annotations

import io
import sys

import pytest

from callwright.cli.options import secret_text


@pytest.mark.parametrize(
    ("given", "said", "secret"),
    [("p4ss", "", "p4ss"), ("", "x", ""), ("-", "open sesame\n", "open sesame"), ("-", "", "")],
)
def test_a_dash_stands_for_a_line_of_the_input(
    monkeypatch: pytest.MonkeyPatch, given: str, said: str, secret: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))
    assert secret_text(given) == secret
