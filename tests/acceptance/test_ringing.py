"""A node is killed while a telephone rings: it does not ring on. A telephone that points to another one is followed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from tests.support.node import Service
from tests.support.node_and_phones import Place, node_and_phones
from tests.support.node_processes import wait_until

from callwright.sandbox.observation import EndedBy
from callwright.sandbox.observations import read_observations, read_rings

RINGS, REDIRECTS, LISTENS = "8001", "8003", "8004"
RINGING = (f"99900550{RINGS}", f"99900551{RINGS}")
UP = f"44790012{LISTENS}"
POINTED = "99900555"
CARRIER = "carrier"
OF_UP = f"destination_address LIKE '%{UP}%'"
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


class Telephones:
    """A node among telephones, and what these and the node's records say."""

    def __init__(self, place: Place) -> None:
        self.node, self.web, self.phones, self.network = place.node, place.web, place.phones, place.network

    def service(self, name: str, action: Mapping[str, object]) -> Service:
        first = f"/{name.replace(' ', '_')}"
        self.web.page(first, action)
        self.web.page("/final")
        return self.node.add_service(name, first_page=f"{self.web.url}{first}", final_page=f"{self.web.url}/final")

    def rung(self, *numbers: str) -> list[str]:
        """Return which of these telephones rang, as often as they did."""
        return sorted(ring.dialled for ring in read_rings(self.phones) if ring.dialled in numbers)

    def wait_rings(self, *numbers: str) -> None:
        wait_until(lambda: self.rung(*numbers) == sorted(numbers), within_s=20, what=lambda: f"ringing: {numbers}")

    def ended_by(self, number: str) -> EndedBy | None:
        """Return who ended the one call to a telephone, None when it is not over."""
        ends = [seen.ended_by for seen in read_observations(self.phones) if seen.dialled == number]
        assert len(ends) <= 1, ends
        return ends[0] if ends else None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.node.data / 'callwright.db'}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telephones]:
    with node_and_phones(tmp_path_factory.mktemp("ringing"), PERSONAS) as opened:
        yield Telephones(opened)


@pytest.fixture(scope="module")
def second_life(place: Telephones) -> Telephones:
    """The node was killed while two telephones rang and one call was up, and lives again; all that is over."""
    node, service = place.node, place.service("talks", TALKS)
    host, port = place.network
    node.link.post("/trunks", {"name": CARRIER, "host": host, "port": port})
    references = [node.start(service, f"tel:{number}") for number in (*RINGING, UP)]
    wait_until(
        lambda: place.rows(f"SELECT count(*) FROM cdrs WHERE connected_at IS NOT NULL AND {OF_UP}") == [(1,)],
        within_s=20,
        what=lambda: f"an answered call; {node.last_words()}",
    )
    place.wait_rings(*RINGING)
    assert place.rows("SELECT count(*) FROM cdrs WHERE dialog IS NOT NULL AND connected_at IS NULL") == [(2,)]
    node.kill()
    assert place.rows(f"SELECT trunk FROM cdrs WHERE {OF_UP}") == [(CARRIER,)]
    node.begin()
    assert {over.status for over in node.wait_all_over(references).values()} == {"completed -90"}
    return place


def test_telephones_that_ring_when_the_node_is_killed_are_cancelled_by_its_next_life(second_life: Telephones) -> None:
    place = second_life
    wait_until(
        lambda: {place.ended_by(number) for number in RINGING} == {EndedBy.CANCELLED},
        within_s=5,
        what=lambda: f"cancelled telephones: {read_observations(place.phones)}",
    )
    assert place.rung(*RINGING) == sorted(RINGING)
    assert place.rows("SELECT count(*) FROM cdrs WHERE dialog IS NOT NULL OR ended_at IS NULL") == [(0,)]


def test_the_trunk_of_a_call_that_was_up_when_the_node_died_is_kept(second_life: Telephones) -> None:
    assert second_life.rows(f"SELECT trunk FROM cdrs WHERE {OF_UP}") == [(CARRIER,)]
    assert second_life.ended_by(UP) is EndedBy.CALLER  # its BYE came


def test_a_telephone_that_points_to_another_one_is_followed_unless_its_account_may_not_call_that(
    place: Telephones,
) -> None:
    node, service = place.node, place.service("hangs up", HANGS_UP)
    pointed = [f"{POINTED}{REDIRECTS}", f"{POINTED}{LISTENS}"]
    node.wait_over(node.start(service, f"tel:{POINTED}{REDIRECTS}"))
    assert place.rung(*pointed) == pointed
    node.link.post("/do_not_call", {"numbers": [f"{POINTED}{LISTENS}"]})
    node.wait_over(node.start(service, f"tel:{POINTED}{REDIRECTS}"))
    causes = place.rows(
        f"SELECT hangup_cause FROM cdrs WHERE destination_address LIKE '%{POINTED}%' ORDER BY initiated_at"
    )
    assert causes == [("NORMAL(200)",), ("FAILED(302)",)]
    assert place.rung(*pointed) == sorted([*pointed, pointed[0]])
