"""A real node whose file descriptors run out says so to new connections, and goes on serving the others."""

from __future__ import annotations

import http.client
import json
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.support.node import Node, running_node
from tests.support.node_processes import marked_processes, wait_until

NEVER_ANSWERS = "tel:999005550004"
NOBODY = "http://127.0.0.1:9/nobody"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("descriptors")
    with marked_processes() as marked, running_node(folder / "data", marked) as running:
        yield running


@contextmanager
def descriptors(node: Node, *, more: int) -> Iterator[None]:
    """Let the node have so many descriptors more than it has open now."""
    pid = node.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    opened = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (opened + more, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def _ask(node: Node, opened: ExitStack) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(node.http, timeout=10)
    opened.callback(connection.close)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    opened.callback(answer.close)
    return connection, answer, answer.read()


def _is_refused(answer: http.client.HTTPResponse, body: bytes) -> bool:
    if answer.status == 200:
        return False
    error = json.loads(body)["error"]
    assert (answer.status, error["code"]) == (503, "HTTP 503")
    assert "file descriptors" in error["text"]
    assert answer.getheader("Retry-After") == "2"
    assert answer.getheader("Connection") == "close"
    return True


@pytest.mark.parametrize("more", [40, 0], ids=["clients take all they may", "nothing is left at all"])
def test_new_connections_get_a_503_and_what_is_there_goes_on(node: Node, more: int) -> None:
    service = node.add_service(f"calls {more}", first_page=NOBODY)
    ringing = node.start(service, NEVER_ANSWERS)
    wait_until(lambda: node.status_of(ringing) == "running", what="a call that rings")
    with ExitStack() as opened:
        first, _, _ = _ask(node, opened)
        with descriptors(node, more=more):
            refused = sum(_is_refused(*_ask(node, opened)[1:]) for _ in range(more + 10))
            first.request("GET", "/health")
            assert first.getresponse().read(), "a connection that is there is served"
            assert node.link.get("/status")["status"] == "ok"
    assert refused >= 10
    assert node.status_of(ringing) == "running"
    assert 1 <= node.log.read_text().count("no_descriptors") <= 2 * 2
    node.link.post("/cancel", {"references": [ringing]})
    with ExitStack() as opened:
        wait_until(lambda: not _is_refused(*_ask(node, opened)[1:]), what="connections are taken again")
