"""A node with ``sip.hide``: strangers get no answer on its SIP port, its trunks and the simulated network do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.support.node import Node
from tests.support.node_processes import marked_processes, wait_until

WITHIN_S = 30.0


@contextmanager
def a_machine(host: str) -> Iterator[socket.socket]:
    """Open a UDP port of another loopback address, as another machine would."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as machine:
        machine.bind((host, 0))
        machine.settimeout(0.2)
        yield machine


def ask(machine: socket.socket, node: Node, number: int) -> None:
    """Send OPTIONS to the node."""
    host, port = machine.getsockname()
    lines = (
        "OPTIONS sip:node SIP/2.0", f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKhide{number};rport",
        "Max-Forwards: 70", f"From: <sip:a@{host}>;tag={number}", "To: <sip:node>", f"Call-ID: {number}@{host}",
        "CSeq: 1 OPTIONS", "Content-Length: 0", "", "",
    )  # fmt: skip
    to, _, at = node.sip.rpartition(":")
    machine.sendto("\r\n".join(lines).encode(), (to, int(at)))


def heard(machine: socket.socket) -> bytes | None:
    try:
        return machine.recv(65535)
    except TimeoutError:
        return None


def test_hidden_node_answers_trunks_and_the_simulated_network_only(tmp_path: Path) -> None:
    numbers = count(1)
    with marked_processes() as marked, a_machine("127.0.0.1") as beside, a_machine("127.0.0.2") as other:
        node = Node(tmp_path / "data", marked)

        def answered(machine: socket.socket) -> bytes | None:
            ask(machine, node, next(numbers))
            return heard(machine)

        try:
            node.begin(environment={"CALLWRIGHT_SIP_HIDE": "true"})
            ask(other, node, next(numbers))
            said = wait_until(lambda: answered(beside), within_s=WITHIN_S, what="an answer to the simulated network")
            assert said.startswith(b"SIP/2.0 200 ")
            assert heard(other) is None, "a stranger was answered"
            node.link.post("/trunks", {"name": "carrier", "host": "127.0.0.2", "check_every_s": 0})
            said = wait_until(lambda: answered(other), within_s=WITHIN_S, what="an answer to the trunk")
            assert said.startswith(b"SIP/2.0 200 ")
        finally:
            node.stop()
