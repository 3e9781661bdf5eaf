"""Durable starts a second: single service_start requests with full validation, over HTTP, to the real node.

The bar is 3,000 a second with 64 clients on 2 cores, the load generator among them, 99 % within 50 ms.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import urlencode

from bench.ceilings import hello, sqlite_commits_per_second
from bench.load import Load, post, run_load
from bench.node import BenchNode, bench_node

CLIENTS = 64
SECONDS = 5.0
CEILING_SECONDS = 2.0
NAMED = 30_000  # more than come in the time: a repeated one starts nothing
CALL = '{"to": "tel:999005550001", "from": "441908273800", "token": "order-7", "outbound_parameters": "lane 4"}'
FORM = "application/x-www-form-urlencoded"


def run() -> None:
    """Measure and print."""
    body = urlencode({"rest_calls": CALL}).encode()
    with tempfile.TemporaryDirectory() as folder:
        one_by_one = sqlite_commits_per_second(Path(folder), group=1, seconds=CEILING_SECONDS)
        grouped = sqlite_commits_per_second(Path(folder), group=CLIENTS, seconds=CEILING_SECONDS)
        with bench_node(Path(folder) / "data", "--sandbox") as node:
            # One start a minute at most leaves the queue: what is measured is accepting, not calling.
            node.add_account("bench@example.com", max_cps=0.02)
            login = node.add_service("bench@example.com", "bench")
            request = post("/service_start", body, Authorization=login, Content_Type=FORM, Accept="application/json")
            run_load(request, host=node.host, port=node.port, clients=1, seconds=0.2)  # the password is hashed once
            spent_s, before = node.cpu_seconds(), _waiting(node)
            ours = run_load(request, host=node.host, port=node.port, clients=CLIENTS, seconds=SECONDS)
            spent_s, waiting = node.cpu_seconds() - spent_s, _waiting(node)
            named = [_named(request, n) for n in range(NAMED)]
            named_s, named_before = node.cpu_seconds(), _waiting(node)
            safe = run_load(named, host=node.host, port=node.port, clients=CLIENTS, seconds=CEILING_SECONDS)
            named_s, named_waiting = node.cpu_seconds() - named_s, _waiting(node)
        bare = hello(request, clients=CLIENTS, seconds=CEILING_SECONDS)
    _show("service_start, one call a request", ours)
    _show("the same, each with a unique_id", safe)
    _show("ceiling: bare uvicorn, same request", bare)
    print(f"  ceiling: SQLite, one row a commit        {one_by_one:9,.0f} /s")
    print(f"  ceiling: SQLite, {CLIENTS} rows a commit        {grouped:9,.0f} /s")
    ratios = f"{ours.per_second / bare.per_second:.2f}, to grouped rows {ours.per_second / grouped:.3f}"
    print(f"  ratio to bare uvicorn {ratios}")
    print(f"  the node spent {spent_s / (waiting - before) * 1e6:,.0f} microseconds of processor time a start")
    print(f"  and {named_s / (named_waiting - named_before) * 1e6:,.0f} with a unique_id")
    print(f"  statuses {ours.statuses}, {safe.statuses}; {named_waiting:,} starts wait on disk")


def _named(request: bytes, number: int) -> bytes:
    """Return the request with a ``unique_id`` of its own, in its query."""
    return request.replace(b"/service_start", f"/service_start?unique_id=452f1997-{number:08}".encode(), 1)


def _waiting(node: BenchNode) -> int:
    return sum(queue["length"] for queue in node.link.get("/queues")["queues"])


def _show(what: str, load: Load) -> None:
    print(f"  {what:<40} {load.per_second:9,.0f} /s   p50 {load.p50_ms:6.1f} ms   p99 {load.p99_ms:6.1f} ms")


if __name__ == "__main__":
    run()
