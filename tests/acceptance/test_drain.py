"""SIGTERM to a node that is in use: running calls finish, no new ones begin, and what waits is run by the next life."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.node import CALLER, Node, Service, get
from tests.support.node_outside import LoopThread, phone_network, web_application
from tests.support.node_processes import MarkedProcesses, marked_processes, wait_until

from callwright.cli.node_link import NoNode
from callwright.sandbox.observation import EndedBy, Observation
from callwright.sandbox.observations import read_observations, read_rings
from callwright.testing.web_application import WebApplication

PERSONAS = """
personas:
  - {number: "8101", name: answers, answer_after: 0.2}
"""
ANSWERS, NEVER_ANSWERS = "tel:999005558101", "tel:999005550004"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A node whose telephones outlive it; ``service`` asks /first and /final of ``web``."""

    node: Node
    web: WebApplication
    service: Service
    phones: Path
    marked: MarkedProcesses

    def seen(self) -> list[Observation]:
        return read_observations(self.phones)

    def wait_up(self, reference: str) -> None:
        """Return when the application of a start has taken over its call."""
        wait_until(lambda: self.web.paths().count("/first") >= 1, what=f"{reference} to be up")

    def wait_ringing(self, times: int = 1) -> None:
        wait_until(lambda: len(read_rings(self.phones)) >= times, what="a ring")


@contextmanager
def place(folder: Path, *, talk_s: float) -> Iterator[Place]:
    personas, phones_folder = folder / "personas.yaml", folder / "phones"
    personas.write_text(PERSONAS, encoding="utf-8")
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        phone_network(outside, phones_folder, personas=personas) as phones,
        marked_processes() as marked,
    ):
        web.page("/first", {"sleep": {"seconds": talk_s}})
        web.page("/final")
        node = Node(folder / "data", marked, ("--sandbox-at", f"{phones.host}:{phones.port}"))
        try:
            node.begin()
            pages = {"first_page": f"{web.url}/first", "final_page": f"{web.url}/final"}
            service = node.add_service("draining", **pages, max_running=1)
            node.access_key()
            yield Place(node=node, web=web, service=service, phones=phones_folder, marked=marked)
        finally:
            node.stop()


def test_a_running_call_finishes_and_the_node_ends_with_code_0_while_new_starts_wait_for_the_next(
    tmp_path: Path,
) -> None:
    with place(tmp_path, talk_s=2) as here:
        node = here.node
        running = node.start(here.service, ANSWERS, token="running")
        here.wait_up(running)
        waiting = node.start(here.service, ANSWERS, token="waiting")

        node.send_signal(signal.SIGTERM)
        wait_until(lambda: get(f"http://{node.http}/health").status == 503, what="the node to drain")
        late = node.start(here.service, ANSWERS, token="late")
        assert node.status_of(late) == "queued"
        assert node.status_of(running) == "running"
        assert node.wait_exit(within_s=20) == 0
        here.marked.expect_none(within_s=0.5)

        [seen] = here.seen()
        assert seen.ended_by is EndedBy.CALLER
        assert seen.answered_at is not None
        assert seen.ended_at is not None
        assert seen.ended_at - seen.answered_at >= 2.0
        assert len(here.web.infos("/final")) == 1

        node.begin()
        over = node.wait_all_over([running, waiting, late])
        assert {one.status for one in over.values()} == {"completed 0"}
        assert [info["token"] for info in here.web.infos("/first")] == ["running", "waiting", "late"]
        assert len(read_rings(here.phones)) == 3
        assert node.records(over[running])["errs"] == {}


def test_a_second_signal_hangs_up_at_once_and_the_record_says_that_the_platform_stopped(tmp_path: Path) -> None:
    with place(tmp_path, talk_s=60) as here:
        node = here.node
        reference = node.start(here.service, ANSWERS)
        here.wait_up(reference)
        node.send_signal(signal.SIGTERM)
        wait_until(lambda: get(f"http://{node.http}/health").status == 503, what="the node to drain")
        assert node.status_of(reference) == "running"
        node.send_signal(signal.SIGTERM)
        assert node.wait_exit(within_s=10) == 0
        here.marked.expect_none(within_s=0.5)

        [seen] = here.seen()
        assert seen.ended_by is EndedBy.CALLER
        [final] = here.web.infos("/final")
        assert final["this_call"]["call_cause"] == "completed"

        node.begin()
        over = node.wait_over(reference)
        assert over.status == "completed -80"
        records = node.records(over)
        [cdr] = records["cdrs"].values()
        assert cdr["hangup_cause"] == "NORMAL(200)"
        assert abs(cdr["call_hangup_time"] - (seen.ended_at or 0)) < 0.05
        assert "completion status [-80]" in str(records["errs"])
        assert len(read_rings(here.phones)) == 1


def test_a_call_that_still_rings_at_the_second_signal_is_cancelled(tmp_path: Path) -> None:
    with place(tmp_path, talk_s=1) as here:
        node = here.node
        reference = node.start(here.service, NEVER_ANSWERS)
        here.wait_ringing()
        node.send_signal(signal.SIGTERM)
        wait_until(lambda: get(f"http://{node.http}/health").status == 503, what="the node to drain")
        node.send_signal(signal.SIGINT)
        assert node.wait_exit(within_s=10) == 0

        wait_until(here.seen, what="the observation")
        [seen] = here.seen()
        assert seen.ended_by is EndedBy.CANCELLED
        assert here.web.paths() == ["/final"]

        node.begin()
        over = node.wait_over(reference)
        assert over.status == "completed -80"
        [cdr] = node.records(over)["cdrs"].values()
        assert cdr["hangup_cause"] == "NOANSWER(487)"


def test_calls_that_last_longer_than_the_limit_are_ended_by_it(tmp_path: Path) -> None:
    with place(tmp_path, talk_s=60) as here:
        node = here.node
        node.stop()
        node.begin(environment={"CALLWRIGHT_CALLS_DRAIN_LIMIT_S": "1"})
        reference = node.start(here.service, ANSWERS)
        here.wait_up(reference)
        node.send_signal(signal.SIGTERM)
        assert node.wait_exit(within_s=10) == 0
        [seen] = here.seen()
        assert seen.ended_by is EndedBy.CALLER
        node.begin()
        assert node.wait_over(reference).status == "completed -80"


def test_a_node_without_calls_ends_at_once_with_code_0_and_answers_no_more(tmp_path: Path) -> None:
    with place(tmp_path, talk_s=1) as here:
        here.node.send_signal(signal.SIGTERM)
        assert here.node.wait_exit(within_s=10) == 0
        here.marked.expect_none(within_s=0.5)
        with pytest.raises(NoNode):
            here.node.link.get("/status")


def test_a_node_whose_parent_is_gone_stops_too(tmp_path: Path) -> None:
    with place(tmp_path, talk_s=1) as here:
        assert here.node.process.stdin is not None
        here.node.process.stdin.close()
        assert here.node.wait_exit(within_s=10) == 0


def test_starts_wait_in_the_queue_through_a_kill_before_they_left(tmp_path: Path) -> None:
    with place(tmp_path, talk_s=2) as here:
        node = here.node
        first = node.start(here.service, ANSWERS)
        here.wait_up(first)
        second = node.service_start(here.service, {"to": ANSWERS, "from": CALLER}).body[0]
        node.kill()
        node.begin()
        over = node.wait_all_over([first, second])
        assert over[first].status == "completed -90"
        assert over[second].status == "completed 0"
        assert len(read_rings(here.phones)) == 2
        assert {one.ended_by for one in here.seen()} == {EndedBy.CALLER}
        assert len(here.web.infos("/final")) == 2
