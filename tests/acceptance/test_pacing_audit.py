"""Pacing, judged where it counts: by the kernel's time stamps of INVITEs at the far end of a real node."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from tests.support.node import CALLER, CLOUD, Service, post, running_node
from tests.support.node_processes import marked_processes, wait_until

from callwright.sandbox.observations import read_rings

ACCOUNT = "audit@example.com"
MAX_CPS = 20
SERVICES = 5
WATCHED_S = 8.0
TOLERANCE_S = 0.005
FAIR = 0.95
BUSY = "999005550002"  # every call is over at once: nothing else of a call takes part


# It audits instants at the far end, which a busy machine moves: run by hand (make crashtest), like other figures.
@pytest.mark.load
def test_five_services_share_an_account_evenly_and_never_exceed_its_maximum(tmp_path: Path) -> None:
    with marked_processes() as marked, running_node(tmp_path / "data", marked) as node:
        node.link.post("/accounts", {"username": ACCOUNT, "type": "premium", "max_cps": MAX_CPS, "caller_ids": "any"})
        services = [
            node.add_service(f"s{n}", account=ACCOUNT, first_page="http://127.0.0.1:9/nobody") for n in range(SERVICES)
        ]
        node.link.post("/pause", {"account": ACCOUNT})
        for number, service in enumerate(services):
            calls = [{"to": f"tel:{BUSY}", "from": f"{CALLER}{number}"}] * round(MAX_CPS * WATCHED_S)
            assert start(node.http, service, calls) == len(calls)
        node.link.post("/resume", {"account": ACCOUNT})
        enough = round(MAX_CPS * WATCHED_S)
        wait_until(lambda: len(read_rings(node.data / "sandbox")) >= enough, within_s=20.0, what=f"{enough} rings")
        node.link.post("/pause", {"account": ACCOUNT})
        rings = sorted(read_rings(node.data / "sandbox"), key=lambda ring: ring.at)[:enough]
    at = [ring.at for ring in rings]
    most = max(sum(first <= later < first + 1 - TOLERANCE_S for later in at[n:]) for n, first in enumerate(at))
    assert most <= MAX_CPS, f"{most} INVITEs arrived within {1 - TOLERANCE_S} s"
    errors = sorted(abs(later - earlier - 1 / MAX_CPS) for earlier, later in itertools.pairwise(at))
    shares = [sum(f"{CALLER}{number}" in ring.caller for ring in rings) for number in range(SERVICES)]
    fairness = sum(shares) ** 2 / (SERVICES * sum(share * share for share in shares))
    print(  # noqa: T201 - shown by pytest -s: the measure itself, which a slow machine may not fail for
        f"\n{len(at)} INVITEs in {at[-1] - at[0]:.2f} s, at most {most} a second; spacing off by "
        f"{errors[len(errors) // 2] * 1000:.2f} ms (median), {errors[len(errors) * 99 // 100] * 1000:.2f} ms (99 %); "
        f"shares {shares}, fairness {fairness:.4f}"
    )
    assert fairness >= FAIR, f"shares {shares}"


def start(http: str, service: Service, calls: list[dict[str, str]]) -> int:
    """Start calls as a client does; return how many were accepted."""
    user = f"{CLOUD}/{service.account}/{service.name}"
    answer = post(f"http://{http}/service_start", user, service.password, rest_calls=json.dumps(calls))
    assert answer.status == 200, answer
    return len(answer.body)
