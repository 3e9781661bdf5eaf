"""The torture messages of RFC 4475 at the open port of a running node: what comes back by the wire, then a call.

Answers go to the port that a Via names, so each message comes from somebody who has all of those. Each comes from
somebody else, for one address is not heard for long. Behind it goes an OPTIONS: its answer says that the node is done
with what came before, and is well.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.node import Node, running_node
from tests.support.node_processes import marked_processes
from tests.support.sip_talk import request_from_peer

DATA = Path(__file__).parents[2] / "data" / "rfc4475"
STRANGERS = "127.0.44."
VIA_PORTS = (5060, 5061, 5050)  # the ports that their Vias name, and the defaults of UDP, TCP and TLS
DEADLINE_S = 10.0

# What a stranger hears of the node: the core's own verdicts (test_rfc4475.py), and 404 for the calls it would take.
VERDICTS = {
    "wsinv": "481", "intmeth": "405", "esc01": "404", "escnull": "405", "esc02": "405", "lwsdisp": "200",
    "longreq": "404", "dblreq": "405", "semiuri": "200", "transports": "200", "mpart01": "405", "unreason": "",
    "noreason": "", "badinv01": "400", "clerr": "400", "ncl": "400", "scalar02": "400", "scalarlg": "",
    "quotbal": "400", "ltgtruri": "400", "lwsruri": "400", "lwsstart": "400", "trws": "400", "escruri": "400",
    "baddate": "404", "regbadct": "405", "badaspec": "200", "baddn": "400", "badvers": "505", "mismatch01": "400",
    "mismatch02": "400", "bigcode": "", "badbranch": "200", "insuf": "400", "unkscm": "416", "novelsc": "416",
    "unksm2": "405", "bext01": "420", "invut": "415", "regaut01": "405", "multi01": "400", "mcl01": "400", "bcast": "",
    "zeromf": "200", "cparam01": "405", "cparam02": "405", "regescrt": "405", "sdp01": "406", "inv2543": "404",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody who sends anything to the node and reads what comes back to any of the ports."""

    host: str
    sockets: tuple[socket.socket, ...]
    node: tuple[str, int]

    def send(self, data: bytes) -> None:
        self.sockets[0].sendto(data, self.node)

    def answers(self) -> list[bytes]:
        """Return what came back until the answer to an OPTIONS sent now, which must come."""
        mark = f"z9hG4bKprobe{self.host}"
        via = f"SIP/2.0/UDP {self.host}:{VIA_PORTS[0]};branch={mark}"
        self.send(request_from_peer("OPTIONS", via=via, call_id=f"probe-{self.host}").render())
        answers: list[bytes] = []
        while True:
            readable, _, _ = select.select(self.sockets, (), (), DEADLINE_S)
            assert readable, "the node did not answer the OPTIONS behind it"
            received = [each.recv(65_535) for each in readable]
            answers += [one for one in received if mark.encode() not in one]
            if any(mark.encode() in one and one.startswith(b"SIP/2.0 200") for one in received):
                return answers

    def verdict(self, data: bytes) -> str:
        """Return the code of what the node answers to a message, "" for nothing."""
        self.send(data)
        codes = {answer.split(b" ")[1].decode() for answer in self.answers()}
        assert len(codes) <= 1, codes
        return codes.pop() if codes else ""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    data = tmp_path_factory.mktemp("torture") / "data"
    with marked_processes() as marked, running_node(data, marked) as running:
        yield running


@contextmanager
def stranger(node: Node, number: int) -> Iterator[Stranger]:
    host, (node_host, port) = f"{STRANGERS}{number}", node.sip.split(":")
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in VIA_PORTS]
        for each, via_port in zip(sockets, VIA_PORTS, strict=True):
            try:
                each.bind((host, via_port))
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE:
                    raise
                pytest.skip(f"another program holds UDP port {via_port} of all addresses: the Vias lead to it")
        yield Stranger(host, tuple(sockets), (node_host, int(port)))


def message(name: str) -> bytes:
    """Return a message with a branch of its own: some share one, and would be one transaction to a running node."""
    data = (DATA / f"{name}.dat").read_bytes()
    own = b"branch=z9hG4bK" + name.encode()
    return data if name == "badbranch" else data.replace(b"branch=z9hG4bK", own)


def test_every_message_has_its_verdict() -> None:
    assert set(VERDICTS) == {path.stem for path in DATA.glob("*.dat")}


def test_the_open_port_gives_each_message_its_verdict(node: Node) -> None:
    got = {}
    for number, name in enumerate(sorted(VERDICTS), start=1):
        with stranger(node, number) as somebody:
            got[name] = somebody.verdict(message(name))
    assert got == VERDICTS


def test_cut_short_anywhere_they_leave_the_node_well(node: Node) -> None:
    with stranger(node, 100) as somebody:
        for name in sorted(VERDICTS):
            data = message(name)
            for length in range(0, len(data), 61):
                somebody.send(data[:length])
    with stranger(node, 101) as another:
        another.answers()
    assert "sip_step_failed" not in node.log.read_text()


def test_a_call_goes_through_behind_all_of_them(node: Node) -> None:
    service = node.add_service("torture", first_page="http://127.0.0.1:9/nobody")
    over = node.wait_over(node.start(service, "tel:999005550009"))
    [cdr] = node.records(over)["cdrs"].values()
    assert cdr["hangup_cause"] == "NORMAL(200)"
