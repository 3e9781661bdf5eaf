"""What ``explain`` takes from the log of an instance."""

from __future__ import annotations

import asyncio
from pathlib import Path

from callwright.apps.rest.log import InstanceLog, Level
from callwright.web.explain_log import LONGEST_LINE, MOST_LINES, READ_BYTES, troubles


def log_of(folder: Path, *lines: tuple[Level, str]) -> Path:
    """Write a log as instances do."""

    async def write() -> None:
        log = InstanceLog(folder, "an_instance.log", lambda: 1_366_641_192.25)
        for level, text in lines:
            log.line(level, text)
        await log.close("an_instance.log")

    asyncio.run(write())
    return folder / "an_instance.log"


def test_warnings_and_errors_are_taken_in_order_without_their_times(tmp_path: Path) -> None:
    log = log_of(
        tmp_path,
        (Level.INFO, "page asked, ERROR in its name"),
        (Level.WARNING, "slow"),
        (Level.ERROR, "problem: page request failed: status 404"),
    )
    assert troubles(log) == ["slow", "page request failed: status 404"]


def test_only_the_last_ones_are_taken_and_none_is_endless(tmp_path: Path) -> None:
    log = log_of(tmp_path, *((Level.ERROR, f"{number} {'x' * 1000}") for number in range(MOST_LINES + 3)))
    found = troubles(log)
    assert [line.split()[0] for line in found] == [str(number) for number in range(3, MOST_LINES + 3)]
    assert {len(line) for line in found} == {LONGEST_LINE + 1}


def test_a_long_log_is_read_from_its_end(tmp_path: Path) -> None:
    much = [(Level.INFO, "é" * 8000)] * (READ_BYTES // 16000 + 1)
    assert troubles(log_of(tmp_path, (Level.ERROR, "long ago"), *much, (Level.ERROR, "late"))) == ["late"]


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert troubles(tmp_path / "none.log") == []
