"""A child process that writes rows for ever and prints the number of each one after its commit was acknowledged.

Run as ``python acknowledging_writer.py DATABASE``: it is killed by its test, which then looks for the rows.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from callwright.db.database import Database

WRITERS = 8


async def write_for_ever(database: Database) -> None:
    async def one(first: int) -> None:
        n = first
        while True:
            await database.write(inserting(n))
            os.write(sys.stdout.fileno(), f"{n}\n".encode())
            n += WRITERS

    async with asyncio.TaskGroup() as tasks:
        for first in range(WRITERS):
            tasks.create_task(one(first), name=f"writer {first}")


def inserting(n: int) -> Callable[[Connection], None]:
    def insert(c: Connection) -> None:
        c.exec_driver_sql("INSERT INTO kept (n) VALUES (?)", (n,))

    return insert


def main() -> None:
    database = Database.open(Path(sys.argv[1]))
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE kept (n INTEGER PRIMARY KEY)") and None)
    asyncio.run(write_for_ever(database))


if __name__ == "__main__":
    main()
