"""A node is killed at every step, and at random moments; afterwards everything promised must be true."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support import outbound_node as node

from callwright.outbound.start import OVER, StartState
from callwright.outbound.tables import attempts, starts
from callwright.records.tables import adrs, cdrs, error_records

REPOSITORY = Path(__file__).parents[3]

STEPS = [
    "committed 2",
    "claimed 1",
    "claimed 3",
    "stamped 1",
    "stamped 4",
    "dialling 1",
    "dialling 3",
    "rung 1",
    "rung 5",
    "answered 1",
    "answered 2",
    "recorded 1",
    "closed 1",
    "closed 3",
    "finished 2",
    "opened 1",
    "taken_over 1",
    "final_stamped 1",
    "bye 1",
]


class Child:
    """A life that runs, one at a time."""

    def __init__(self, lives: subprocess.Popen[str]) -> None:
        self._lives = lives
        self._pid = self._told()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(self._pid, signal.SIGKILL)

    def wait(self, *, timeout_s: float) -> int:
        """Return the exit code; kill a life that does not end."""
        last = threading.Timer(timeout_s, self.kill)
        last.start()
        try:
            return self._told()
        finally:
            last.cancel()
            last.join()

    def _told(self) -> int:
        assert self._lives.stdout is not None
        return int(self._lives.stdout.readline())


class World:
    """A data folder, what the world saw of all its lives, and the child processes."""

    def __init__(self, folder: Path, lives: subprocess.Popen[str]) -> None:
        self._lives = lives
        self.folder = folder / "data"
        self.log = folder / "world.log"
        with node.open_database(self.folder) as database:
            database.write_now(lambda c: node.add_service(c, node.add_account(c, max_cps=100.0).id))

    def start(self, *, accept: int, die_at: str = "") -> Child:
        assert self._lives.stdin is not None
        self._lives.stdin.write(json.dumps([str(self.folder), str(self.log), accept, die_at]) + "\n")
        self._lives.stdin.flush()
        return Child(self._lives)

    def live(self, *, accept: int, die_at: str = "") -> int:
        """Run one life to its end and return its exit code."""
        return self.start(accept=accept, die_at=die_at).wait(timeout_s=60)

    def saw(self, what: str) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(what)]

    def check(self) -> None:
        """Assert every promise against the world's log and the database."""
        rung = Counter(call.partition(".")[0] for call in self.saw("RING"))
        with node.open_database(self.folder) as database:
            rows = database.read_now(lambda c: c.execute(select(starts)).all())
            tried = database.read_now(lambda c: c.execute(select(attempts)).all())
            records = database.read_now(lambda c: c.execute(select(adrs)).all())
            calls = database.read_now(lambda c: c.execute(select(cdrs)).all())
            errors = database.read_now(lambda c: c.execute(select(error_records)).all())
        instance_of = {row.reference: (row.instance_id or "").partition(".")[0] for row in rows}
        assert set(self.saw("ACCEPTED")) <= instance_of.keys(), "what was acknowledged exists"
        assert {StartState(row.state) for row in rows} <= OVER, "every start is over"
        assert rung.keys() <= set(instance_of.values()), "nobody rang who was not started"
        assert set(rung.values()) <= {1}, "no call was dialled twice"
        assert len(tried) == len({attempt.start_id for attempt in tried}), "no start was tried twice"
        dialled = {attempt.instance_id.partition(".")[0] for attempt in tried}
        assert rung.keys() <= dialled, "nobody rang before the stamp was on disk"
        assert dialled == {row.instance_id.partition(".")[0] for row in records}, "a record for each attempt, once"
        assert dialled == {row.call_id.partition(".")[0] for row in calls}
        assert all(row.stopped_at is not None for row in records), "every ADR is closed"
        assert all(row.ended_at is not None for row in calls), "every CDR is closed"
        restarted = {row.instance_id for row in rows if row.return_code == -90}
        assert restarted == {error.instance_id for error in errors}, "who was cut off has exactly one error record"
        assert all(row.return_code in (0, -90) for row in rows if row.state == StartState.FINISHED)
        finals = Counter(self.saw("FINAL"))
        assert set(finals.values()) <= {1}, "no final page was asked for twice"
        left_up = set(self.saw("UP")) - set(self.saw("DOWN"))
        assert left_up <= set(self.saw("BYE")), "no call is left up"
        hung_up, cancelled = set(self.saw("BYE")), set(self.saw("CANCEL"))
        answered = {call.call_id for call in calls if call.connected_at is not None}
        assert hung_up <= answered, "nobody is hung up who did not answer"
        assert {call.partition(".")[0] for call in hung_up} <= rung.keys(), "nobody is hung up who was not rung"
        assert cancelled <= {call.call_id for call in calls} - answered, "only calls of ours that nobody answered"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    command = [sys.executable, "-m", "tests.support.outbound_child"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as lives:  # its end comes with that of its input
        yield World(tmp_path, lives)


@pytest.mark.timeout(300)
def test_killed_at_every_step_nobody_is_rung_twice_and_everything_ends(world: World) -> None:
    for step in STEPS:
        # After "opened", "taken_over", "final_stamped" and "bye" comes a life that finds what the one before left.
        if step in ("final_stamped 1", "bye 1"):
            world.live(accept=3, die_at="answered 1")
        assert world.live(accept=6, die_at=step) == -signal.SIGKILL, f"the life dies at {step!r}"
    assert world.live(accept=3) == 0
    world.check()
    assert len(world.saw("ACCEPTED")) > len(STEPS)
    assert world.saw("BYE"), "calls that were up when the node died were hung up by the next life"
    assert world.saw("FINAL"), "their final page was asked for"
    rung = {call.partition(".")[0] for call in world.saw("RING")}
    cancelled = {call.partition(".")[0] for call in world.saw("CANCEL")}
    assert cancelled - rung, "a call that was stamped, and whose INVITE never left, was cancelled all the same"
    assert cancelled & rung, "and so was one that rang"


@pytest.mark.timeout(300)
def test_killed_at_random_moments_nobody_is_rung_twice_and_everything_ends(world: World) -> None:
    chance = random.Random(20)
    for life in range(6):
        accepted = len(world.saw("ACCEPTED"))
        child = world.start(accept=30)
        deadline = time.monotonic() + 30
        while len(world.saw("ACCEPTED")) < accepted + 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.6))
        child.kill()
        assert child.wait(timeout_s=10) in (-signal.SIGKILL, 0), f"life {life} was killed, or had nothing left to do"
    assert world.live(accept=3) == 0
    world.check()
    assert len(world.saw("RING")) >= 30
