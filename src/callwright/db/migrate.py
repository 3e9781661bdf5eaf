"""Bring a database to the schema of this version (Alembic; scripts in ``migrations/versions``)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from callwright.db.errors import DatabaseUnavailable

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, *, to: str = "head") -> None:
    """Run the missing migrations up to ``to`` inside the caller's transaction: all of them happen, or none.

    Raise ``DatabaseUnavailable`` when the database was made by a newer version.
    """
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
