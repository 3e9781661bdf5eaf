"""An HTTP load generator as small as it can be, in a process of its own: it must not be what is measured.

``python -m bench.load HOST PORT CLIENTS SECONDS`` reads requests (a JSON list of texts) from standard input and sends
them in turn over ``CLIENTS`` connections that are kept alive, the next one as soon as an answer is there; it prints one
JSON object.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import uvloop

WARM_UP_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a load came to: answers a second, their latencies in milliseconds, and how many had each status."""

    per_second: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]


def run_load(request: bytes | Sequence[bytes], *, host: str, port: int, clients: int, seconds: float) -> Load:
    """Run the generator with one request, or several in turn, in a process of its own; return what it measured."""
    several = [request] if isinstance(request, bytes) else request
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", host, str(port), str(clients), str(seconds)],
        input=json.dumps([each.decode() for each in several]).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return Load(**json.loads(done.stdout))


def post(path: str, body: bytes, **headers: str) -> bytes:
    """Return a POST request as bytes."""
    lines = {"Host": "bench", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


class _Client(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], latencies: list[float], statuses: Counter[str]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._statuses = statuses
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._statuses[head[9:12].decode()] += 1
        self._received = b""
        self._send()


def _length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.index(b"content-length:") + len(b"content-length:")
    return int(lowered[at:].split(b"\r\n", 1)[0])


async def _run(requests: Iterator[bytes], host: str, port: int, clients: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    transports = []
    for _ in range(clients):
        transport, _ = await loop.create_connection(lambda: _Client(requests, latencies, statuses), host, port)
        transports.append(transport)
    await asyncio.sleep(WARM_UP_S)
    latencies.clear()
    statuses.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    found = sorted(latencies)
    for transport in transports:
        transport.abort()
    return Load(
        per_second=len(found) / took,
        p50_ms=found[len(found) // 2] * 1000,
        p99_ms=found[len(found) * 99 // 100] * 1000,
        statuses=dict(statuses),
    )


def _main() -> None:
    host, port, clients, seconds = sys.argv[1:]
    requests = itertools.cycle([each.encode() for each in json.load(sys.stdin)])
    found = uvloop.run(_run(requests, host, int(port), int(clients), float(seconds)))
    print(json.dumps({name: getattr(found, name) for name in ("per_second", "p50_ms", "p99_ms", "statuses")}))


if __name__ == "__main__":
    _main()
