"""kill -9 at random moments under a hundred calls: what was acknowledged ends, nobody is rung twice, no call stays up.

The telephones live in a process of their own and go on ringing while the node is dead; what they noted is the witness.

    pytest -s tests/acceptance/test_crash.py                        the short campaign, as in every run of the tests
    pytest -s -m load tests/acceptance/test_crash.py                a long one, about ten minutes
    CRASH_SEED=12345 pytest -s ...                                  the same kills again, as far as chance allows
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.node import CALLER, Answer, Node, Over, Service
from tests.support.node_outside import LoopThread, phone_network, web_application
from tests.support.node_processes import marked_processes, wait_until
from tests.support.phone_mix import ANSWERS, BUSY, HANGS_UP, LATE, NEVER, PASSWORD, mixed_personas, still_up

from callwright.cli.node_link import NoNode
from callwright.sandbox.observation import EndedBy, Observation
from callwright.sandbox.observations import RingLine, read_observations, read_rings
from callwright.testing.web_application import WebApplication

OWNER = "crash@example.com"
FORKS = "0015"
PERSONAS = mixed_personas(hang_up_after_s=1.5)
MIX = [ANSWERS] * 40 + [BUSY] * 10 + [LATE] * 20 + [HANGS_UP] * 15 + [NEVER] * 5 + [PASSWORD] * 5 + [FORKS] * 5
RESTARTED = "completed -90"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many calls, how fast, and how often the node dies meanwhile."""

    calls: int
    max_cps: float
    kills: int
    per_request: int = 5


@dataclass(slots=True, kw_only=True)
class Aftermath:
    """What is known when the last life has stopped: by us, on the disk, and by the far ends."""

    plan: Plan
    seed: int
    acknowledged: dict[str, str] = field(default_factory=dict)  # reference → dialled number
    over: dict[str, Over] = field(default_factory=dict)
    first_records: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_records: dict[str, dict[str, Any]] = field(default_factory=dict)
    rings: list[RingLine] = field(default_factory=list)
    seen: list[Observation] = field(default_factory=list)
    finals: Counter[str] = field(default_factory=Counter)
    database: Path = Path()
    ready_s: list[float] = field(default_factory=list)
    recovered_s: float = 0.0

    def left_by_former_lives(self) -> int:
        """Return how many starts of former lives recovery has not ended yet."""
        query = "SELECT count(*) FROM starts WHERE state = 'running' AND claimed_by < (SELECT incarnation FROM node)"
        [(left,)] = self.rows(query)
        return int(left)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


def run_campaign(folder: Path, plan: Plan) -> Aftermath:
    """Start calls as a client that repeats what was not answered, and kill the node meanwhile."""
    seed = int(os.environ.get("CRASH_SEED", "") or random.SystemRandom().randrange(10**6))
    after = Aftermath(plan=plan, seed=seed, database=folder / "data" / "callwright.db")
    _say(f"crash campaign: {plan.calls} calls, {plan.kills} kills, CRASH_SEED={seed}")
    chance = random.Random(seed)
    personas = folder / "personas.yaml"
    personas.write_text(PERSONAS, encoding="utf-8")
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        marked_processes() as marked,
    ):
        with phone_network(outside, folder / "phones", personas=personas) as phones:
            node = Node(
                folder / "data", marked, ("--sandbox-at", f"{phones.host}:{phones.port}", "--log-level", "info")
            )
            try:
                _live(node, web, plan, after, chance, folder / "phones")
            finally:
                node.stop()
        # The telephones have stopped and written what they saw of calls that nobody ended.
        after.rings = read_rings(folder / "phones")
        after.seen = read_observations(folder / "phones")
    after.finals = Counter(
        one.info["application_instance_id"] for one in web.asked if one.path == "/final" and one.info
    )
    _tell(after)
    return after


def _live(node: Node, web: WebApplication, plan: Plan, after: Aftermath, chance: random.Random, phones: Path) -> None:
    web.page("/first", {"play": {"play_list": [{"digits_to_play": "12"}]}}, {"sleep": {"seconds": 1.5}})
    web.page("/final")
    node.begin()
    service = _make_service(node, web, plan)
    client = _Client(node, service, plan, after, chance)
    threads = [threading.Thread(target=work, name=work.__name__) for work in (client.start_calls, client.watch)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(plan.kills):
            time.sleep(chance.uniform(0.5, 4.5))
            node.kill()
            began = time.monotonic()
            node.start_process()
            if chance.random() < 0.3:
                time.sleep(chance.uniform(0.0, 2.5))  # this life is killed while it starts or recovers
                continue
            node.wait_ready()
            after.ready_s.append(time.monotonic() - began)
        if node.is_running:
            node.kill()
        began = time.monotonic()
        node.start_process()
        node.wait_ready()
        wait_until(lambda: after.left_by_former_lives() == 0, what="the end of recovery")
        after.recovered_s = time.monotonic() - began
        wait_until(lambda: len(after.acknowledged) == plan.calls, within_s=plan.calls + 60, what="all acknowledged")
        after.over = node.wait_all_over(
            list(after.acknowledged), within_s=plan.calls / plan.max_cps + 60, account=OWNER
        )
    finally:
        client.enough.set()
        for thread in threads:
            thread.join()
    assert client.failure is None, client.failure
    wait_until(
        lambda: not still_up(phones, but=NEVER),
        within_s=45,
        what=lambda: f"far ends that are up: {still_up(phones, but=NEVER)}",
    )
    for over in after.over.values():
        if over.instance:
            after.last_records[over.instance] = node.records(over, account=OWNER)


def _make_service(node: Node, web: WebApplication, plan: Plan) -> Service:
    made = {"username": OWNER, "type": "premium", "max_cps": plan.max_cps, "caller_ids": "any"}
    node.link.post("/accounts", made)
    return node.add_service(
        "crashing",
        account=OWNER,
        first_page=f"{web.url}/first",
        final_page=f"{web.url}/final",
        max_cps=plan.max_cps,
        ring_timeout_s=4,
    )


class _Client:
    """A client that loses its connections: it repeats requests under their ``unique_id`` until they are answered."""

    def __init__(self, node: Node, service: Service, plan: Plan, after: Aftermath, chance: random.Random) -> None:
        self.enough = threading.Event()
        self.failure: BaseException | None = None
        self._node = node
        self._service = service
        self._plan = plan
        self._after = after
        self._key = node.access_key(OWNER)
        endings = (MIX * (plan.calls // len(MIX) + 1))[: plan.calls]
        chance.shuffle(endings)
        self._numbers = [f"tel:99900{index:04d}{ending}" for index, ending in enumerate(endings)]

    def start_calls(self) -> None:
        size = self._plan.per_request
        for first in range(0, len(self._numbers), size):
            numbers = self._numbers[first : first + size]
            calls = [{"to": number, "from": CALLER} for number in numbers]
            answer = self._until_answered(calls, unique_id=f"request {first}")
            if answer is None:
                return
            if answer.status != 200:
                self.failure = AssertionError(answer)
                return
            self._after.acknowledged.update(zip(answer.body, numbers, strict=True))
            self.enough.wait(size / self._plan.max_cps / 2)  # faster than they leave, so that some always wait

    def watch(self) -> None:
        """Keep the records of each start as they were when it was first seen to be over."""
        done: set[str] = set()
        while not self.enough.wait(0.2):
            waiting = [reference for reference in list(self._after.acknowledged) if reference not in done]
            if not waiting:
                continue
            with suppress(OSError, NoNode, AssertionError):
                for reference, one in self._node.service_status(*waiting, account=OWNER).items():
                    if not one["status"].startswith("completed"):
                        continue
                    over = Over(reference=reference, status=one["status"], instance=one["application_instance_id"])
                    self._after.first_records[over.instance] = self._node.records(over, account=OWNER)
                    done.add(reference)

    def _until_answered(self, calls: list[dict[str, str]], *, unique_id: str) -> Answer | None:
        while not self.enough.is_set():
            with suppress(OSError):
                answer = self._node.service_start(self._service, calls, unique_id=unique_id)
                if answer.status != 503:
                    return answer
            self.enough.wait(0.05)
        return None


def _tell(after: Aftermath) -> None:
    statuses = Counter(over.status for over in after.over.values())
    ready = ", ".join(f"{each:.1f}" for each in after.ready_s)
    _say(f"ended as {dict(statuses)}; {len(after.rings)} rings; ready again after {ready} s")
    _say(f"the last life had ended what the others left {after.recovered_s:.1f} s after its start")


def _say(text: str) -> None:
    sys.stderr.write(f"\n{text}\n")


# --- the guarantees


def check(after: Aftermath) -> None:
    """Hold what the far ends and the disk say against what was promised."""
    rung = Counter(ring.dialled for ring in after.rings)
    assert {number: times for number, times in rung.items() if times > 1} == {}, "rung twice"

    assert len(after.over) == after.plan.calls
    assert {over.status for over in after.over.values()} <= {"completed 0", RESTARTED}
    assert len({over.instance for over in after.over.values()}) == after.plan.calls

    for reference, over in after.over.items():
        if over.status == "completed 0":
            assert rung[after.acknowledged[reference].removeprefix("tel:")] == 1, f"{reference} never rang"

    assert after.rows("SELECT count(*) FROM starts") == [(after.plan.calls,)], "a repeated request started calls again"
    assert after.rows("SELECT DISTINCT state FROM starts") == [("finished",)]
    assert after.rows("SELECT count(*), count(DISTINCT start_id) FROM attempts") == [(after.plan.calls,) * 2]
    assert after.rows("SELECT count(*) FROM adrs WHERE stopped_at IS NULL") == [(0,)]
    assert after.rows("SELECT count(*) FROM cdrs WHERE ended_at IS NULL") == [(0,)]
    assert after.rows("SELECT count(*) FROM adrs") == after.rows("SELECT count(*) FROM cdrs") == [(after.plan.calls,)]

    up = {seen.dialled: seen for seen in after.seen if seen.answered_at is not None}
    left = {
        number: seen.end_reason for number, seen in up.items() if seen.ended_by not in (EndedBy.CALLER, EndedBy.PERSONA)
    }
    assert left == {}, "left up"

    changed = [instance for instance, records in after.first_records.items() if after.last_records[instance] != records]
    assert changed == [], "records changed after they were closed"

    for over in after.over.values():
        times = after.finals[over.instance]
        assert times == 1 if over.status == "completed 0" else times <= 1, f"final page of {over}: {times} times"

    for reference, over in after.over.items():
        records = after.last_records[over.instance]
        assert bool(records["errs"]) == (over.status == RESTARTED)
        [cdr] = records["cdrs"].values()
        seen = up.get(after.acknowledged[reference].removeprefix("tel:"))
        if cdr["call_connected_time"]:
            assert seen is not None, f"{reference} has an answer that no far end gave"


@pytest.fixture
def campaign_folder(tmp_path: Path) -> Path:
    (tmp_path / "phones").mkdir()
    return tmp_path


@pytest.mark.timeout(180)
def test_a_hundred_calls_survive_kills_at_random_moments(campaign_folder: Path) -> None:
    check(run_campaign(campaign_folder, Plan(calls=100, max_cps=5.0, kills=7)))


def test_a_node_that_dies_among_answers_leaves_none_of_its_calls_up(campaign_folder: Path) -> None:
    """All far ends answer in one moment; the node dies at the first ACK, with the other answers at every stage."""
    calls, max_cps = 20, 40.0
    personas = campaign_folder / "personas.yaml"
    delays = {f"90{index:02d}": 1.5 - index / max_cps for index in range(calls)}
    lines = [f'  - {{number: "{end}", name: answers, answer_after: {delay}}}' for end, delay in delays.items()]
    personas.write_text("\n".join(["personas:", *lines]), encoding="utf-8")
    folder = campaign_folder / "phones"
    with LoopThread() as outside, web_application(outside) as web, marked_processes() as marked:
        web.page("/first", {"sleep": {"seconds": 30}})
        with phone_network(outside, folder, personas=personas) as phones:
            node = Node(campaign_folder / "data", marked, ("--sandbox-at", f"{phones.host}:{phones.port}"))
            try:
                node.begin()
                service = _make_service(node, web, Plan(calls=calls, max_cps=max_cps, kills=1))
                answer = node.service_start(service, [{"to": f"tel:999005550{end}", "from": CALLER} for end in delays])
                assert answer.status == 200, answer
                log = folder / "sandbox.log"
                wait_until(lambda: b'"action": "acked"' in log.read_bytes(), what="the first ACK", every_s=0.0005)
                node.kill()
                node.begin()
                over = node.wait_all_over(answer.body, account=OWNER)
                # A busy machine may be killed before the last ones left: those ring in no life, or in the next.
                rang = log.read_bytes().count(b'"action": "invited"')
                wait_until(lambda: len(read_observations(folder)) == rang, within_s=20, what="the end of all calls")
            finally:
                node.stop()
    statuses = [one.status for one in over.values()]
    assert len(statuses) == calls
    assert RESTARTED in statuses
    assert set(statuses) <= {RESTARTED, "completed 0"}
    answered = [one for one in read_observations(folder) if one.answered_at is not None]
    assert answered
    assert {one.ended_by for one in answered} == {EndedBy.CALLER}


@pytest.mark.load
@pytest.mark.timeout(1800)
def test_a_thousand_calls_survive_a_hundred_kills(campaign_folder: Path) -> None:
    check(run_campaign(campaign_folder, Plan(calls=1000, max_cps=10.0, kills=100)))
