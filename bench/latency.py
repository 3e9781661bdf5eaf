"""From a service_start request to the INVITE at the far end: one start at a time on an idle node.

The bar is 8 ms for 99 of 100. Two commits lie between them that must be on the disk, so what the disk takes is measured
in the same run, and all of it once more in memory (/dev/shm), where a sync costs nothing.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.node import BenchNode, bench_node

STARTS = 200
PAUSE_S = 0.12  # until a call is over and the node is idle again
CALL = '{"to": "tel:999005550002", "from": "441908273800"}'  # busy: the call is over at once
IN_MEMORY = Path("/dev/shm")
SO_TIMESTAMPNS = 35  # Linux; the socket module does not name it
RING_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start: when its request was sent, when the far end had its INVITE, and when it had taken which step."""

    sent_at: float
    rang_at: float
    steps: dict[str, float]

    @property
    def took(self) -> float:
        return self.rang_at - self.sent_at


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="callwright-bench-") as folder:
        measure("this disk", Path(folder))
    if IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK):
        with tempfile.TemporaryDirectory(prefix="callwright-bench-", dir=IN_MEMORY) as folder:
            measure("in memory", Path(folder))


def measure(where: str, folder: Path) -> None:
    """Measure and print ours and the ceiling on one disk."""
    synced = syncs(folder)
    with bench_node(folder / "data", "--sandbox", "--log-level", "warning") as node:
        node.add_account("bench@example.com", max_cps=100)
        login = node.add_service("bench@example.com", "bench")
        starts = ours(node, folder / "data" / "sandbox" / "rings.jsonl", login)
    bare = ceiling(folder)
    show(f"request to INVITE, {where}", [start.took for start in starts])
    show("ceiling: HTTP, two commits, a datagram", bare)
    show("ceiling: one sync of the disk", synced)
    print(f"  ratio of the medians {quantile(bare, 0.5) / quantile([start.took for start in starts], 0.5):.2f}")
    parts: dict[str, list[float]] = defaultdict(list)
    for start in starts:
        before = start.sent_at
        for step, at in start.steps.items():
            parts[step].append(at - before)
            before = at
        parts["seen by the far end"].append(start.rang_at - before)
    print(
        "  of it, median: " + ", ".join(f"{step} {quantile(took, 0.5) * 1000:.2f} ms" for step, took in parts.items())
    )


def ours(node: BenchNode, rings: Path, login: str) -> list[Start]:
    """Start calls one at a time."""
    connection = http.client.HTTPConnection(node.host, node.port)
    headers = {"Authorization": login, "Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"rest_calls": CALL})
    starts = []
    for number in range(STARTS + 5):
        sent_at = time.time()
        connection.request("POST", "/service_start", body, headers)
        [reference] = json.loads(connection.getresponse().read())
        rang_at = wait_for(partial(ring, rings, number))
        time.sleep(PAUSE_S)
        if number >= 5:  # the first ones hash the password, read the account, fill caches
            starts.append(Start(sent_at=sent_at, rang_at=rang_at, steps=steps(node, reference)))
    connection.close()
    return starts


def steps(node: BenchNode, reference: str) -> dict[str, float]:
    """Return when a start was queued, claimed, stamped and sent."""
    found: dict[str, float] = {}
    for event in node.link.lines("/watch", {"reference": reference}):
        if name := step_name(event):
            found[name] = event["at"]
        if name == "sent":
            return found
    raise SystemExit("a start left no trace")


def step_name(event: dict[str, Any]) -> str:
    if event["event"] == "StartQueued":
        return "queued"
    if event["event"] == "StartEvent":
        return str(event["step"]) if event["step"] in ("claimed", "stamped", "dialling") else ""
    return "sent" if event.get("what") == "INVITE" else ""


def ring(rings: Path, number: int) -> float | None:
    """Return when the far end's kernel had an INVITE; the file has a line for each."""
    lines = rings.read_bytes().split(b"\n") if rings.exists() else []
    return float(json.loads(lines[number])["at"]) if len(lines) > number + 1 else None


def wait_for(condition: Callable[[], float | None]) -> float:
    deadline = time.monotonic() + RING_S
    while (value := condition()) is None:
        if time.monotonic() > deadline:
            raise SystemExit("no INVITE arrived")
        time.sleep(0.005)
    return value


def ceiling(folder: Path) -> list[float]:
    """Return the same times of a program that does nothing but what must be done."""
    process = subprocess.Popen([sys.executable, "-m", "bench.bare_invite", str(folder)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(process.stdout.readline()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            phone.bind(("127.0.0.1", 0))
            took = []
            for _ in range(STARTS):
                sent_at = time.time()
                connection.request("POST", "/", str(phone.getsockname()[1]))
                connection.getresponse().read()
                select.select([phone], [], [], RING_S)
                _, ancillary, _, _ = phone.recvmsg(64, 64)
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
                took.append(seconds + nanoseconds / 1e9 - sent_at)
                time.sleep(0.02)
        connection.close()
        return took
    finally:
        process.kill()
        process.wait()


def syncs(folder: Path) -> list[float]:
    """Return how long it takes to have 4 KiB on the disk."""
    took = []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(STARTS):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
            time.sleep(0.005)
    return took


def show(what: str, took: list[float]) -> None:
    print(f"  {what:<40} p50 {quantile(took, 0.5) * 1000:6.2f} ms   p99 {quantile(took, 0.99) * 1000:6.2f} ms")


def quantile(values: list[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


if __name__ == "__main__":
    run()
