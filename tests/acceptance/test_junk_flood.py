"""Ten thousand broken datagrams a second at the open SIP port while calls go on: none of the calls notices.

pytest -s -m load tests/acceptance/test_junk_flood.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support.node import CALLER, Node, running_node
from tests.support.node_outside import LoopThread, web_application
from tests.support.node_processes import marked_processes

from callwright.sandbox.observations import read_observations

RATE = int(os.environ.get("FLOOD_RATE", "10000"))
SECONDS = 8.0
CALLS = 60


def figures_of(node: Node) -> tuple[float, int]:
    """Return the node's CPU seconds and its resident bytes."""
    folder = Path(f"/proc/{node.process.pid}")
    ticks = [int(word) for word in (folder / "stat").read_text().rpartition(")")[2].split()[11:13]]
    return sum(ticks) / os.sysconf("SC_CLK_TCK"), int((folder / "statm").read_text().split()[1]) * 4096


def drops_at(port: int) -> int:
    """Return how many datagrams the kernel threw away at a UDP port, its buffer being full."""
    rows = [row.split() for row in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[12]) for row in rows if int(row[1].rpartition(":")[2], 16) == port)


@pytest.mark.load
@pytest.mark.timeout(180)
def test_calls_go_on_through_ten_thousand_broken_datagrams_a_second(tmp_path: Path) -> None:
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        marked_processes() as marked,
        running_node(tmp_path / "data", marked) as node,
    ):
        web.page("/first", {"sleep": {"seconds": 3}})
        web.page("/final")
        service = node.add_service("flooded", first_page=f"{web.url}/first", final_page=f"{web.url}/final", max_cps=8)
        node.wait_over(node.start(service, "tel:999005550009"))
        host, port = node.sip.split(":")
        cpu_before, memory_before = figures_of(node)
        flooding = subprocess.Popen(
            [sys.executable, "-m", "tests.support.flooder", host, port, str(RATE), str(SECONDS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        answer = node.service_start(service, [{"to": "tel:999005550009", "from": CALLER}] * CALLS)
        assert answer.status == 200, answer
        sent = int(flooding.communicate(timeout=SECONDS + 30)[0])
        cpu, memory = figures_of(node)
        dropped = drops_at(int(port))
        over = node.wait_all_over(answer.body, within_s=90)
        causes = Counter(cdr["hangup_cause"] for one in over.values() for cdr in node.records(one)["cdrs"].values())
        seen = read_observations(node.data / "sandbox")
        sys.stderr.write(
            f"\n{sent} datagrams in {SECONDS:g} s, {dropped} dropped by the kernel at the node's port; the node took "
            f"{cpu - cpu_before:.1f} s of CPU and grew by {(memory - memory_before) / 2**20:.1f} MiB; "
            f"calls {dict(causes)}, {len(seen)} at the far end, status {node.link.get('/status')}\n"
        )
        assert sent >= RATE * SECONDS * 0.9, "the flood was too thin"
        assert causes == {"NORMAL(200)": CALLS}
        assert "sip_step_failed" not in node.log.read_text()
        assert node.is_running
