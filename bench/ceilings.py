"""What this machine can do at most, measured in the same run as our own figures."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from bench.load import Load, run_load

ROW = ("2e891aea_0.1366641192.77832", "sip:a@b.example", "441908273800", "token", 1366641192.25)


def sqlite_commits_per_second(folder: Path, *, group: int, seconds: float) -> float:
    """Return durable rows a second with ``group`` rows in each transaction: WAL, synchronous FULL, plain sqlite3."""
    connection = sqlite3.connect(folder / f"ceiling-{group}.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE starts (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT, c TEXT, d TEXT, e REAL)")
    rows, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(group):
            rows += 1
            connection.execute("INSERT INTO starts (a, b, c, d, e) VALUES (?, ?, ?, ?, ?)", (f"{rows}", *ROW[1:]))
        connection.execute("COMMIT")
    connection.close()
    return rows / took


def hello(request: bytes, *, clients: int, seconds: float) -> Load:
    """Return what bare uvicorn answers to the same request, read in full, with the same load generator."""
    process = subprocess.Popen([sys.executable, "-m", "bench.ceilings"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        return run_load(request, host="127.0.0.1", port=port, clients=clients, seconds=seconds)
    finally:
        process.kill()
        process.wait()


async def _hello(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"31")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'["2e891aea_0.1366641192.77832"]'})


async def _serve() -> None:
    config = uvicorn.Config(_hello, log_config=None, access_log=False, lifespan="off", loop="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        print(listening.getsockname()[1], flush=True)
        await server.serve(sockets=[listening])


if __name__ == "__main__":
    uvloop.run(_serve())
