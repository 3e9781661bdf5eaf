"""Cancellations that cross the INVITE: ``success`` must mean that the far end never sees it, however close it was.

Each try starts a call on an idle node and cancels it about when its INVITE leaves: a little later after each success, a
little earlier after each failure, with a spread of 5 ms to both sides. Referee is the far end.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
from base64 import b64encode
from collections import Counter
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.support.node import CALLER, CLOUD, Node, Service, running_node
from tests.support.node_processes import marked_processes, wait_until

from callwright.sandbox.observations import read_rings

OWNER = "race@example.com"
BUSY = "0002"
SPREAD_S = 0.005
STEP_S = 0.0005


class Client:
    """One client on connections that stay open: it must not be what takes the time."""

    def __init__(self, node: Node, service: Service) -> None:
        self._connection = http.client.HTTPConnection(node.http, timeout=20)
        self._starter = _headers(service.user, service.password)
        self._canceller = _headers(f"{CLOUD}/{OWNER}", node.access_key(OWNER))

    def start(self, number: str) -> str:
        calls = json.dumps({"to": f"tel:{number}", "from": CALLER})
        [reference] = self._post("/service_start", self._starter, rest_calls=calls)
        return str(reference)

    def cancel(self, reference: str) -> str:
        return str(self._post("/service_cancel", self._canceller, service_refs=reference)[reference])

    def _post(self, path: str, headers: dict[str, str], **parameters: str) -> dict[str, str]:
        self._connection.request("POST", path, urlencode(parameters), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        found: dict[str, str] = json.loads(body)
        return found

    def close(self) -> None:
        self._connection.close()


def _headers(user: str, password: str) -> dict[str, str]:
    credentials = b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}


def race(folder: Path, *, tries: int, seed: int) -> None:
    """Run the race so many times and hold every answer against what the far end saw."""
    chance = random.Random(seed)
    answers: dict[str, str] = {}
    sent_at: dict[str, float] = {}
    with marked_processes() as marked, running_node(folder / "data", marked) as node:
        node.link.post("/accounts", {"username": OWNER, "type": "premium", "max_cps": 1000, "caller_ids": "any"})
        service = node.add_service("race", account=OWNER, first_page="http://127.0.0.1:9/nobody")
        client = Client(node, service)
        references, wait_s = {}, 0.005
        for n in range(tries):
            number = f"99900{n:06d}{BUSY}"
            references[number] = client.start(number)
            time.sleep(max(0.0, wait_s + chance.uniform(-SPREAD_S, SPREAD_S)))
            sent_at[number] = time.time()
            answers[number] = client.cancel(references[number])
            wait_s = max(0.0, wait_s + (STEP_S if answers[number] == "success" else -STEP_S))
        client.close()
        over = node.wait_all_over(list(references.values()), account=OWNER)
        dialled = [number for number in answers if over[references[number]].status != "cancelled"]
        sandbox = node.data / "sandbox"
        wait_until(lambda: len(read_rings(sandbox)) >= len(dialled), what="the rings of all that were dialled")
    rang_at = {ring.dialled: ring.at for ring in read_rings(sandbox)}
    assert set(answers.values()) <= {"success", "failed"}
    withdrawn = {number for number, answer in answers.items() if answer == "success"}
    assert withdrawn & rang_at.keys() == set(), "the far end saw calls that were cancelled"
    assert {number for number in answers if number not in withdrawn} == rang_at.keys(), (
        "too late, and yet it never rang"
    )
    assert {over[references[number]].status for number in withdrawn} == {"cancelled"}
    off_s = [abs(sent_at[number] - at) for number, at in rang_at.items()]
    close = sum(each <= SPREAD_S for each in off_s)
    said = Counter(answers.values())
    sys.stderr.write(
        f"\n{tries} cancellations (seed {seed}): {said['success']} in time, {said['failed']} too late; {close} of "
        f"these were sent within {SPREAD_S * 1000:g} ms of the INVITE, the nearest {min(off_s) * 1000:.2f} ms from it\n"
    )
    assert min(said["success"], said["failed"]) >= tries // 20, f"the race was not close: {said}"


@pytest.mark.timeout(120)
def test_a_cancelled_start_never_rings_however_close_it_was(tmp_path: Path) -> None:
    race(tmp_path, tries=100, seed=1)


@pytest.mark.load
@pytest.mark.timeout(600)
def test_a_cancelled_start_never_rings_in_thousands_of_tries(tmp_path: Path) -> None:
    race(tmp_path, tries=4000, seed=random.SystemRandom().randrange(10**6))
