"""SQLite connections as this product wants them: durable, with foreign keys, and with transactions that are ours.

Python's sqlite3 module likes to begin and commit transactions by itself, which breaks savepoints. Here its
``isolation_level`` is None, so it never does, and every BEGIN is sent by SQLAlchemy's "begin" event or by ``writer``.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from callwright.db.sealing import SecretBox

BUSY_TIMEOUT_S = 5.0
_CACHED_STATEMENTS = 256


def writer_engine(path: Path, box: SecretBox) -> Engine:
    """Return an engine whose connections write: WAL, each commit on disk before it returns (synchronous FULL)."""

    def connect() -> sqlite3.Connection:
        raw = _connect(path, mode="rwc")
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA foreign_keys = ON")
        # Savepoints keep the pages they change: by default in a temporary file, made and deleted for each transaction.
        raw.execute("PRAGMA temp_store = MEMORY")
        return raw

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, execution_options=box.execution_options)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        if not raw.in_transaction:  # the writer sends its own
            # IMMEDIATE: a transaction that starts as a reader and then writes can fail with BUSY half way
            raw.execute("BEGIN IMMEDIATE")

    return engine


def reader_engine(path: Path, box: SecretBox, *, connections: int) -> Engine:
    """Return an engine whose connections cannot write; each transaction sees one state of the database."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: _connect(path, mode="ro"),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=-1,
        execution_options=box.execution_options,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,  # a connection is handed from the opening thread to the one that uses it, never shared
        cached_statements=_CACHED_STATEMENTS,
    )
