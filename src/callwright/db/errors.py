"""What can go wrong with the database as a whole, and which driver errors mean it."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from callwright.values.errors import OutsideError


class DatabaseUnavailable(OutsideError):
    """The database cannot be read or written now: disk full, an I/O error, a read-only disk, or it is closed."""


class DataFolderInUse(OutsideError):
    """Another node owns the data folder."""


_PRIMARY = 0xFF  # an extended result code carries its primary code in the low byte (sqlite.org/rescode.html)

_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "it is locked by another program",
    sqlite3.SQLITE_LOCKED: "it is locked by another program",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_READONLY: "its file or folder is read-only",
    sqlite3.SQLITE_IOERR: "the disk reports an I/O error",
    sqlite3.SQLITE_CORRUPT: "its file is damaged",
    sqlite3.SQLITE_NOTADB: "its file is not a database",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
    sqlite3.SQLITE_PERM: "access to its file is denied",
}


def is_locked(error: sqlite3.Error) -> bool:
    """Return whether an error says that another program holds the lock this one wants."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY == sqlite3.SQLITE_BUSY


def unavailable(error: BaseException) -> DatabaseUnavailable | None:
    """Return the error to raise in place of a driver error that concerns the whole database, else None."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.Error):
        return None
    reason = _UNAVAILABLE.get(getattr(cause, "sqlite_errorcode", 0) & _PRIMARY)
    if reason is None:
        return None
    return DatabaseUnavailable(
        f"the database is unavailable: {reason} ({cause}). Nothing was written; put it right and try again"
    )
