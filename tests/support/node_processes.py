"""Processes of a test and everything they started: a mark in their environment finds them, whoever their parent is now.

with marked_processes() as marked:
    subprocess.Popen(..., env=marked.environment)
# leaving the block ends what is left and fails the test for it
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_MARK = "TEST_PROCESS_MARK"
_GONE_WITHIN_S = 10.0


class MarkedProcesses:
    """The processes that carry one mark. ``environment`` is for ``Popen``; children inherit it."""

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLWRIGHT_")}
        self.environment = kept | {_MARK: self._mark}

    def alive(self) -> dict[int, str]:
        """Return the process ids that carry the mark, with their command lines. The dead ones that nobody has asked
        about yet do not count.
        """
        wanted = f"{_MARK}={self._mark}".encode()
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            with suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                    found[int(folder.name)] = " ".join(word.decode(errors="replace") for word in words)
        return found

    def expect_none(self, *, within_s: float = _GONE_WITHIN_S) -> None:
        """Return when no process is left; fail with what is left otherwise."""
        wait_until(lambda: not self.alive(), within_s=within_s, what=lambda: f"still running: {self.alive()}")


@contextmanager
def marked_processes() -> Iterator[MarkedProcesses]:
    """Mark processes while the block runs; at its end nothing may be left of them."""
    marked = MarkedProcesses()
    try:
        yield marked
        marked.expect_none()
    finally:
        for pid in marked.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_until(
    condition: Callable[[], T | None],
    *,
    within_s: float = 20.0,
    what: str | Callable[[], str] = "what was waited for",
    every_s: float = 0.02,
) -> T:
    """Return the first true value of ``condition``; fail when there is none by the deadline, saying ``what``."""
    deadline = time.monotonic() + within_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            text = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {within_s:g} s: {text}")
        time.sleep(every_s)


def expect_throughout(
    condition: Callable[[], object], *, for_s: float, what: str | Callable[[], str], every_s: float = 0.1
) -> None:
    """Watch that something stays true, for what must not happen has no event to wait for; fail with ``what``."""
    until = time.monotonic() + for_s
    while True:
        if not condition():
            raise AssertionError(what if isinstance(what, str) else what())
        if time.monotonic() > until:
            return
        time.sleep(every_s)
