"""Looking at queues and emptying them, over real HTTP and from the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from sqlalchemy import Connection
from tests.support.command_line import command
from tests.support.web_caller import basic
from tests.support.web_node import PASSWORD, WebNode, key_login, service_login, web_node

from callwright.accounts.service import ApplicationKind
from callwright.outbound import claims, dialling
from callwright.values.ids import InstanceId, ServiceId, ServiceReference
from callwright.web.answers import PurgeAnswer, QueueAnswer
from callwright.web.edge import StartCancelled

SERVICE = service_login()
QUEUE = "/service/v1/outbound/outbound_test/queue"


async def _start(node: WebNode, number: int, name: str = "outbound_test") -> list[ServiceReference]:
    calls = json.dumps([{"to": "sip:a@b.example"}] * number)
    status, body, _ = await node.ask("POST", "/service_start", headers=service_login(name), data={"rest_calls": calls})
    assert status == 200, body
    references: list[ServiceReference] = body
    return references


def _claim(c: Connection, service_id: ServiceId, now: float, *, limit: int) -> None:
    claims.claim(c, service_id, limit=limit, incarnation=1, now=now)


def _run_one(c: Connection, service_id: ServiceId, now: float) -> None:
    (start,) = claims.claim(c, service_id, limit=1, incarnation=1, now=now)
    instance = InstanceId("100d73cb12cbf845.8089")
    assert dialling.stamp(c, start, instance_id=instance, incarnation=1, now=now, slot_at=now)


def test_only_services_with_waiting_starts_are_listed_by_name(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            for name in ("zulu", "alpha", "idle"):
                node.add_service(account, name)
            stranger, _ = node.add_account("eve@example.com")
            node.add_service(stranger)
            await node.ask(
                "GET",
                "/service_start?rest_calls={%22to%22:%22sip:a@b%22}",
                headers=service_login(username="eve@example.com"),
            )
            await _start(node, 2, "zulu")
            await _start(node, 3, "alpha")
            await node.db.write(lambda c: _claim(c, ServiceId(1), node.clock(), limit=1))
            status, body, headers = await node.ask("GET", "/service/v1/outbound_queues", headers=key_login(key))
            assert status == 200
            assert headers["Content-Type"] == "application/json; charset=utf-8"
            assert body == [{"service_name": "alpha", "length": 3}, {"service_name": "zulu", "length": 2}]
            msgspec.convert(body, list[QueueAnswer])

    asyncio.run(run())


def test_a_running_start_waits_no_more_and_a_claimed_one_still_does(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            service = node.add_service(account)
            await _start(node, 3)
            await node.db.write(lambda c: _run_one(c, service.id, node.clock()))
            await node.db.write(lambda c: _claim(c, service.id, node.clock(), limit=1))
            for headers in (SERVICE, key_login(key)):
                status, body, _ = await node.ask("GET", QUEUE, headers=headers)
                assert (status, body) == (200, {"service_name": "outbound_test", "length": 2})

    asyncio.run(run())


@pytest.mark.parametrize("opened_by", ["service", "account"])
def test_a_purge_cancels_all_that_wait_and_nothing_that_runs(tmp_path: Path, opened_by: str) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            service = node.add_service(account)
            references = await _start(node, 4)
            await node.db.write(lambda c: _run_one(c, service.id, node.clock()))
            await node.db.write(lambda c: _claim(c, service.id, node.clock(), limit=1))
            headers = SERVICE if opened_by == "service" else key_login(key)
            status, body, _ = await node.ask("DELETE", QUEUE, headers=headers)
            assert (status, body) == (200, {"service_name": "outbound_test", "purged": 3})
            msgspec.convert(body, PurgeAnswer)
            _, found, _ = await node.ask("GET", f"/service_status?service_refs={'/'.join(references)}", headers=SERVICE)
            assert [found[reference]["status"] for reference in references] == ["running", *["cancelled"] * 3]
            assert (await node.ask("GET", QUEUE, headers=headers))[1]["length"] == 0
            assert (await node.ask("DELETE", QUEUE, headers=headers))[1]["purged"] == 0
            assert (await node.ask("GET", "/service/v1/outbound_queues", headers=key_login(key)))[1] == []

    asyncio.run(run())


def test_whoever_follows_a_purged_start_hears_of_it_and_the_dispatcher_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            service = node.add_service(account)
            (reference,) = await _start(node, 1)
            node.wakes.clear()
            with node.broadcaster.watch(reference) as watcher:
                await node.ask("DELETE", QUEUE, headers=SERVICE)
                events = [await watcher.next(5), await watcher.next(5)]
            assert events[1] == StartCancelled(reference=reference, at=node.clock())
            assert node.wakes == [service.id]

    asyncio.run(run())


@pytest.mark.parametrize("name", ["my service", "ümläut €", "100%", "a?b#c", "Room;x=1", "%2e"])
def test_service_names_come_percent_encoded(tmp_path: Path, name: str) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            node.add_service(account, name)
            await _start(node, 1, name)
            target = f"/service/v1/outbound/{quote(name, safe='')}/queue"
            login = basic(f"0-0-0/bob@example.com/{name}", PASSWORD)
            for headers in (login, key_login(key)):
                status, body, _ = await node.ask("GET", target, headers=headers)
                assert (status, body) == (200, {"service_name": name, "length": 1})

    asyncio.run(run())


@pytest.mark.parametrize(
    "target",
    [
        "/service/v1/outbound/nothing/queue",
        "/service/v1/outbound/second/queue",  # there, but not the asker's: unknown to it
        "/service/v1/outbound/%FF/queue",
        "/service/v1/outbound/OUTBOUND_TEST/queue",
        "/service/v1/outbound//queue",
        "/service/v1/outbound",
        "/service/v1/nothing",
    ],
)
def test_a_queue_that_is_not_the_askers_is_404_in_json_whatever_is_accepted(tmp_path: Path, target: str) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            node.add_service(account)
            stranger, _ = node.add_account("eve@example.com")
            node.add_service(stranger, "second")
            for method in ("GET", "DELETE"):
                headers = {**SERVICE, "Accept": "text/html"}
                status, body, _ = await node.ask(method, target, headers=headers)
                assert (status, body["error"]["code"]) == (404, "HTTP 404")

    asyncio.run(run())


def test_the_queue_of_another_service_of_the_account_is_unknown_to_a_service(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            node.add_service(account)
            node.add_service(account, "second", kind=ApplicationKind.UAS)
            target = "/service/v1/outbound/second/queue"
            assert (await node.ask("DELETE", target, headers=SERVICE))[0] == 404
            assert (await node.ask("GET", target, headers=key_login(key)))[0] == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("POST", "/service/v1/outbound_queues", "GET"),
        ("HEAD", "/service/v1/outbound_queues", "GET"),
        ("POST", QUEUE, "DELETE, GET"),
        ("PUT", QUEUE, "DELETE, GET"),
        ("DELETE", "/service_start", "GET, POST"),
    ],
)
def test_a_method_an_operation_does_not_have_is_405_and_says_which_it_has(
    tmp_path: Path, method: str, target: str, allow: str
) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            status, body, headers = await node.ask(method, target, headers={"Accept": "application/json"})
            assert (status, headers["Allow"]) == (405, allow)
            if method != "HEAD":
                assert body["error"]["code"] == "HTTP 405"

    asyncio.run(run())


def test_looking_at_queues_takes_credentials_of_the_right_kind(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            node.add_service(account)
            status, body, headers = await node.ask("GET", QUEUE, headers={"Accept": "text/html"})
            assert (status, body["error"]["code"]) == (401, "HTTP 401")
            assert headers["WWW-Authenticate"] == 'Basic realm="callwright"'
            assert (await node.ask("GET", "/service/v1/outbound_queues", headers=SERVICE))[0] == 401
            wrong = basic("0-0-0/bob@example.com/outbound_test", "wrong")
            assert (await node.ask("DELETE", QUEUE, headers=wrong))[0] == 401

    asyncio.run(run())


def test_the_command_line_lists_shows_and_purges_queues(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            assert (await command(tmp_path, "queue", "list")).output == "no start waits\n"
            account, _ = node.add_account()
            node.add_service(account)
            await _start(node, 2)
            listed = await command(tmp_path, "queue", "list")
            assert listed.output.splitlines()[1].split() == ["outbound_test", "bob@example.com", "2"]
            shown = await command(tmp_path, "queue", "show", "outbound_test")
            assert shown.output == "outbound_test of bob@example.com: 2 waiting\n"
            refused = await command(tmp_path, "queue", "purge", "outbound_test", answer="n\n")
            assert refused.exit_code == 1
            assert (await node.ask("GET", QUEUE, headers=SERVICE))[1]["length"] == 2
            purged = await command(tmp_path, "queue", "purge", "outbound_test", "--yes")
            assert purged.output.endswith("outbound_test of bob@example.com: 2 starts cancelled\n")
            assert (await node.ask("GET", QUEUE, headers=SERVICE))[1]["length"] == 0

    asyncio.run(run())
