"""Both ways to write logs, the C helper's and Python's, leave the same files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callwright.apps.rest.log_files import Entry, write
from callwright.media.helper import HELPER

Write = Callable[[list[Entry]], None]


@pytest.fixture(params=["helper", "python"])
def writing(request: pytest.FixtureRequest) -> Write:
    if request.param == "python":
        return lambda entries: write(entries, None)
    function = getattr(HELPER, "callwright_write_logs", None)
    if function is None:
        pytest.skip("the C helper is not there")
    return lambda entries: write(entries, function)


class Failures(list[OSError]):
    def entry(self, path: Path, **given: Any) -> Entry:
        return Entry(path=str(path), failed=self.append, **given)


def test_texts_are_appended_in_order_and_the_second_name_is_the_same_file(tmp_path: Path, writing: Write) -> None:
    failures, a, b, stop = Failures(), tmp_path / "a.log", tmp_path / "b.log", tmp_path / "stop.log"
    entry = failures.entry
    writing([entry(a, text=b"1\n"), entry(b, text=b"x\n"), entry(a, text=b"2\n", second=str(stop))])
    writing([entry(b, second=str(tmp_path / "ä.log"))])
    assert (a.read_bytes(), b.read_bytes()) == (b"1\n2\n", b"x\n")
    assert stop.samefile(a)
    assert (tmp_path / "ä.log").samefile(b)
    assert failures == []


def test_folders_that_are_not_there_are_made_for_the_operator_alone(tmp_path: Path, writing: Write) -> None:
    failures, start, stop = Failures(), tmp_path / "22" / "a.log", tmp_path / "23" / "a.log"
    before = tmp_path / "before.log"
    others = [failures.entry(before, text=b"0\n")]
    writing([*others, failures.entry(start, text=b"1\n", second=str(stop)), failures.entry(start, text=b"2\n")])
    assert stop.read_bytes() == b"1\n2\n"
    assert before.read_bytes() == b"0\n"
    assert start.parent.stat().st_mode & 0o777 == stop.parent.stat().st_mode & 0o777 == 0o700
    assert failures == []


def test_second_name_that_is_there_already_is_left_alone(tmp_path: Path, writing: Write) -> None:
    failures, stop = Failures(), tmp_path / "stop.log"
    stop.write_text("another")
    writing([failures.entry(tmp_path / "a.log", text=b"1\n", second=str(stop))])
    assert stop.read_text() == "another"
    assert failures == []


def test_log_that_cannot_be_written_is_told_and_the_others_are_written(tmp_path: Path, writing: Write) -> None:
    failures, others = Failures(), Failures()
    (tmp_path / "folder.log").mkdir()
    last = tmp_path / "last.log"
    writing([failures.entry(tmp_path / "folder.log", text=b"1\n"), others.entry(last, text=b"2\n")])
    assert [type(failure) for failure in failures] == [IsADirectoryError]
    assert last.read_bytes() == b"2\n"
    assert others == []


def test_what_was_written_of_a_text_is_not_written_again(tmp_path: Path) -> None:
    def half(*arguments: Any) -> int:
        count, paths, texts, _, _, octets = arguments
        assert count == 2
        Path(os.fsdecode(paths[0])).write_bytes(texts[0][:3])
        octets._obj.value = 3
        return 0

    failures, a, b = Failures(), tmp_path / "a.log", tmp_path / "b.log"
    write([failures.entry(a, text=b"12345\n"), failures.entry(b, text=b"67890\n")], half)
    assert (a.read_bytes(), b.read_bytes()) == (b"12345\n", b"67890\n")


def test_void_log_is_deleted_after_what_was_still_to_be_written(tmp_path: Path, writing: Write) -> None:
    failures, path = Failures(), tmp_path / "a.log"
    writing([failures.entry(path, text=b"1\n"), failures.entry(path, is_void=True)])
    writing([failures.entry(path, is_void=True)])
    assert not path.exists()
    assert failures == []
