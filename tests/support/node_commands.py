"""Runs ``callwright`` commands in this process, messages and exit codes of problems included."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from callwright.cli.main import main


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended: its exit code and both outputs."""

    code: int
    out: str
    err: str


class Commands:
    """Commands for the node of one data folder. ``code`` 0 is expected unless a test says otherwise."""

    def __init__(self, data: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._data = data
        self._patch = patch
        self._capture = capture

    def run(self, *arguments: str, code: int = 0) -> Ran:
        self._patch.setattr(sys, "argv", ["callwright", *arguments, "--data", str(self._data)])
        self._capture.readouterr()
        try:
            main()
            ended = 0
        except SystemExit as end:
            ended = end.code if isinstance(end.code, int) else 1
        shown = self._capture.readouterr()
        assert ended == code, f"{arguments} ended with {ended}: {shown.out}{shown.err}"
        return Ran(code=ended, out=shown.out, err=shown.err)
