"""The web application of the call benchmark: as small an HTTP server as can be, in a process of its own.

``python -m bench.pages FIRST FINAL`` answers the JSON text ``FIRST`` to ``/first`` and ``FINAL`` to anything else,
prints its port, and how often each was asked when its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from typing import cast

import uvloop


class PageServer:
    """The server as the benchmark sees it: its process id, its port, and in the end how often each page was asked."""

    def __init__(self, first: str, final: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.pages", first, final],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        return self._process.pid

    def finish(self) -> dict[str, int]:
        """Stop it; return how often each path was asked."""
        said, _ = self._process.communicate(timeout=20)
        return cast(dict[str, int], json.loads(said))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class _Connection(asyncio.Protocol):
    def __init__(self, answers: dict[bytes, bytes], asked: Counter[str]) -> None:
        self._answers = answers
        self._asked = asked
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            return
        self._received = body[length:]
        path = head.split(b" ", 2)[1]
        self._asked[path.decode()] += 1
        self._transport.write(self._answers.get(path, self._answers[b"/"]))
        if b"connection: close" in lowered:
            self._transport.close()


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


async def _serve(first: str, final: str) -> None:
    loop = asyncio.get_running_loop()
    answers = {b"/first": _answer(first.encode()), b"/": _answer(final.encode())}
    asked: Counter[str] = Counter()
    server = await loop.create_server(lambda: _Connection(answers, asked), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    over = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), over.set)
    await over.wait()
    print(json.dumps(asked), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:]))
