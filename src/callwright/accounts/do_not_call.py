"""The do-not-call list of an account: numbers that none of its services may dial (docs/reference/accounts.md).

Numbers are kept in their canonical form (``numbers.canonical``). A start to such a number ends as
``couldnotrun Do not call`` when it would leave the queue, however long it had waited before the number was added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from callwright.accounts.numbers import canonical
from callwright.accounts.tables import do_not_call
from callwright.db.prepared import Prepared
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId

MAX_NOTE_CHARS = 200
_CHUNK = 1000  # numbers in one statement

_one = Prepared(
    select(do_not_call.c.number).where(
        do_not_call.c.account_id == bindparam("of"), do_not_call.c.number == bindparam("called")
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One number on a list, with why it is there and since when (epoch seconds)."""

    number: str
    note: str
    added_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberList:
    """What was read from a file of numbers: canonical ``entries`` (number, note) in order, each number once, and
    ``problems``, one sentence for each line that could not be understood. ``repeated`` counts numbers that came again.
    """

    entries: tuple[tuple[str, str], ...]
    repeated: int
    problems: tuple[str, ...]


def read_list(text: str) -> NumberList:
    """Read a file of one number a line, with an optional note after a comma.

    Empty lines and lines that begin with "#" are skipped, and so is a first line that holds no digit (a heading).
    """
    entries: dict[str, str] = {}
    repeated = 0
    problems: list[str] = []
    for at, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        written, _, note = line.partition(",")
        written, note = written.strip().strip('"'), note.strip().strip('"')
        if not written or written.startswith("#") or (at == 1 and not any(c.isdecimal() for c in line)):
            continue
        try:
            number = canonical(written)
            _check_note(note)
        except RequestError as error:
            problems.append(f"line {at}: {error}")
            continue
        repeated += number in entries
        entries.setdefault(number, note)
    return NumberList(entries=tuple(entries.items()), repeated=repeated, problems=tuple(problems))


def add(c: Connection, account_id: AccountId, entries: Iterable[tuple[str, str]], *, now: float) -> int:
    """Put canonical numbers, each with its note, on a list; return how many were not on it before."""
    wanted = dict(entries)
    for note in wanted.values():
        _check_note(note)
    for number in blocked(c, account_id, wanted):
        del wanted[number]
    rows = [
        {"account_id": account_id, "number": number, "note": note, "added_at": now} for number, note in wanted.items()
    ]
    if rows:
        c.execute(insert(do_not_call), rows)
    return len(rows)


def remove(c: Connection, account_id: AccountId, numbers: Collection[str]) -> int:
    """Take canonical numbers off a list; return how many were on it."""
    return sum(
        c.execute(
            delete(do_not_call).where(do_not_call.c.account_id == account_id, do_not_call.c.number.in_(chunk))
        ).rowcount
        for chunk in _chunks(numbers)
    )


def is_blocked(c: Connection, account_id: AccountId, number: str) -> bool:
    """Return whether one canonical number is on a list."""
    return _one.first(c, {"of": account_id, "called": number}) is not None


def blocked(c: Connection, account_id: AccountId, numbers: Iterable[str]) -> set[str]:
    """Return which of these canonical numbers are on a list."""
    wanted = select(do_not_call.c.number).where(do_not_call.c.account_id == account_id)
    return {number for chunk in _chunks(numbers) for number in c.scalars(wanted.where(do_not_call.c.number.in_(chunk)))}


def size(c: Connection, account_id: AccountId) -> int:
    return c.scalar(select(func.count()).where(do_not_call.c.account_id == account_id)) or 0


def page(c: Connection, account_id: AccountId, *, after: str = "", limit: int = 1000) -> Sequence[Entry]:
    """Return up to ``limit`` entries in the order of their digits, from behind the number ``after`` on."""
    rows = c.execute(
        select(do_not_call.c.number, do_not_call.c.note, do_not_call.c.added_at)
        .where(do_not_call.c.account_id == account_id, do_not_call.c.number > after)
        .order_by(do_not_call.c.number)
        .limit(limit)
    )
    return [Entry(number=row.number, note=row.note, added_at=row.added_at) for row in rows]


def _check_note(note: str) -> None:
    if len(note) > MAX_NOTE_CHARS or any(not c.isprintable() for c in note):
        raise RequestError(f"the note must have at most {MAX_NOTE_CHARS} printable characters", field="note")


def _chunks(numbers: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(numbers)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
