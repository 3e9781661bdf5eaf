from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.support.ledger import T0, open_ledger

from callwright.accounts import do_not_call
from callwright.accounts.do_not_call import Entry, read_list
from callwright.accounts.store import create_account
from callwright.values.errors import RequestError


def test_numbers_are_added_once_listed_and_removed(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        mine = at.account.id
        assert at.db.write_now(lambda c: do_not_call.add(c, mine, [("441", "asked"), ("442", "")], now=T0)) == 2
        assert at.db.write_now(lambda c: do_not_call.add(c, mine, [("442", "again"), ("443", "")], now=T0 + 1)) == 1
        assert at.db.read_now(lambda c: do_not_call.page(c, mine)) == [
            Entry(number="441", note="asked", added_at=T0),
            Entry(number="442", note="", added_at=T0),
            Entry(number="443", note="", added_at=T0 + 1),
        ]
        assert [e.number for e in at.db.read_now(lambda c: do_not_call.page(c, mine, after="441", limit=1))] == ["442"]
        assert at.db.write_now(lambda c: do_not_call.remove(c, mine, ["441", "449"])) == 1
        assert at.db.read_now(lambda c: do_not_call.size(c, mine)) == 2
        assert at.db.read_now(lambda c: do_not_call.blocked(c, mine, ["441", "442"])) == {"442"}
        assert at.db.read_now(lambda c: do_not_call.is_blocked(c, mine, "443"))


def test_the_list_of_one_account_stops_nobody_else(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        other, _ = at.db.write_now(lambda c: create_account(c, username="eve@example.com", created_at=T0))
        at.db.write_now(lambda c: do_not_call.add(c, at.account.id, [("441", "")], now=T0))
        assert at.db.read_now(lambda c: do_not_call.blocked(c, other.id, ["441"])) == set()
        assert at.db.write_now(lambda c: do_not_call.remove(c, other.id, ["441"])) == 0
        assert at.db.write_now(lambda c: do_not_call.add(c, other.id, [("441", "")], now=T0)) == 1


def test_a_list_longer_than_a_statement_is_looked_up_whole(tmp_path: Path) -> None:
    numbers = [f"4419082{n:05d}" for n in range(2500)]
    with open_ledger(tmp_path) as at:
        mine = at.account.id
        at.db.write_now(lambda c: do_not_call.add(c, mine, [(number, "") for number in numbers[::2]], now=T0))
        assert at.db.read_now(lambda c: do_not_call.blocked(c, mine, numbers)) == set(numbers[::2])
        assert at.db.write_now(lambda c: do_not_call.remove(c, mine, numbers)) == 1250


def test_a_note_that_is_no_line_of_text_is_refused(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        for note in ("x" * 201, "two\nlines"):
            with pytest.raises(RequestError, match="note"):
                at.db.write_now(partial(do_not_call.add, account_id=at.account.id, entries=[("441", note)], now=T0))
        assert at.db.read_now(lambda c: do_not_call.size(c, at.account.id)) == 0


def test_a_file_is_read_with_notes_and_each_number_once() -> None:
    read = read_list(
        '\ufeffnumber,note\n+44 1908 273800, asked by letter\n\n# old\n441908273800\n"+44 (0)1908 273801"\r\n'
    )
    assert read.entries == (("441908273800", "asked by letter"), ("441908273801", ""))
    assert (read.repeated, read.problems) == (1, ())


def test_every_line_that_is_no_number_is_told() -> None:
    read = read_list("441908273800\n01908 273800\nbob\n")
    assert [problem.partition(":")[0] for problem in read.problems] == ["line 2", "line 3"]
