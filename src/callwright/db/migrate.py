"""Bring a database to the schema of this version (Alembic; scripts in ``migrations/versions``)."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect

from callwright.db.errors import DatabaseUnavailable

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, *, to: str = "head") -> None:
    """Run the missing migrations up to ``to`` inside the caller's transaction: all of them happen, or none.

    Raise ``DatabaseUnavailable`` when the database was made by a newer version.
    """
    if to == "head" and _version(connection) == newest():
        return
    # Imported here: loading Alembic costs a tenth of every start of a node, and most starts find nothing to do.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise DatabaseUnavailable(
            f"the database cannot be brought to this version of callwright: {error}. It was probably made by a newer "
            "version: run that one"
        ) from error


def newest() -> str:
    """Return the revision of the newest script: the scripts are in one line, and their names begin with theirs."""
    return max(script.stem.partition("_")[0] for script in (_SCRIPTS / "versions").glob("[0-9]*.py"))


def _version(connection: Connection) -> str | None:
    """Return the revision a database has; None when no migration ever ran."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found
