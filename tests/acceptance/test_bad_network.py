"""Calls over a network that loses, doubles, delays and reorders: they come about, ring once and end on both sides.

A relay stands between the whole node (pages, durable records) and its far end, which lives in a process of its own.

    pytest -s tests/acceptance/test_bad_network.py                  short campaigns, as in every run of the tests
    pytest -s -m load tests/acceptance/test_bad_network.py          2,000 calls at 5 %, 500 at 20 %, SIPp as far end
    NETWORK_SEED=12345 pytest -s ...                                the same chance again
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.lossy_relay import LossyRelay, Tally, Trouble
from tests.support.node import CALLER, Node, Over
from tests.support.node_outside import LoopThread, phone_network, web_application
from tests.support.node_processes import marked_processes, wait_until
from tests.support.phone_mix import ANSWERS, BUSY, HANGS_UP, LATE, NEVER, PASSWORD, mixed_personas, still_up
from tests.support.sipp import SippResult, answering, needs_sipp

from callwright.sandbox.observation import EndedBy, Observation
from callwright.sandbox.observations import RingLine, read_observations, read_rings

OWNER = "network@example.com"
FORKS = "0015"
PERSONAS = mixed_personas(hang_up_after_s=0.8)
MIX = [ANSWERS] * 50 + [HANGS_UP] * 15 + [LATE] * 10 + [PASSWORD] * 10 + [FORKS] * 3 + [BUSY] * 8 + [NEVER] * 4
EXPECTED = {BUSY: "BUSY(486)", NEVER: "NOANSWER(487)"}
UP = "NORMAL(200)"
FIVE, TWENTY = 0.05, 0.20


def trouble(loss: float) -> Trouble:
    """A network of this loss that also doubles 3 %, holds 5 % back by up to 0.4 s and takes 1 to 20 ms for the rest."""
    return Trouble(loss=loss, doubled=0.03, late=0.05, late_by_s=0.4, delay_s=(0.001, 0.02))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many calls, how fast, over which network; ``sound`` sends their RTP through it, too."""

    calls: int
    max_cps: float
    loss: float
    ring_timeout_s: int = 6
    mix: Sequence[str] = tuple(MIX)
    sound: bool = False


@dataclass(slots=True, kw_only=True)
class Aftermath:
    """What is known when all is over: what we say of each call, and what the far ends saw."""

    plan: Plan
    numbers: dict[str, str] = field(default_factory=dict)  # reference → dialled number
    over: dict[str, Over] = field(default_factory=dict)
    cdrs: dict[str, dict[str, Any]] = field(default_factory=dict)
    rings: list[RingLine] = field(default_factory=list)
    seen: list[Observation] = field(default_factory=list)
    finals: Counter[str] = field(default_factory=Counter)
    open_records: int = 0
    live_calls: int = -1
    tally: Tally = field(default_factory=Tally)
    sound_tally: Tally = field(default_factory=Tally)

    def unexpected(self) -> dict[str, str]:
        """Return the calls that did not become what their far end is there for, with their causes."""
        return {
            number: self.cdrs[reference]["hangup_cause"]
            for reference, number in self.numbers.items()
            if self.cdrs[reference]["hangup_cause"] != EXPECTED.get(number[-4:], UP)
        }


@contextmanager
def bad_network(outside: LoopThread, beyond: tuple[str, int], plan: Plan) -> Iterator[LossyRelay]:
    seed = int(os.environ.get("NETWORK_SEED", "") or random.SystemRandom().randrange(10**6))
    _say(f"{plan.calls} calls at {plan.loss:.0%} loss, NETWORK_SEED={seed}")
    most = plan.calls if plan.sound else 0
    opening = LossyRelay.open(beyond=beyond, trouble=trouble(plan.loss), seed=seed, sound=plan.sound, most_calls=most)
    relay = outside.run(opening)
    try:
        yield relay
    finally:
        outside.run(relay.close())


def run_campaign(folder: Path, plan: Plan) -> Aftermath:
    """Place all calls and wait until both sides are done with them."""
    after = Aftermath(plan=plan)
    personas = folder / "personas.yaml"
    personas.write_text(PERSONAS, encoding="utf-8")
    phones_folder = folder / "phones"
    with LoopThread() as outside, web_application(outside) as web, marked_processes() as marked:
        web.page("/first", {"play": {"play_list": [{"digits_to_play": "12"}]}}, {"sleep": {"seconds": 0.6}})
        web.page("/final")
        with (
            phone_network(outside, phones_folder, personas=personas) as phones,
            bad_network(outside, (phones.host, phones.port), plan) as relay,
        ):
            node = Node(folder / "data", marked, ("--sandbox-at", "{}:{}".format(*relay.address)))
            try:
                endings = random.Random(plan.calls).choices(plan.mix, k=plan.calls)
                numbers = [f"tel:99900{index:04d}{ending}" for index, ending in enumerate(endings)]
                _place_all(node, web.url, numbers, after)
                wait_until(
                    lambda: not still_up(phones_folder), within_s=60, what=lambda: f"up: {still_up(phones_folder)}"
                )
                after.live_calls = node.link.get("/status")["live_calls"]
            finally:
                node.stop()
            after.tally, after.sound_tally = relay.tally, relay.sound_tally
        after.rings, after.seen = read_rings(phones_folder), read_observations(phones_folder)
    after.finals = Counter(
        one.info["application_instance_id"] for one in web.asked if one.path == "/final" and one.info
    )
    after.open_records = _open_records(folder / "data" / "callwright.db")
    _tell(after)
    return after


def _place_all(node: Node, pages: str, numbers: list[str], after: Aftermath) -> None:
    plan = after.plan
    node.begin()
    node.link.post("/accounts", {"username": OWNER, "type": "premium", "max_cps": plan.max_cps, "caller_ids": "any"})
    service = node.add_service(
        "network",
        account=OWNER,
        first_page=f"{pages}/first",
        final_page=f"{pages}/final",
        max_cps=plan.max_cps,
        ring_timeout_s=plan.ring_timeout_s,
    )
    answer = node.service_start(service, [{"to": number, "from": CALLER} for number in numbers])
    assert answer.status == 200, answer
    after.numbers = dict(zip(answer.body, numbers, strict=True))
    after.over = node.wait_all_over(answer.body, within_s=plan.calls / plan.max_cps + 100, account=OWNER)
    for reference, over in after.over.items():
        [after.cdrs[reference]] = node.records(over, account=OWNER)["cdrs"].values()


def _open_records(database: Path) -> int:
    query = """SELECT (SELECT count(*) FROM cdrs WHERE ended_at IS NULL) + (SELECT count(*) FROM adrs WHERE stopped_at
               IS NULL) + (SELECT count(*) FROM starts WHERE state != 'finished')"""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        [(left,)] = connection.execute(query).fetchall()
    return int(left)


def _tell(after: Aftermath) -> None:
    tally, causes = after.tally, Counter(cdr["hangup_cause"] for cdr in after.cdrs.values())
    _say(
        f"{tally.came} datagrams: {tally.lost} lost, {tally.doubled} doubled, {tally.overtaken} overtaken; "
        f"causes {dict(causes)}; not as expected {after.unexpected()}"
    )
    _say(f"{len(after.rings)} rings; far ends ended by {dict(Counter(str(seen.ended_by) for seen in after.seen))}")
    if after.plan.sound:
        _say(f"sound: {after.sound_tally}")


def _say(text: str) -> None:
    sys.stderr.write(f"\n{text}\n")


def check(after: Aftermath) -> None:
    """Hold both sides' stories against each other: one ring, one end, no ghost, records closed."""
    tally = after.tally
    assert tally.lost > tally.came * after.plan.loss / 2, "the network was too good"
    assert tally.doubled
    assert tally.overtaken

    assert {over.status for over in after.over.values()} == {"completed 0"}
    assert after.live_calls == 0, "a call the node still holds"
    assert after.open_records == 0, "a record that was never closed"

    rung = Counter(ring.dialled for ring in after.rings)
    assert {number: times for number, times in rung.items() if times > 1} == {}, "rung twice"
    seen = Counter(one.call_id for one in after.seen)
    assert {call_id: times for call_id, times in seen.items() if times > 1} == {}, "one call was two at the far end"
    by_number = {one.dialled: one for one in after.seen}
    assert set(by_number) == set(rung), "a telephone rang and never ended"
    left = {number: one.end_reason for number, one in by_number.items() if one.ended_by is EndedBy.SANDBOX_STOPPED}
    assert left == {}, "left up at the far end"

    for reference, number in after.numbers.items():
        cdr, far = after.cdrs[reference], by_number.get(number.removeprefix("tel:"))
        if cdr["call_connected_time"]:
            assert far is not None
            assert far.answered_at is not None, f"{number} has an answer that no far end gave"
    assert max(after.finals.values()) == 1
    assert set(after.finals) == {over.instance for over in after.over.values()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "phones").mkdir()
    return tmp_path


def test_calls_over_a_network_that_loses_a_twentieth_all_become_what_they_should(folder: Path) -> None:
    quick = [ending for ending in MIX if ending != LATE]
    after = run_campaign(folder, Plan(calls=30, max_cps=40, loss=FIVE, ring_timeout_s=3, mix=quick, sound=True))
    check(after)
    assert after.unexpected() == {}


@pytest.mark.load
@pytest.mark.timeout(900)
def test_of_two_thousand_calls_at_five_percent_loss_999_of_1000_come_about(folder: Path) -> None:
    calls = int(os.environ.get("NETWORK_CALLS", "2000"))
    after = run_campaign(folder, Plan(calls=calls, max_cps=12, loss=FIVE))
    check(after)
    assert len(after.unexpected()) <= calls / 1000


@pytest.mark.load
@pytest.mark.timeout(600)
def test_at_twenty_percent_loss_every_call_ends_on_both_sides(folder: Path) -> None:
    check(run_campaign(folder, Plan(calls=500, max_cps=10, loss=TWENTY)))


@needs_sipp
@pytest.mark.load
@pytest.mark.timeout(600)
@pytest.mark.parametrize("loss", [FIVE, TWENTY])
def test_sipp_beyond_a_bad_network_sees_every_call_through(tmp_path: Path, loss: float) -> None:
    """SIPp has no transactions: what comes again at an odd moment is a failure or a new call to it. Its log counts."""
    calls, max_cps = int(os.environ.get("NETWORK_CALLS", "500")), 10.0
    plan = Plan(calls=calls, max_cps=max_cps, loss=loss)
    after = Aftermath(plan=plan)
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        marked_processes() as marked,
        answering("answer_bad_network", calls=2 * calls, limit_s=calls / max_cps + 200) as far,
        bad_network(outside, (far.host, far.port), plan) as relay,
    ):
        web.page("/first", {"sleep": {"seconds": 0.5}})
        web.page("/final")
        node = Node(tmp_path / "data", marked, ())
        try:
            numbers = [f"sip:{1000 + index}@{relay.address[0]}:{relay.address[1]}" for index in range(calls)]
            _place_all(node, web.url, numbers, after)
            wait_until(
                lambda: not _left_up(far.result()), within_s=60, every_s=2, what=lambda: f"up: {_left_up(far.result())}"
            )
            after.live_calls = node.link.get("/status")["live_calls"]
        finally:
            node.stop()
        far.stop()
        result = far.result()
        after.tally = relay.tally
    _tell(after)
    _say(f"SIPp: {result.succeeded} succeeded, {result.failed} failed by its own count")
    invites: dict[str | None, set[str | None]] = {}
    for message in result.messages:
        if message.gist == "> INVITE":
            invites.setdefault(message.header("Call-ID"), set()).add(message.header("Via"))
    assert len(invites) == calls
    assert {call_id for call_id, vias in invites.items() if len(vias) > 1} == set(), "rung twice"
    assert after.live_calls == 0
    if loss == FIVE:
        assert len(after.unexpected()) <= calls / 1000


def _left_up(result: SippResult) -> set[str | None]:
    """Return the Call-IDs that SIPp took and that neither side has ended."""
    gists: dict[str | None, set[str]] = {}
    for message in result.messages:
        gists.setdefault(message.header("Call-ID"), set()).add(message.gist)
    return {call_id for call_id, seen in gists.items() if not seen & {"> BYE", "> CANCEL", "< BYE"}}
