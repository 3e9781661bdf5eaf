from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError
from tests.support import outbound_node as node

from callwright.accounts.service import Service
from callwright.db.database import Database
from callwright.outbound import claims, dialling, former_lives, queue
from callwright.outbound.reasons import MAX_WAIT_S
from callwright.outbound.request import StartRequest
from callwright.outbound.start import Start, StartState
from callwright.outbound.tables import starts
from callwright.values.ids import InstanceId, ServiceReference

NOW = 1_700_000_000.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with node.open_database(tmp_path) as opened:
        yield opened


@pytest.fixture
def service(database: Database) -> Service:
    return database.write_now(lambda c: node.add_service(c, node.add_account(c).id))


def add(
    database: Database, service: Service, many: int = 1, *, now: float = NOW, first: int = 1
) -> list[ServiceReference]:
    calls = [node.call_to()] * many
    identifiers = node.counted_identifiers(lambda: now, first=first)
    return database.write_now(lambda c: node.enqueue(c, service, calls, identifiers=identifiers, now=now)).references


def claim(c: Connection, service: Service, *, limit: int = 10, now: float = NOW) -> list[Start]:
    return claims.claim(c, service.id, limit=limit, incarnation=1, now=now)


def stamp(c: Connection, start: Start, instance: str = "0000000000000001.1") -> bool:
    return dialling.stamp(c, start, instance_id=InstanceId(instance), incarnation=1, now=NOW, slot_at=NOW)


def test_a_start_comes_back_from_the_queue_as_it_was_asked_for(database: Database, service: Service) -> None:
    call = StartRequest(
        given_to="tel:+443069990123",
        given_from="+44-1908-273800",
        token="täken",
        outbound_parameters="",
        extra_sip_headers=(("X-A", "1"), ("X-B", "ü")),
    )
    identifiers = node.counted_identifiers(lambda: NOW)
    database.write_now(lambda c: node.enqueue(c, service, [call], identifiers=identifiers, now=NOW))
    (start,) = database.write_now(lambda c: claim(c, service))
    assert call == StartRequest(
        given_to=start.given_to,
        given_from=start.given_from,
        token=start.token,
        outbound_parameters=start.outbound_parameters,
        extra_sip_headers=start.extra_sip_headers,
    )
    assert (start.queued_at, start.due_at, start.expires_at) == (NOW, NOW, NOW + MAX_WAIT_S)


def test_ten_thousand_starts_are_claimed_in_the_order_of_the_request(database: Database, service: Service) -> None:
    references = add(database, service, 10_000)
    assert database.read_now(lambda c: queue.length(c, service.id)) == 10_000
    claimed = [database.write_now(lambda c: claim(c, service, limit=2_500)) for _ in range(5)]
    assert [start.reference for batch in claimed for start in batch] == references
    answers = database.write_now(
        lambda c: queue.cancel(c, account_id=service.account_id, references=references, now=NOW)
    )
    assert list(answers) == references
    assert set(answers.values()) == {"success"}


def test_the_database_itself_refuses_a_second_stamp_of_the_same_attempt(database: Database, service: Service) -> None:
    """Even if a bug put a dialled start back in the queue, nobody would be rung again."""
    add(database, service)
    (start,) = database.write_now(lambda c: claim(c, service))
    assert database.write_now(lambda c: stamp(c, start))
    back = {"state": "queued", "claimed_by": None, "claimed_at": None}
    database.write_now(lambda c: c.execute(update(starts).values(back)))
    (again,) = database.write_now(lambda c: claim(c, service))
    with pytest.raises(IntegrityError, match=r"attempts\.start_id, attempts\.n"):
        database.write_now(lambda c: stamp(c, again, "0000000000000002.1"))
    assert node.states(database, service.id) == [StartState.CLAIMED]


@pytest.mark.parametrize(
    "impossible",
    [
        {"state": "running"},
        {"state": "claimed"},
        {"state": "finished", "finished_at": NOW},
        {"state": "failed", "finished_at": NOW},
        {"state": "cancelled"},
        {"state": "lost"},
        {"claimed_by": 1},
        {"finished_at": NOW},
        {"return_code": 0},
        {"attempt": 0},
        {"expires_at": NOW - 1},
    ],
)
def test_the_database_holds_no_impossible_start(
    database: Database, service: Service, impossible: dict[str, object]
) -> None:
    add(database, service)
    with pytest.raises(IntegrityError):
        database.write_now(lambda c: c.execute(update(starts).values(impossible)))


def test_references_of_other_accounts_and_services_are_unknown(database: Database, service: Service) -> None:
    (reference,) = add(database, service)
    other = database.write_now(lambda c: node.add_account(c, username="bob@example.com"))
    sibling = database.write_now(lambda c: node.add_service(c, service.account_id, name="other"))

    def cancel_as(c: Connection) -> list[str]:
        asked = [(other.id, None), (service.account_id, sibling.id)]
        return [
            queue.cancel(c, account_id=account, references=[reference], now=NOW, service_id=of)[reference]
            for account, of in asked
        ]

    assert database.write_now(cancel_as) == ["unknown", "unknown"]
    assert database.read_now(lambda c: queue.status(c, account_id=other.id, references=[reference])) == {}
    assert node.status_of(database, service.account_id, reference).state is StartState.QUEUED


def test_a_cancelled_start_is_not_stamped_by_the_dispatcher_that_holds_it(database: Database, service: Service) -> None:
    (reference,) = add(database, service)
    (start,) = database.write_now(lambda c: claim(c, service))

    def cancel(c: Connection) -> str:
        return queue.cancel(c, account_id=service.account_id, references=[reference], now=NOW)[reference]

    assert database.write_now(cancel) == "success"
    assert not database.write_now(lambda c: stamp(c, start))
    assert database.write_now(cancel) == "success"


def test_who_held_a_start_in_a_former_life_can_do_nothing_with_it(database: Database, service: Service) -> None:
    add(database, service)
    (stale,) = database.write_now(lambda c: claim(c, service))
    assert database.write_now(lambda c: former_lives.take_back(c, incarnation=2)) == 1
    database.write_now(lambda c: claims.claim(c, service.id, limit=1, incarnation=2, now=NOW))
    assert not database.write_now(lambda c: stamp(c, stale))
    assert not database.write_now(lambda c: claims.fail(c, stale.id, incarnation=1, reason="x", now=NOW))
    assert not database.write_now(lambda c: claims.release(c, [stale.id], incarnation=1))
    assert node.states(database, service.id) == [StartState.CLAIMED]


def test_a_start_that_waited_too_long_is_not_claimed_any_more(database: Database, service: Service) -> None:
    (late,) = add(database, service)
    (fresh,) = add(database, service, now=NOW + 1, first=100)
    claimed = database.write_now(lambda c: claim(c, service, now=NOW + MAX_WAIT_S))
    assert [start.reference for start in claimed] == [fresh]
    assert database.write_now(lambda c: claims.expire(c, now=NOW + MAX_WAIT_S, limit=10)) == [late]


def test_a_stamped_start_cannot_be_cancelled(database: Database, service: Service) -> None:
    (reference,) = add(database, service)
    (start,) = database.write_now(lambda c: claim(c, service))
    assert database.write_now(lambda c: stamp(c, start))
    answers = database.write_now(
        lambda c: queue.cancel(c, account_id=service.account_id, references=[reference], now=NOW)
    )
    assert answers == {reference: "failed"}


def test_a_unique_id_belongs_to_its_account_and_a_job_says_what_it_started(
    database: Database, service: Service
) -> None:
    other = database.write_now(lambda c: node.add_service(c, node.add_account(c, username="bob@example.com").id))
    identifiers = node.counted_identifiers(lambda: NOW)
    calls = [node.call_to()] * 3
    first, second = (
        database.write_now(
            partial(node.enqueue, service=s, calls=calls, identifiers=identifiers, now=NOW, unique_id="u")
        )
        for s in (service, other)
    )
    assert not set(first.references) & set(second.references)
    job = database.read_now(lambda c: queue.job(c, account_id=service.account_id, unique_id="u"))
    assert job == queue.Job(count=3, references=first.references)
    assert database.read_now(lambda c: queue.job(c, account_id=service.account_id, unique_id="v")) is None


def test_a_request_that_fails_half_way_queues_nothing(database: Database, service: Service) -> None:
    def fail(c: Connection) -> None:
        identifiers = node.counted_identifiers(lambda: NOW)
        node.enqueue(c, service, [node.call_to()] * 5, identifiers=identifiers, now=NOW, unique_id="u")
        raise ValueError("after the rows were written")

    with pytest.raises(ValueError, match="after the rows"):
        database.write_now(fail)
    assert node.states(database, service.id) == []
    assert database.read_now(lambda c: queue.job(c, account_id=service.account_id, unique_id="u")) is None


def test_services_with_starts_that_are_due_are_found(database: Database, service: Service) -> None:
    others = [
        database.write_now(partial(node.add_service, account_id=service.account_id, name=f"s{n}")) for n in range(4)
    ]
    for number, (of, now) in enumerate([(service, NOW), (others[1], NOW), (others[1], NOW), (others[2], NOW + 60)]):
        add(database, of, now=now, first=100 * number + 1)
    assert database.read_now(lambda c: claims.waiting_services(c, now=NOW)) == [service.id, others[1].id]
    database.write_now(lambda c: claim(c, service))
    assert database.read_now(lambda c: claims.waiting_services(c, now=NOW + 60)) == [others[1].id, others[2].id]


def test_work_on_a_long_queue_uses_its_indexes(database: Database, service: Service) -> None:
    """A claim must cost the same with a million starts waiting, so none of these may read the table."""
    add(database, service, 3)

    def plans(c: Connection) -> dict[str, str]:
        seen: list[str] = []
        raw = c.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_trace_callback(seen.append)
        claims.waiting_services(c, now=NOW)
        claimed = claim(c, service, limit=2)
        claims.release(c, [start.id for start in claimed], incarnation=1)
        claims.first_expiry(c)
        claims.expire(c, now=NOW, limit=10)
        former_lives.take_back(c, incarnation=1)
        former_lives.stamped_before(c, incarnation=1)
        claims.claimed_by(c, incarnation=1)
        dialling.slots_since(c, service.id, since=NOW)
        raw.set_trace_callback(None)
        return {
            statement: "; ".join(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}")) for statement in seen
        }

    found = database.write_now(plans)
    assert len(found) == 10
    for statement, plan in found.items():
        assert "SCAN starts" not in plan or "INDEX ix_starts_" in plan, f"{statement}\n{plan}"
        assert "SCAN attempts" not in plan, f"{statement}\n{plan}"
        assert "TEMP B-TREE" not in plan, f"{statement}\n{plan}"
