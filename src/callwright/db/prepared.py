"""Statements of every call, compiled once and then handed to the driver as text.

SQLAlchemy spends several times what SQLite does on running a statement it has run a thousand times before: finding it
in its cache, wrapping values, wrapping rows. ``Prepared`` keeps what it made of a statement the first time, types and
all, so that the statements of every call are written like all others and cost little more than the driver.

On a database other than SQLite it is an ordinary ``Connection.execute``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Insert, Select, Update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Values = Mapping[str, object]
Row = dict[str, Any]

_DIALECT = SQLiteDialect_pysqlite()
_Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as the driver takes it: its SQL, what goes to each place, and what each column of a row is.

    ``pick`` takes what goes to its places, in order, from the values it is run with; ``always`` are the places, by
    their numbers, whose value is always the same. ``given`` and ``found`` are the few to be converted on their way.
    """

    sql: str
    pick: Callable[[Values], tuple[object, ...]]
    always: tuple[tuple[int, object], ...]
    given: tuple[tuple[int, _Convert], ...]
    columns: tuple[str, ...]
    found: tuple[tuple[str, _Convert], ...]

    def values(self, given: Values) -> list[object]:
        values = list(self.pick(given))
        for at, value in self.always:
            values.insert(at, value)
        for at, convert in self.given:
            values[at] = convert(values[at])
        return values

    def row(self, found: Sequence[object]) -> Row:
        row = dict(zip(self.columns, found, strict=True))
        for name, convert in self.found:
            row[name] = convert(row[name])
        return row


class Prepared:
    """One statement, to be run with values for its parameters: always the same ones, by name.

    What the driver raises is raised as SQLAlchemy's ``DBAPIError``, as from ``Connection.execute``.
    """

    __slots__ = ("_statement", "_text")

    def __init__(self, statement: Select[Any] | Insert | Update) -> None:
        self._statement = statement
        self._text: _Text | None = None

    def change(self, c: Connection, values: Values) -> int:
        """Run an INSERT or UPDATE; return how many rows it made or changed."""
        if c.dialect.name != _DIALECT.name:
            return c.execute(self._statement, dict(values)).rowcount
        return self._run(c, values)[1].rowcount

    def rows(self, c: Connection, values: Values) -> list[Row]:
        """Return the rows of a SELECT, or of what RETURNING gives, by the names of their columns."""
        if c.dialect.name != _DIALECT.name:
            return [dict(row) for row in c.execute(self._statement, dict(values)).mappings()]
        text, cursor = self._run(c, values)
        return [text.row(found) for found in cursor.fetchall()]

    def first(self, c: Connection, values: Values) -> Row | None:
        """Return the first row, None when there is none."""
        if c.dialect.name != _DIALECT.name:
            found = self.rows(c, values)
            return found[0] if found else None
        text, cursor = self._run(c, values)
        row = cursor.fetchone()
        if row is None:
            return None
        cursor.close()  # the rest is not wanted: an open statement would hold what it reads
        return text.row(row)

    def scalar(self, c: Connection, values: Values) -> Any:
        """Return the first column of the first row, None when there is none."""
        row = self.first(c, values)
        return None if row is None else next(iter(row.values()))

    def _run(self, c: Connection, values: Values) -> tuple[_Text, sqlite3.Cursor]:
        text = self._text
        if text is None:
            text = self._text = _compiled(self._statement, values)
        raw = c.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        bound = text.values(values)
        try:
            return text, raw.execute(text.sql, bound)
        except sqlite3.Error as error:
            raise DBAPIError.instance(text.sql, tuple(bound), error, sqlite3.Error) from error


def _compiled(statement: Select[Any] | Insert | Update, values: Values) -> _Text:
    compiled = statement.compile(dialect=_DIALECT, column_keys=sorted(values))
    assert isinstance(compiled, SQLCompiler)
    names: list[str] = []
    always, given = [], []
    for at, name in enumerate(compiled.positiontup or ()):
        convert = compiled.binds[name].type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
        if name in values:
            names.append(name)
            if convert is not None:
                given.append((at, convert))
        else:
            constant = compiled.params[name]
            always.append((at, constant if convert is None else convert(constant)))
    columns = statement.selected_columns if isinstance(statement, Select) else statement.exported_columns
    types = [(str(column.name), column.type.dialect_impl(_DIALECT)) for column in columns]
    processors = [(name, kind.result_processor(_DIALECT, None)) for name, kind in types]
    return _Text(
        sql=str(compiled),
        pick=itemgetter(*names) if len(names) > 1 else lambda values: tuple(values[name] for name in names),
        always=tuple(always),
        given=tuple(given),
        columns=tuple(name for name, _ in processors),
        found=tuple((name, convert) for name, convert in processors if convert is not None),
    )
