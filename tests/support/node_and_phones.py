"""A node, a customer's web application and a simulated phone network that outlives the node, for tests that kill it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.node import Node
from tests.support.node_outside import LoopThread, phone_network, web_application
from tests.support.node_processes import MarkedProcesses, marked_processes

from callwright.testing.web_application import WebApplication


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``phones`` is the folder of what the telephones noted, ``network`` where their SIP is."""

    node: Node
    web: WebApplication
    phones: Path
    network: tuple[str, int]
    marked: MarkedProcesses


@contextmanager
def node_and_phones(folder: Path, personas: str) -> Iterator[Place]:
    """Run all three while the block runs; ``personas`` is the text of the persona file."""
    file, phones = folder / "personas.yaml", folder / "phones"
    file.write_text(personas, encoding="utf-8")
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        phone_network(outside, phones, personas=file) as network,
        marked_processes() as marked,
    ):
        node = Node(folder / "data", marked, ("--sandbox-at", f"{network.host}:{network.port}"))
        try:
            node.begin()
            yield Place(node=node, web=web, phones=phones, network=(network.host, network.port), marked=marked)
        finally:
            node.stop()
