"""service_status of 100 references a request, over HTTP, to the real node; and one list of 10,000 starts.

The bars are 2,000 a second with the load generator on the same 2 cores, and a second for the list.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from bench.ceilings import hello
from bench.load import WARM_UP_S, post, run_load
from bench.node import BenchNode, bench_node
from bench.service_start import FORM

CLIENTS = 64
SECONDS = 4.0
CEILING_SECONDS = 2.0
STARTS = 10_000
REFERENCES = 100


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, bench_node(Path(folder) / "data", "--sandbox") as node:
        key = node.add_account("bench@example.com", max_cps=0.02)
        login = node.add_service("bench@example.com", "bench")
        _start(node, login, 1)  # the password is hashed once
        began = time.perf_counter()
        references = _start(node, login, STARTS)
        took_s = time.perf_counter() - began
        asked = [references[first : first + REFERENCES] for first in range(0, STARTS, REFERENCES)]
        requests = [_ask(each, key) for each in asked]
        spent_s = node.cpu_seconds()
        ours = run_load(requests, host=node.host, port=node.port, clients=CLIENTS, seconds=SECONDS)
        spent_s = node.cpu_seconds() - spent_s
        bare = hello(requests[0], clients=CLIENTS, seconds=CEILING_SECONDS)
    print(f"  service_start, a list of {STARTS:,}             {took_s:9.2f} s   {STARTS / took_s:,.0f} starts/s")
    what = f"service_status of {REFERENCES} references"
    print(f"  {what:<40} {ours.per_second:9,.0f} /s   p50 {ours.p50_ms:6.1f} ms   p99 {ours.p99_ms:6.1f} ms")
    cost = spent_s / (ours.per_second * (SECONDS + WARM_UP_S)) * 1e6
    print(f"  the node spent {cost:,.0f} microseconds of processor time a request")
    print(f"  ceiling: bare uvicorn, same request      {bare.per_second:9,.0f} /s")
    print(f"  ratio {ours.per_second / bare.per_second:.2f}; statuses {ours.statuses}")


def _ask(references: list[str], key: str) -> bytes:
    body = urlencode({"service_refs": "/".join(references)}).encode()
    return post("/service_status", body, Authorization=key, Content_Type=FORM, Accept="application/json")


def _start(node: BenchNode, login: str, number: int) -> list[str]:
    call = {"to": "tel:999005550001", "from": "441908273800", "token": "order-7"}
    connection = http.client.HTTPConnection(node.host, node.port, timeout=60)
    try:
        body = urlencode({"rest_calls": json.dumps([call] * number)})
        connection.request("POST", "/service_start", body, {"Authorization": login, "Content-Type": FORM})
        found: list[str] = json.loads(connection.getresponse().read())
        assert len(found) == number, found
        return found
    finally:
        connection.close()


if __name__ == "__main__":
    run()
