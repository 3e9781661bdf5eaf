"""The least a machine can do between a request and an INVITE: bare uvicorn, two durable commits, one datagram.

``python -m bench.bare_invite FOLDER`` prints the port it listens on; a request whose body is a UDP port gets its answer
after the first commit, and a datagram follows the second one.
"""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import sys
from pathlib import Path

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from bench.ceilings import ROW


def _open(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE starts (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c TEXT, d TEXT, e REAL)")
    return connection


def _commit(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO starts (a, b, c, d, e) VALUES (?, ?, ?, ?, ?)", ROW)
    connection.execute("COMMIT")


async def _serve(folder: Path) -> None:
    connection = _open(folder)
    sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    later: set[asyncio.Task[None]] = set()

    async def dial(port: int) -> None:
        await asyncio.to_thread(_commit, connection)
        sending.sendto(b"INVITE", ("127.0.0.1", port))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message["body"]
        await asyncio.to_thread(_commit, connection)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"[]"})
        task = asyncio.create_task(dial(int(body)))
        later.add(task)
        task.add_done_callback(later.discard)

    server = uvicorn.Server(uvicorn.Config(answer, log_config=None, access_log=False, lifespan="off", loop="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        await server.serve(sockets=[listening])


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
