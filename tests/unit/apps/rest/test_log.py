from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from callwright.apps.rest import log as log_module
from callwright.apps.rest.log import InstanceLog, Level

AT = 1_770_000_000.25


def write(folder: Path, *texts: str, stop_name: str = "b/stop.log", at: float = AT) -> None:
    async def story() -> None:
        log = InstanceLog(folder, "a/start.log", lambda: at)
        for text in texts:
            log.line(Level.INFO, text)
        await log.close(stop_name)

    asyncio.run(story())


def test_line_has_time_level_and_text(tmp_path: Path) -> None:
    write(tmp_path, "Hello", "Again")
    assert (tmp_path / "a/start.log").read_text() == (
        "2026-02-02 02:40:00.250 INFO Hello\n2026-02-02 02:40:00.250 INFO Again\n"
    )


def test_file_has_both_names_at_the_end(tmp_path: Path) -> None:
    write(tmp_path, "Hello")
    assert (tmp_path / "a/start.log").samefile(tmp_path / "b/stop.log")


def test_stop_name_equal_to_the_start_name_is_fine(tmp_path: Path) -> None:
    write(tmp_path, "Hello", stop_name="a/start.log")
    assert [path.name for path in tmp_path.rglob("*.log")] == ["start.log"]


def test_control_characters_cannot_forge_a_line(tmp_path: Path) -> None:
    write(tmp_path, "a\nb\r\x1b[2Jc\u2028d")
    assert (tmp_path / "a/start.log").read_text().splitlines() == [
        "2026-02-02 02:40:00.250 INFO a\\nb\\r\\x1b[2Jc\\u2028d"
    ]


def test_endless_line_is_cut(tmp_path: Path) -> None:
    write(tmp_path, "x" * 20_000)
    text = (tmp_path / "a/start.log").read_text()
    assert "(3616 more characters)" in text
    assert len(text) < 17_000


def test_log_stops_growing_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_LOG_BYTES", 500)
    write(tmp_path, *["x" * 90] * 50)
    lines = (tmp_path / "a/start.log").read_text().splitlines()
    assert len(lines) < 8
    assert lines[-1].endswith("WARNING the log has reached its limit, nothing more is written to it")


def test_folder_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file where a folder should be")
    write(tmp_path, "Hello")
    assert list(tmp_path.rglob("*.log")) == []


def test_discarded_log_leaves_no_file(tmp_path: Path) -> None:
    async def story() -> None:
        log = InstanceLog(tmp_path, "start.log", lambda: AT)
        log.line(Level.INFO, "Hello")
        await log.discard()

    asyncio.run(story())
    assert list(tmp_path.rglob("*.log")) == []
