from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

# every package that owns tables declares them when it is imported
import callwright.accounts.tables
import callwright.db.tables
import callwright.engine.trunk_tables
import callwright.outbound.tables
import callwright.records.tables  # noqa: F401
from callwright.db.connections import writer_engine
from callwright.db.database import DATABASE_FILE, Database
from callwright.db.errors import DatabaseUnavailable
from callwright.db.metadata import metadata
from callwright.db.sealing import KEY_FILE, SecretBox


def clauses(connection: sa.Connection) -> dict[str, list[str]]:
    """Return each table's and index's definition, as the sorted list of its parts: their order means nothing, and a
    column that was added later stands behind the constraints.
    """
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: _parts(sql) for name, sql in rows if name != "alembic_version"}


def _parts(sql: str) -> list[str]:
    """Split a definition at the commas outside brackets."""
    head, _, body = re.sub(r"\s+", " ", sql).partition("(")
    depth, parts = 0, [""]
    for character in body.rpartition(")")[0] if sql.startswith("CREATE TABLE") else body:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [head.strip(), *sorted(part.strip() for part in parts)]


def test_the_migrated_schema_equals_the_tables(tmp_path: Path) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))

    with Database.open(tmp_path / DATABASE_FILE) as database:
        assert database.read_now(differences) == []
        migrated = database.read_now(clauses)
    with sa.create_engine("sqlite://").connect() as declared:
        metadata.create_all(declared)
        expected = clauses(declared)
    assert migrated == expected


def test_opening_again_keeps_the_rows_and_counts_the_incarnations(tmp_path: Path) -> None:
    path = tmp_path / "folder" / DATABASE_FILE
    for incarnation in (1, 2, 3):
        with Database.open(path) as database:
            assert database.incarnation == incarnation


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_FILE
    Database.open(path).close()
    engine = writer_engine(path, SecretBox(tmp_path / KEY_FILE))
    with engine.connect() as connection, connection.begin():
        newest = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseUnavailable, match="newer version"):
        Database.open(path)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (newest,))
    with Database.open(path) as database:
        assert database.incarnation == 2


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_FILE
    path.write_bytes(b"this is not a database file at all" * 100)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        Database.open(path)
