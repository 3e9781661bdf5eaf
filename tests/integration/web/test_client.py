"""The typed client against the real web services."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, select
from tests.support.web_node import PASSWORD, WebNode, web_node

from callwright.accounts.service import ApplicationKind
from callwright.client import (
    Again,
    AsyncClient,
    Call,
    CallingHours,
    Client,
    NotReached,
    Queue,
    Retry,
    Started,
    Status,
    StillRunning,
    WebServiceError,
)
from callwright.outbound import claims, dialling
from callwright.outbound.calling_hours import stored_hours
from callwright.outbound.retry import Again as StoredAgain
from callwright.outbound.retry import stored_plan
from callwright.outbound.tables import starts
from callwright.records import ledger
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, CallId, InstanceId, ServiceId
from callwright.values.outcome import EndedBy, answered_outcome

T = TypeVar("T")

CALLS = [
    Call(to="tel:443069990123", from_="443069999876", token="ü€", outbound_parameters="p"),
    Call(to="sip:a@b.example", extra_sip_headers=(("X-Ticket", "7"),)),
]


def _run(tmp_path: Path, use: Callable[[WebNode, Client], None]) -> None:
    """Run ``use`` in a thread, with a node and a client of it."""

    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            node.add_service(account)
            client = Client(node.base, username="bob@example.com", access_key=key)
            await asyncio.to_thread(use, node, client)

    asyncio.run(run())


def _complete(node: WebNode) -> None:
    """Let every queued start run and end, each with its records."""

    def happen(c: Connection) -> None:
        now = node.clock()
        for n, start in enumerate(claims.claim(c, ServiceId(1), limit=9, incarnation=1, now=now)):
            instance = InstanceId(f"100d73cb12cbf845.{n}")
            call_id = CallId(f"100d73cb12cbf845.{n}.1")
            dialling.stamp(c, start, instance_id=instance, incarnation=1, now=now, slot_at=now)
            ledger.open_adr(
                c, instance_id=instance, account_id=AccountId(1), application_name="outbound_test", started_at=now
            )
            ledger.open_cdr(
                c,
                call_id=call_id,
                instance_id=instance,
                destination_address="tel:443069990123",
                originating_user="1",
                initiated_at=now,
            )
            ledger.mark_answered(c, call_id, now + 1, b"")
            ledger.close_cdr(c, call_id, ended_at=now + 3, outcome=answered_outcome(ended_by=EndedBy.FAR_END))
            ledger.close_adr(c, instance, stopped_at=now + 4, exit_status=-7)
            dialling.finish(c, instance, return_code=-7, now=now + 4)

    node.db.write_now(happen)


def test_the_whole_life_of_a_start_typed(tmp_path: Path) -> None:
    def use(node: WebNode, client: Client) -> None:
        started = client.service_start("outbound_test", PASSWORD, CALLS, unique_id="job/1 ü")
        first, second = started.references
        assert not started.replayed
        again = client.service_start("outbound_test", PASSWORD, CALLS, unique_id="job/1 ü")
        assert again == Started(references=[first, second], replayed=True)
        assert client.job_status("job/1 ü").service_refs == [first, second]
        assert client.service_cancel(second, "x") == {second: "success", "x": "unknown"}
        statuses = client.service_status(first, second, "x")
        assert [(status.word, status.is_over) for status in statuses.values()] == [
            ("queued", False),
            ("cancelled", True),
            ("unknown", True),
        ]
        with pytest.raises(StillRunning, match="still queued"):
            client.wait_completed(first, timeout_s=0)
        _complete(node)
        status = client.wait_completed(first)
        assert (status.word, status.return_code, status.reason) == ("completed", -7, "")
        records = client.application_status(status.application_instance_id)
        assert records.adr.exit_status == -7
        assert records.adr.duration == 4.0
        (cdr,) = records.cdrs.values()
        assert (cdr.hangup_cause, cdr.duration) == ("NORMAL(200)", 2.0)
        assert [error.error_code for error in records.errs.values()] == ["2008"]

    _run(tmp_path, use)


def test_one_call_may_be_given_alone(tmp_path: Path) -> None:
    def use(_node: WebNode, client: Client) -> None:
        assert len(client.service_start("outbound_test", PASSWORD, CALLS[0]).references) == 1

    _run(tmp_path, use)


WISHES = Call(
    to="sip:a@b.example",
    start_after="2030-01-31T09:00:00Z",
    expires_at=1896087600.0,
    ring_timeout_s=20.0,
    max_duration_s=60.5,
    priority=-3,
    calling_hours=CallingHours(time_zone="Europe/London", from_="09:00", to="20:00", days="mon-fri"),
    retry=Retry(busy=Again(after_s=300, times=2), no_answer=Again(after_s=60)),
)


def test_what_is_wished_of_a_call_reaches_the_queue(tmp_path: Path) -> None:
    def use(node: WebNode, client: Client) -> None:
        client.service_start("outbound_test", PASSWORD, WISHES)
        columns = (starts.c.due_at, starts.c.expires_at, starts.c.ring_timeout_s, starts.c.max_duration_s)
        assert node.db.read_now(lambda c: c.execute(select(*columns, starts.c.priority)).one()) == (
            1896080400.0,
            1896087600.0,
            20.0,
            60.5,
            -3,
        )
        hours, retry = node.db.read_now(lambda c: c.execute(select(starts.c.calling_hours, starts.c.retry)).one())
        assert stored_hours(hours).days == (0, 1, 2, 3, 4)
        plan = stored_plan(retry)
        assert (plan.busy, plan.unreachable) == (StoredAgain(after_s=300.0, times=2), None)

    _run(tmp_path, use)


def test_a_uas_service_is_started_and_health_asked_by_both_clients(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            node.add_service(account, "uas", kind=ApplicationKind.UAS)
            client = Client(node.base, username="bob@example.com")
            started = await asyncio.to_thread(client.service_start_uas, "uas", PASSWORD, "a;b;c", delimiter=";")
            assert len(started.references) == 3
            async with AsyncClient(node.base, username="bob@example.com") as awaiting:
                started = await awaiting.service_start_uas("uas", PASSWORD, "x", count=2, unique_id="two")
                assert len(started.references) == 2
                assert (await awaiting.service_start_uas("uas", PASSWORD, "x", count=2, unique_id="two")).replayed
                assert (await awaiting.health()).status == "ok"
                node.set_facts(draining=True, queue_length=5, running=1)
            found = await asyncio.to_thread(client.health)
            assert (found.status, found.queue_length) == ("draining", 5)

    asyncio.run(run())


def test_refusals_are_exceptions_with_code_text_and_details(tmp_path: Path) -> None:
    def use(_node: WebNode, client: Client) -> None:
        with pytest.raises(WebServiceError) as raised:
            client.service_start("outbound_test", PASSWORD, [Call(to=""), Call(to="sip:a b")])
        error = raised.value
        assert (error.status, error.code) == (400, "0002")
        assert "2 problems" in error.text
        assert [detail.partition(":")[0] for detail in error.details] == ["rest_calls[0].to", "rest_calls[1].to"]
        assert error.link == "https://help.example/errors/0002"
        assert "rest_calls[1].to" in str(error)
        with pytest.raises(WebServiceError, match="HTTP 401"):
            client.service_start("outbound_test", "wrong", CALLS)
        with pytest.raises(WebServiceError, match="HTTP 404"):
            client.application_status("nothing")

    _run(tmp_path, use)


def test_the_asynchronous_client_does_the_same(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            node.add_service(account)
            async with AsyncClient(node.base + "/", username="bob@example.com", access_key=key) as client:
                started = await client.service_start("outbound_test", PASSWORD, CALLS, unique_id="j")
                first, second = started.references
                assert (await client.service_start("outbound_test", PASSWORD, CALLS, unique_id="j")).replayed
                assert (await client.job_status("j")).count == 2
                assert await client.service_cancel(second) == {second: "success"}
                assert (await client.service_status(second))[second].word == "cancelled"
                with pytest.raises(StillRunning, match="still queued"):
                    await client.wait_completed(first, timeout_s=0.5)
                await asyncio.to_thread(_complete, node)
                status = await client.wait_completed(first)
                assert (await client.application_status(status.application_instance_id)).adr.exit_status == -7
                with pytest.raises(WebServiceError, match="HTTP 401"):
                    await client.service_start("nothing", PASSWORD, CALLS)

    asyncio.run(run())


def test_a_server_that_is_not_there_is_not_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        base = f"http://127.0.0.1:{once.getsockname()[1]}"

    async def run() -> None:
        async with AsyncClient(base, username="bob", access_key="k") as client:
            with pytest.raises(NotReached, match="does not answer"):
                await client.service_status("x")

    asyncio.run(run())
    with pytest.raises(NotReached, match="does not answer"):
        Client(base, username="bob", access_key="k").service_status("x")


def test_what_is_not_the_web_services_is_not_reached(tmp_path: Path) -> None:
    def use(node: WebNode, _client: Client) -> None:
        with pytest.raises(WebServiceError, match="HTTP 404"):
            Client(f"{node.base}/elsewhere", username="bob@example.com", access_key="k").service_status("x")

    _run(tmp_path, use)


def test_misuse_is_told_before_anything_is_sent() -> None:
    with pytest.raises(RequestError, match="API Access Key"):
        Client("http://127.0.0.1:1", username="bob").service_status("x")
    with pytest.raises(RequestError, match="not an http or https URL"):
        Client("127.0.0.1:1", username="bob")


def test_a_status_is_taken_apart_at_its_first_space() -> None:
    status = Status(status="couldnotrun No UAS is connected", application_status_eta=0, application_instance_id="")
    assert (status.word, status.reason, status.return_code) == ("couldnotrun", "No UAS is connected", None)


def test_queues_are_listed_counted_and_purged(tmp_path: Path) -> None:
    def use(_node: WebNode, client: Client) -> None:
        client.service_start("outbound_test", PASSWORD, [CALLS[1]] * 3)
        assert client.outbound_queues() == [Queue(service_name="outbound_test", length=3)]
        assert client.queue_length("outbound_test") == 3
        with pytest.raises(WebServiceError, match="no outbound service 'b c'"):
            client.queue_length("b c")
        assert client.queue_purge("outbound_test") == 3
        assert client.outbound_queues() == []

    _run(tmp_path, use)


def test_queues_are_listed_counted_and_purged_by_programs_that_await(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            node.add_service(account, "ü €")
            async with AsyncClient(node.base, username="bob@example.com", access_key=key) as client:
                await client.service_start("ü €", PASSWORD, CALLS[1])
                assert await client.outbound_queues() == [Queue(service_name="ü €", length=1)]
                assert await client.queue_length("ü €") == 1
                assert await client.queue_purge("ü €") == 1

    asyncio.run(run())
