"""A node is killed while a telephone rings: it does not ring on. A telephone that points to another one is followed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.node import Node, Service
from tests.support.node_outside import LoopThread, phone_network, web_application
from tests.support.node_processes import marked_processes, wait_until

from callwright.sandbox.observation import EndedBy
from callwright.sandbox.observations import read_observations, read_rings
from callwright.testing.web_application import WebApplication

RINGS, REDIRECTS, LISTENS = "8001", "8003", "8004"
CARRIER = "carrier"
TALKS: Mapping[str, object] = {"sleep": {"seconds": 30}}
HANGS_UP: Mapping[str, object] = {"hang_up": {}}
PERSONAS = f"""
personas:
  - {{number: "{RINGS}", name: never answers}}
  - number: "{REDIRECTS}"
    name: redirects
    reject: {{code: 302, reason: Moved Temporarily, redirect_to: "{LISTENS}"}}
  - {{number: "{LISTENS}", name: answers, answer_after: 0.1}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    node: Node
    web: WebApplication
    phones: Path
    network: tuple[str, int]

    def service(self, action: Mapping[str, object]) -> Service:
        self.web.page("/first", action)
        self.web.page("/final")
        return self.node.add_service("ringing", first_page=f"{self.web.url}/first", final_page=f"{self.web.url}/final")

    def wait_rings(self, count: int) -> None:
        wait_until(
            lambda: len(read_rings(self.phones)) >= count, within_s=20, what=lambda: f"{count} telephones that ring"
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.node.data / 'callwright.db'}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    personas = tmp_path / "personas.yaml"
    personas.write_text(PERSONAS, encoding="utf-8")
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        phone_network(outside, tmp_path / "phones", personas=personas) as phones,
        marked_processes() as marked,
    ):
        node = Node(tmp_path / "data", marked, ("--sandbox-at", f"{phones.host}:{phones.port}"))
        try:
            node.begin()
            yield Place(node=node, web=web, phones=tmp_path / "phones", network=(phones.host, phones.port))
        finally:
            node.stop()


def test_telephones_that_ring_when_the_node_is_killed_are_cancelled_by_its_next_life(place: Place) -> None:
    node, service = place.node, place.service(TALKS)
    references = [node.start(service, f"tel:9990055{n}{RINGS}") for n in range(2)]
    place.wait_rings(2)
    assert place.rows("SELECT count(*) FROM cdrs WHERE dialog IS NOT NULL AND connected_at IS NULL") == [(2,)]
    node.kill()
    node.begin()
    over = node.wait_all_over(references)
    assert {one.status for one in over.values()} == {"completed -90"}
    wait_until(
        lambda: [seen.ended_by for seen in read_observations(place.phones)].count(EndedBy.CANCELLED) == 2,
        within_s=5,
        what=lambda: f"cancelled telephones: {read_observations(place.phones)}",
    )
    assert len({ring.dialled for ring in read_rings(place.phones)}) == 2
    assert place.rows("SELECT count(*) FROM cdrs WHERE dialog IS NOT NULL OR ended_at IS NULL") == [(0,)]


def test_the_trunk_of_a_call_that_was_up_when_the_node_died_is_kept(place: Place) -> None:
    node, service = place.node, place.service(TALKS)
    host, port = place.network
    node.link.post("/trunks", {"name": CARRIER, "host": host, "port": port})
    reference = node.start(service, f"tel:44790012{LISTENS}")
    wait_until(
        lambda: place.rows("SELECT count(*) FROM cdrs WHERE connected_at IS NOT NULL") == [(1,)],
        within_s=20,
        what=lambda: f"an answered call; {node.last_words()}",
    )
    node.kill()
    assert place.rows("SELECT trunk FROM cdrs") == [(CARRIER,)]
    node.begin()
    assert node.wait_over(reference).status == "completed -90"
    assert place.rows("SELECT trunk FROM cdrs") == [(CARRIER,)]
    (seen,) = read_observations(place.phones)
    assert seen.ended_by is EndedBy.CALLER  # its BYE came


def test_a_telephone_that_points_to_another_one_is_followed_unless_its_account_may_not_call_that(place: Place) -> None:
    node, service = place.node, place.service(HANGS_UP)
    node.wait_over(node.start(service, f"tel:99900555{REDIRECTS}"))
    assert [ring.dialled[-4:] for ring in read_rings(place.phones)] == [REDIRECTS, LISTENS]
    node.link.post("/do_not_call", {"numbers": [f"99900555{LISTENS}"]})
    node.wait_over(node.start(service, f"tel:99900555{REDIRECTS}"))
    causes = place.rows("SELECT hangup_cause FROM cdrs ORDER BY initiated_at")
    assert causes == [("NORMAL(200)",), ("FAILED(302)",)]
    assert len(read_rings(place.phones)) == 3
