"""What the model of the queue works on: a database that begins anew for every example, and what is believed of it."""

from __future__ import annotations

import functools
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support import outbound_node as node

from callwright.accounts.service import Service
from callwright.db.connections import writer_engine
from callwright.db.database import DATABASE_FILE
from callwright.db.sealing import KEY_FILE, SecretBox
from callwright.outbound.start import Start, StartState
from callwright.values.ids import InstanceId, ServiceReference


class World:
    """A database as an installation has it, with two accounts of two services each; every example begins with it.

    One connection serves all examples: its compiled statements and the migrations are made once.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="callwright-model-"))
        node.open_database(self.folder).close()
        self.connection = writer_engine(self.folder / DATABASE_FILE, SecretBox(self.folder / KEY_FILE)).connect()
        raw = self.connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("PRAGMA synchronous = OFF")  # no power fails in this test
        self._raw = raw
        self.services: list[Service] = []
        with self.connection.begin():
            for username in ("ann@example.com", "bob@example.com"):
                account = node.add_account(self.connection, username=username)
                self.services += [node.add_service(self.connection, account.id, name=name) for name in ("one", "two")]
        self._as_made = sqlite3.connect(":memory:")
        raw.backup(self._as_made)
        self.played = 0

    def make_anew(self) -> None:
        self._as_made.backup(self._raw)

    def close(self) -> None:
        self.connection.close()
        self._as_made.close()
        shutil.rmtree(self.folder)


@functools.cache
def world() -> World:
    return World()


@dataclass
class Known:
    """What the model believes of one start."""

    reference: ServiceReference
    service: int
    due_at: float
    queued_at: float
    expires_at: float
    state: StartState = StartState.QUEUED
    claimed_by: int | None = None
    instance: InstanceId | None = None
    dialled: int = 0
    recorded: int | None = None  # the return code in a closed record
    priority: int = 0
    may_retry: bool = False
    attempt: int = 1
    last_code: int = 0  # of the attempt before, when there was one
    ended_at: float = 0.0  # that attempt


@dataclass(frozen=True)
class Held:
    """A start as some dispatcher, perhaps long dead, believes to hold it."""

    start: Start
    incarnation: int
