"""What the operator stops on a real node with the simulated phone network, and retries there."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from tests.support.node import CALLER, Node, Service, callwright, get, running_node
from tests.support.node_processes import expect_throughout, marked_processes, wait_until

from callwright.sandbox.observations import read_rings

ANSWERS = "tel:999005550001"
BUSY = "tel:999005550002"
NEVER_ANSWERS = "tel:999005550004"
REDIRECTS = "tel:999005550014"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with marked_processes() as marked, running_node(tmp_path_factory.mktemp("control") / "data", marked) as running:
        yield running


@pytest.fixture(scope="module")
def service(node: Node) -> Service:
    return node.add_service("calls", first_page="http://127.0.0.1:9/nobody")


def say(node: Node, *words: str) -> str:
    done = callwright(*words, "--data", str(node.data))
    assert done.returncode == 0, done.stderr
    return done.stdout


def rings(node: Node, to: str) -> int:
    return sum(ring.dialled in to for ring in read_rings(node.data / "sandbox"))


def test_a_first_start_tells_of_the_phone_network_in_one_line(node: Node) -> None:
    log = node.log.read_text()
    assert log.count('"sandbox_phrases_rendered"') == 1
    assert "A prompt was rendered" not in log


def test_explain_tells_where_a_redirected_call_went_and_what_went_wrong(node: Node, service: Service) -> None:
    over = node.wait_over(node.start(service, REDIRECTS))
    network, said = node.link.get("/status")["sandbox"], say(node, "explain", over.reference)
    assert f"redirected to sip:999005550001@{network}" in said
    assert "log says   page request failed: POST http://127.0.0.1:9/nobody: no connection" in said


def test_paused_starts_wait_and_leave_when_they_are_resumed(node: Node, service: Service) -> None:
    assert say(node, "pause", "--service", "calls") == "calls of demo@example.com: paused\n"
    assert "was paused already" in say(node, "pause", "--service", "calls")
    before = rings(node, BUSY)
    reference = node.start(service, BUSY)
    shown = say(node, "running")
    assert "service calls of demo@example.com" in shown
    assert "no call runs" in shown
    assert [pause["scope"] for pause in node.link.get("/status")["paused"]] == ["service"]
    assert get(f"http://{node.http}/health").status == 200
    expect_throughout(
        lambda: (node.status_of(reference), rings(node, BUSY)) == ("queued", before),
        for_s=1.5,  # longer than the dispatcher takes to look again
        what="a paused start left the queue",
    )
    assert "calls of demo@example.com: resumed" in say(node, "resume", "--service", "calls")
    assert node.wait_over(reference).status == "completed 0"
    assert rings(node, BUSY) == before + 1


def test_a_pause_outlives_the_node(node: Node, service: Service) -> None:
    say(node, "pause")
    node.kill()
    node.begin()
    reference = node.start(service, BUSY)
    assert "paused since" in say(node, "running")
    assert "everything" in say(node, "running")
    assert node.status_of(reference) == "queued"
    say(node, "resume")
    assert node.wait_over(reference).status == "completed 0"


def test_a_retry_that_waits_outlives_a_kill_in_a_pause(node: Node, service: Service) -> None:
    before = rings(node, BUSY)
    after_s = 8.0  # long enough that the pause comes before the retry, on a busy machine too
    retried = node.start(service, BUSY, retry={"busy": {"after": int(after_s), "times": 1}})
    wait_until(
        lambda: rings(node, BUSY) == before + 1 and node.status_of(retried) == "queued", what="the first attempt's end"
    )
    due = time.monotonic() + after_s
    node.link.post("/pause", {})
    waiting = node.start(service, BUSY)
    node.kill()
    node.begin()
    assert (node.status_of(retried), node.status_of(waiting)) == ("queued", "queued")
    expect_throughout(
        lambda: rings(node, BUSY) == before + 1,
        for_s=due - time.monotonic() + 0.5,  # by its end the retry is due
        what="a paused retry rang",
    )
    node.link.post("/resume", {})
    over = node.wait_all_over([retried, waiting])
    assert {one.status for one in over.values()} == {"completed 0"}
    assert rings(node, BUSY) == before + 3


def test_one_running_call_is_hung_up_and_the_others_go_on(node: Node, service: Service) -> None:
    victim, other = node.start(service, NEVER_ANSWERS), node.start(service, NEVER_ANSWERS)
    wait_until(lambda: say(node, "running").count("dialled") == 2, what="two calls that ring")
    assert "hanging up" in say(node, "hangup", victim)
    assert node.wait_over(victim).status == "completed -80"
    assert victim not in say(node, "running")
    assert node.status_of(other) == "running"
    assert callwright("hangup", victim, "--data", str(node.data)).returncode == 1
    say(node, "hangup", other)
    assert node.wait_over(other).status == "completed -80"


def test_a_busy_number_is_tried_again_and_each_attempt_has_its_records(node: Node, service: Service) -> None:
    before = rings(node, BUSY)
    reference = node.start(service, BUSY, retry={"busy": {"after": 1, "times": 2}}, priority=3)
    seen: list[str] = []

    def over() -> bool:
        found = node.service_status(reference)[reference]
        instance = found["application_instance_id"]
        if instance and instance not in seen:
            seen.append(instance)
        return bool(found["status"].startswith("completed"))

    wait_until(over, within_s=30.0, every_s=0.05, what="all attempts")
    assert len(seen) == 3
    assert rings(node, BUSY) == before + 3
    for instance in seen:
        answer = node.post(
            "/application_status", "0-0-0/demo@example.com", node.access_key(), application_instance_id=instance
        )
        assert answer.status == 200
    at = sorted(ring.at for ring in read_rings(node.data / "sandbox") if ring.dialled in BUSY)[-3:]
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(at))


def test_a_wish_that_cannot_be_is_refused_by_name(node: Node, service: Service) -> None:
    answer = node.service_start(service, [{"to": BUSY, "from": CALLER, "calling_hours": {"time_zone": "Mars"}}])
    assert answer.status == 400
    assert "rest_calls[0].calling_hours" in answer.body["error"]["text"]
