"""Pacing, judged where it counts: by the kernel's time stamps of INVITEs at the far end of a real node.

It audits instants at the far end, which a busy machine moves: run by hand (``make crashtest``), as other figures are.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.node import CALLER, CLOUD, Node, Service, post, running_node
from tests.support.node_outside import LoopThread, phone_network
from tests.support.node_processes import marked_processes, wait_until

from callwright.sandbox.observations import RingLine, read_rings

ACCOUNT = "audit@example.com"
MAX_CPS = 20
SERVICES = 5
WATCHED_S = 8.0
TOLERANCE_S = 0.005
FAIR = 0.95
BUSY = "999005550002"  # every call is over at once: nothing else of a call takes part
PAGE = "http://127.0.0.1:9/nobody"

pytestmark = pytest.mark.load


def test_five_services_share_an_account_evenly_and_never_exceed_its_maximum(tmp_path: Path) -> None:
    with marked_processes() as marked, running_node(tmp_path / "data", marked) as node:
        add_account(node, ACCOUNT, max_cps=MAX_CPS)
        services = [node.add_service(f"s{n}", account=ACCOUNT, first_page=PAGE) for n in range(SERVICES)]
        enough = round(MAX_CPS * WATCHED_S)
        rings = rings_of(node, node.data / "sandbox", services, each=enough, enough=enough, within_s=20.0)
    most = most_a_second(rings)
    assert most <= MAX_CPS, f"{most} INVITEs arrived within {1 - TOLERANCE_S} s"
    at = [ring.at for ring in rings]
    errors = sorted(abs(later - earlier - 1 / MAX_CPS) for earlier, later in itertools.pairwise(at))
    shares = [len(of_service(rings, number)) for number in range(SERVICES)]
    fairness = sum(shares) ** 2 / (SERVICES * sum(share * share for share in shares))
    say(
        f"{len(at)} INVITEs in {at[-1] - at[0]:.2f} s, at most {most} a second; spacing off by "
        f"{errors[len(errors) // 2] * 1000:.2f} ms (median), {errors[len(errors) * 99 // 100] * 1000:.2f} ms (99 %); "
        f"shares {shares}, fairness {fairness:.4f}"
    )
    assert fairness >= FAIR, f"shares {shares}"


@pytest.mark.timeout(400)
def test_guaranteed_minimums_are_kept_over_two_minutes_beside_greedy_services(tmp_path: Path) -> None:
    """20 a second for five services with endless queues: 6 and 5 guaranteed, the other three share what is left."""
    watched_s, minimums = 120.0, (6.0, 5.0, None, None, None)
    with marked_processes() as marked, running_node(tmp_path / "data", marked) as node:
        add_account(node, ACCOUNT, max_cps=MAX_CPS)
        services = [
            node.add_service(f"s{n}", account=ACCOUNT, first_page=PAGE, min_cps=minimum)
            for n, minimum in enumerate(minimums)
        ]
        enough = round(MAX_CPS * watched_s)
        rings = rings_of(node, node.data / "sandbox", services, each=enough // 2, enough=enough, within_s=150.0)
    took_s = rings[-1].at - rings[0].at
    shares = [len(of_service(rings, number)) for number in range(SERVICES)]
    most = most_a_second(rings)
    say(f"{len(rings)} INVITEs in {took_s:.1f} s, at most {most} a second; shares {shares} of minimums {minimums}")
    assert most <= MAX_CPS
    for share, minimum in zip(shares, minimums, strict=True):
        assert minimum is None or share >= minimum * watched_s - 1, f"{share} of {minimum * watched_s:g} guaranteed"
    rest = shares[2:]
    assert sum(rest) ** 2 / (len(rest) * sum(share * share for share in rest)) >= FAIR, f"shares {shares}"


def test_accounts_that_wait_for_one_trunk_leave_it_no_closer_than_each_may(tmp_path: Path) -> None:
    """Two accounts of 10 a second want a trunk of 12: all limits hold where the calls arrive."""
    of_each, of_trunk, enough = 10, 12, 150
    phones = tmp_path / "phones"
    phones.mkdir()
    with LoopThread() as outside, phone_network(outside, phones) as network, marked_processes() as marked:
        node = Node(tmp_path / "data", marked, ())
        try:
            node.begin()
            trunk = {"name": "carrier", "host": network.host, "port": network.port, "max_cps": of_trunk}
            node.link.post("/trunks", trunk)
            services = []
            for n in range(2):
                add_account(node, f"a{n}@example.com", max_cps=of_each)
                services.append(node.add_service("s", account=f"a{n}@example.com", first_page=PAGE))
            rings = rings_of(node, phones, services, each=enough, enough=enough, within_s=40.0)
        finally:
            node.stop()
    most = [most_a_second(of_service(rings, number)) for number in range(2)]
    in_all = most_a_second(rings)
    took_s = rings[-1].at - rings[0].at
    say(f"{enough} INVITEs in {took_s:.1f} s by one trunk: at most {in_all} a second, of the accounts {most}")
    assert max(most) <= of_each
    assert in_all <= of_trunk


def add_account(node: Node, name: str, *, max_cps: float) -> None:
    node.link.post("/accounts", {"username": name, "type": "premium", "max_cps": max_cps, "caller_ids": "any"})


def rings_of(
    node: Node, phones: Path, services: Sequence[Service], *, each: int, enough: int, within_s: float
) -> list[RingLine]:
    """Queue calls of every service while all are paused; return the first INVITEs that arrive from then on."""
    node.link.post("/pause", {})
    for number, service in enumerate(services):
        calls = [{"to": f"tel:{BUSY}", "from": f"{CALLER}{number}"}] * each
        assert start(node.http, service, calls) == len(calls)
    node.link.post("/resume", {})
    wait_until(
        lambda: len(read_rings(phones)) >= enough, within_s=within_s, what=f"{enough} rings", every_s=0.2
    )  # reading them too often would take the processor away from what is measured
    node.link.post("/pause", {})
    return sorted(read_rings(phones), key=lambda ring: ring.at)[:enough]


def of_service(rings: Sequence[RingLine], number: int) -> list[RingLine]:
    """Return the INVITEs of one of the services: each has a caller id of its own."""
    return [ring for ring in rings if f"{CALLER}{number}" in ring.caller]


def most_a_second(rings: Sequence[RingLine]) -> int:
    """Return how many INVITEs arrived, at most, in any sliding second but for the tolerance."""
    at = [ring.at for ring in rings]
    return max(sum(first <= later < first + 1 - TOLERANCE_S for later in at[n:]) for n, first in enumerate(at))


def say(text: str) -> None:
    sys.stderr.write(f"\n{text}\n")


def start(http: str, service: Service, calls: list[dict[str, str]]) -> int:
    """Start calls as a client does; return how many were accepted."""
    user = f"{CLOUD}/{service.account}/{service.name}"
    answer = post(f"http://{http}/service_start", user, service.password, rest_calls=json.dumps(calls))
    assert answer.status == 200, answer
    return len(answer.body)
