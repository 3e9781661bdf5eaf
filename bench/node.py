"""The real node for measurements: ``callwright serve`` in a process of its own, on free ports and a data folder of its
own."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.cli.node_link import NodeLink, NoNode

READY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchNode:
    """A running node: its process id, where its web services are, and the link to its admin socket."""

    pid: int
    host: str
    port: int
    link: NodeLink

    def cpu_seconds(self) -> float:
        """Return what processor time the node's process, without its workers, has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def add_account(self, name: str, **fields: object) -> str:
        """Make an account; return the value of ``Authorization`` that opens it."""
        made = self.link.post("/accounts", {"username": name, "type": "premium", "caller_ids": "any", **fields})
        return basic(f"0-0-0/{name}", made["access_key"])

    def add_service(self, account: str, name: str, **fields: object) -> str:
        """Make a service; return the value of ``Authorization`` that opens it."""
        page = {"first_page": "http://127.0.0.1:9/first"}
        made = self.link.post("/services", {"name": name, "account": account, **page, **fields})
        return basic(f"0-0-0/{account}/{name}", made["password"])


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextmanager
def bench_node(data: Path, *options: str, module: str = "") -> Iterator[BenchNode]:
    """Run a node while the block runs; ``module`` names one that stands in for the command line's."""
    free = "127.0.0.1:0"
    arguments = ["--data", str(data), "--http", free, "--sip", free, *options]
    program = ["-m", module] if module else ["-c", "from callwright.cli.main import main; main()"]
    command = [sys.executable, *program, "serve", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    link = NodeLink(data / "admin.sock")
    try:
        status = _wait_ready(link, process)
        host, _, port = status["http"].rpartition("//")[2].rpartition(":")
        yield BenchNode(pid=process.pid, host=host, port=int(port), link=link)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(link: NodeLink, process: subprocess.Popen[bytes]) -> Any:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return link.get("/status")
        except NoNode:
            time.sleep(0.1)
    raise SystemExit("the node did not become ready")
