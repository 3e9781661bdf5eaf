"""Claiming starts with 1 k, 100 k and 1 M of them queued, of several priorities: the time must stay flat within 20 %.

The ceiling is the least SQL that takes as many rows from the same table, in plain sqlite3.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from callwright.accounts.secrets import PasswordHash
from callwright.accounts.service import Page
from callwright.accounts.store import create_account, create_service
from callwright.db.database import DATABASE_FILE, Database
from callwright.outbound import claims
from callwright.values.ids import ServiceId

SIZES = (1_000, 100_000, 1_000_000)
AT_ONCE = 10
ROUNDS = 300
BLOCKS = 5  # the best median counts: what else the machine does is not measured
PRIORITIES = (0, 5, -10)
NOW = 1_700_000_000.0

BARE = """
    UPDATE starts SET state = 'claimed', claimed_by = 1, claimed_at = ? WHERE id IN (
        SELECT id FROM starts WHERE state = 'queued' AND service_id = ? AND priority = 5 AND due_at <= ?
        ORDER BY due_at, id LIMIT ?) RETURNING id, reference, given_to
"""


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, Database.open(Path(folder) / DATABASE_FILE) as database:
        service = database.write_now(_make_service)
        queued, first = 0, 0.0
        for size in SIZES:
            _grow(Path(folder), service, begin=queued, end=size)
            queued = size
            database.write_now(partial(_claims, service=service, rounds=20))  # the cache of pages, statements
            took = min(database.write_now(partial(_claims, service=service, rounds=ROUNDS)) for _ in range(BLOCKS))
            bare = min(_bare(Path(folder), service) for _ in range(BLOCKS))
            first = first or took
            print(
                f"  {size:>9,} queued, {AT_ONCE} claimed   {took * 1e6:7.0f} us   x {took / first:.2f} of the first   "
                f"ceiling {bare * 1e6:5.0f} us   ratio {bare / took:.2f}"
            )


def _claims(c: Connection, *, service: ServiceId, rounds: int) -> float:
    """Return the median time of a claim; what was claimed goes back, so that the queue stays as long as it is."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        claimed = claims.claim(c, service, limit=AT_ONCE, incarnation=1, now=NOW)
        times.append(time.perf_counter() - began)
        assert len(claimed) == AT_ONCE, claimed
        claims.release(c, [start.id for start in claimed], incarnation=1)
    return statistics.median(times)


def _bare(folder: Path, service: ServiceId) -> float:
    connection = sqlite3.connect(folder / DATABASE_FILE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    times = []
    for _ in range(ROUNDS):
        connection.execute("SAVEPOINT one")
        began = time.perf_counter()
        rows = connection.execute(BARE, (NOW, service, NOW, AT_ONCE)).fetchall()
        times.append(time.perf_counter() - began)
        assert len(rows) == AT_ONCE
        connection.execute("ROLLBACK TO one")
    connection.execute("ROLLBACK")
    connection.close()
    return statistics.median(times)


def _make_service(c: Connection) -> ServiceId:
    account, _ = create_account(c, username="bench@example.com", created_at=0.0, max_cps=100.0)
    page = Page(url="http://127.0.0.1:9/nobody")
    nobody = PasswordHash("no password opens this")
    return create_service(c, account.id, name="bench", created_at=0.0, password_hash=nobody, first_page=page).id


def _grow(folder: Path, service: ServiceId, *, begin: int, end: int) -> None:
    """Queue starts up to ``end`` of them, without going through the platform: it is not what is measured."""
    connection = sqlite3.connect(folder / DATABASE_FILE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO requests (account_id, digest, count, created_at) VALUES (1, zeroblob(32), ?, ?)", (end, NOW)
    )
    connection.executemany(
        "INSERT INTO starts (reference, account_id, service_id, request_id, state, given_to, given_from, token,"
        " queued_at, due_at, expires_at, priority) VALUES (?, 1, ?, 1, 'queued', ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                f"{n:08x}_0.1700000000.{n}",
                service,
                "tel:999005550001",
                "441908273800",
                "a token of the usual length",
                NOW - 10,
                NOW - 10 + n / 1e6,
                NOW + 86400,
                PRIORITIES[n % len(PRIORITIES)],
            )
            for n in range(begin, end)
        ),
    )
    connection.execute("COMMIT")
    connection.close()


if __name__ == "__main__":
    run()
