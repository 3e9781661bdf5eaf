"""kill -9 with a thousand calls in flight at once: all of them end, nobody is rung twice, those that are up get BYE.

pytest -s -m load tests/acceptance/test_crash_under_calls.py          about three minutes, two cores
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.node import CALLER, Node, Over, Service
from tests.support.node_outside import LoopThread, phone_network, web_application
from tests.support.node_processes import marked_processes, wait_until
from tests.support.phone_mix import still_up

from callwright.sandbox.observation import EndedBy, Observation
from callwright.sandbox.observations import RingLine, read_observations, read_rings
from callwright.testing.web_application import WebApplication

OWNER = "many@example.com"
PERSONAS = """
personas:
  - {number: "7001", name: on hold, answer_after: 0.5, on_hold: true}
  - {number: "7002", name: listens, answer_after: 0.5}
  - {number: "7003", name: never answers}
  - {number: "7004", name: answers late, answer_after: 8, on_hold: true}
"""
MIX = ("7001", "7001", "7001", "7001", "7001", "7001", "7001", "7002", "7003", "7004")
RESTARTED = "completed -90"


@dataclass(slots=True, kw_only=True)
class Campaign:
    """A node with calls, the far ends, and what was promised to the client."""

    node: Node
    web: WebApplication
    service: Service
    phones: Path
    compiled: dict[str, str]
    acknowledged: list[str] = field(default_factory=list)

    def start(self, count: int) -> None:
        """Start so many calls, a hundred a request."""
        for first in range(0, count, 100):
            numbers = range(first, min(first + 100, count))
            calls = [{"to": f"tel:99900{n:04d}{MIX[n % len(MIX)]}", "from": CALLER} for n in numbers]
            answer = self.node.service_start(self.service, calls)
            assert answer.status == 200, answer
            self.acknowledged += answer.body

    def count(self, condition: str) -> int:
        """Return how many starts the disk says there are of some kind."""
        with closing(sqlite3.connect(f"file:{self.node.data / 'callwright.db'}?mode=ro", uri=True)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM starts WHERE {condition}").fetchone()[0])

    def kill_and_recover(self) -> None:
        """kill -9, start again, wait until all that the dead life left is over; print how long that took."""
        up = self.count("state = 'running'")
        self.node.kill()
        began, began_at = time.monotonic(), time.time()
        self.node.start_process(environment=self.compiled)
        self.node.wait_ready()
        ready_s, ready_cpu_s = time.monotonic() - began, self._processor_s()
        left = "state = 'running' AND claimed_by < (SELECT incarnation FROM node)"
        wait_until(lambda: self.count(left) == 0, within_s=90, what=lambda: f"end of {self.count(left)} calls")
        over_s, over_cpu_s = time.monotonic() - began, self._processor_s()
        wait_until(lambda: not self._still_up(began_at), within_s=45, what=lambda: str(self._still_up(began_at)))
        byes = [
            seen.ended_at - began_at
            for seen in read_observations(self.phones)
            if seen.answered_at is not None and seen.ended_at is not None and seen.ended_at > began_at
        ]
        say(
            f"killed with {up} calls in flight: ready again after {ready_s:.1f} s, all over after {over_s:.1f} s; "
            f"of the processor the node used {ready_cpu_s:.1f} s and {over_cpu_s:.1f} s for it"
        )
        say(f"{len(byes)} calls that were up got BYE; the last one {max(byes, default=0.0):.1f} s after the start")

    def _processor_s(self) -> float:
        """Return what processor time the node, without its workers, has used in this life."""
        fields = Path(f"/proc/{self.node.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _still_up(self, before: float) -> list[str]:
        """Return the numbers of calls that began before a moment, are no ringing ones, and have no end yet."""
        return still_up(self.phones, but="7003", before=before)


@contextmanager
def campaign(folder: Path, *, max_cps: float) -> Iterator[Campaign]:
    """Run a node whose far ends are a process of their own."""
    personas, phones = folder / "personas.yaml", folder / "phones"
    personas.write_text(PERSONAS, encoding="utf-8")
    phones.mkdir()
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        marked_processes() as marked,
        phone_network(outside, phones, personas=personas) as network,
    ):
        web.page("/first", {"sleep": {"seconds": 600}})
        web.page("/final")
        node = Node(folder / "data", marked, ("--sandbox-at", f"{network.host}:{network.port}"))
        # As with an installed node, only its first life compiles the program.
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
        try:
            node.begin(environment=compiled)
            node.link.post("/accounts", {"username": OWNER, "type": "premium", "max_cps": max_cps, "caller_ids": "any"})
            service = node.add_service(
                "many",
                account=OWNER,
                first_page=f"{web.url}/first",
                final_page=f"{web.url}/final",
                ring_timeout_s=600,
            )
            yield Campaign(node=node, web=web, service=service, phones=phones, compiled=compiled)
        finally:
            node.stop()


def check(over: dict[str, Over], rings: list[RingLine], seen: list[Observation], finals: Counter[str]) -> None:
    """Hold what the client was told against what the far ends saw."""
    rung = Counter(ring.dialled for ring in rings)
    assert {number: times for number, times in rung.items() if times > 1} == {}, "rung twice"
    assert {one.status for one in over.values()} == {RESTARTED}
    left = {one.dialled: one.end_reason for one in seen if one.answered_at and one.ended_by is not EndedBy.CALLER}
    assert left == {}, "left up"
    assert {times for times in finals.values()} <= {1}, "a final page was asked twice"
    assert finals.keys() == {one.instance for one in over.values()}, "a final page was never asked"


def say(text: str) -> None:
    sys.stderr.write(f"\n{text}\n")


@pytest.mark.load
@pytest.mark.timeout(900)
def test_a_thousand_calls_in_flight_end_when_the_node_is_killed(tmp_path: Path) -> None:
    calls, in_flight = 1100, 1000
    with campaign(tmp_path, max_cps=50) as life:
        life.start(calls)
        wait_until(lambda: life.count("state = 'running'") >= in_flight, within_s=180, what="calls in flight")
        life.kill_and_recover()
        wait_until(lambda: life.count("state IN ('queued', 'claimed')") == 0, within_s=60, what="an empty queue")
        life.kill_and_recover()
        over = life.node.wait_all_over(life.acknowledged, account=OWNER)
        assert life.count("state = 'finished'") == calls
        asked = (one.info["application_instance_id"] for one in life.web.asked if one.path == "/final" and one.info)
        finals, phones = Counter(asked), life.phones
    check(over, read_rings(phones), read_observations(phones), finals)
