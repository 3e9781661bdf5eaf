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
class _Given:
    """One place of a statement: the value called ``name``, or, with ``name`` "", always the same ``value``."""

    name: str
    convert: _Convert | None
    value: object = None


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as the driver takes it: its SQL, what goes to each place, and what each column of a row is."""

    sql: str
    places: tuple[_Given, ...]
    columns: tuple[tuple[str, _Convert | None], ...]

    def values(self, given: Values) -> list[object]:
        return [
            place.value
            if not place.name
            else given[place.name]
            if place.convert is None
            else place.convert(given[place.name])
            for place in self.places
        ]

    def row(self, found: Sequence[object]) -> Row:
        return {
            name: value if convert is None else convert(value)
            for (name, convert), value in zip(self.columns, found, strict=True)
        }


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
        raw = c.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        bound = text.values(values)
        try:
            return text, raw.execute(text.sql, bound)
        except sqlite3.Error as error:
            raise DBAPIError.instance(text.sql, tuple(bound), error, sqlite3.Error) from error


def _compiled(statement: Select[Any] | Insert | Update, values: Values) -> _Text:
    compiled = statement.compile(dialect=_DIALECT, column_keys=sorted(values))
    assert isinstance(compiled, SQLCompiler)
    places = []
    for name in compiled.positiontup or ():
        bind = compiled.binds[name]
        convert = bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
        if name in values:
            places.append(_Given(name, convert))
        else:
            constant = compiled.params[name]
            places.append(_Given("", None, constant if convert is None else convert(constant)))
    return _Text(str(compiled), tuple(places), _columns(statement))


def _columns(statement: Select[Any] | Insert | Update) -> tuple[tuple[str, _Convert | None], ...]:
    found = statement.selected_columns if isinstance(statement, Select) else statement.exported_columns
    return tuple(
        (str(column.name), column.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None)) for column in found
    )
