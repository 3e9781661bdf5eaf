"""The many ways in which clients may put the same request, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from sqlalchemy import Connection
from tests.support.web_caller import basic
from tests.support.web_node import PASSWORD, WebNode, key_login, service_login, web_node

from callwright.outbound import claims, dialling, queue
from callwright.values.ids import InstanceId
from callwright.web.edge import StartCancelled, StartQueued

CALLS = [{"to": "tel:443069990123", "from": "443069999876", "token": "ü€"}, {"to": "sip:a@b.example"}]
TEXT = json.dumps(CALLS)
SERVICE = service_login()
JSON_BODY = {"Content-Type": "application/json"}


def _form(**parameters: str) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in parameters.items():
        form.add_field(name, value)
    return form


def test_every_way_to_send_the_calls_starts_the_same_calls(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            service = node.add_service(account)

            async def started(method: str, target: str, *, headers: dict[str, str] | None = None, data: object) -> None:
                status, body, _ = await node.ask(method, target, headers={**SERVICE, **(headers or {})}, data=data)
                assert status == 200, body
                assert len(body) == 2
                claimed = node.db.write_now(
                    lambda c: claims.claim(c, service.id, limit=9, incarnation=1, now=node.clock())
                )
                assert [start.reference for start in claimed] == body
                assert [(start.given_to, start.given_from, start.token) for start in claimed] == [
                    ("tel:443069990123", "443069999876", "ü€"),
                    ("sip:a@b.example", "", None),
                ]

            await started("GET", f"/service_start?rest_calls={quote(TEXT)}", data=None)
            await started("POST", f"/service_start?rest_calls={quote(TEXT)}", data=None)
            await started("POST", "/service_start", data={"rest_calls": TEXT})
            await started("POST", "/service_start", data={"outbound_parameters": TEXT})
            await started("POST", "/service_start", data=_form(rest_calls=TEXT))
            await started("POST", "/service_start", headers=JSON_BODY, data=json.dumps({"rest_calls": CALLS}))
            await started("POST", "/service_start", headers=JSON_BODY, data=json.dumps({"rest_calls": TEXT}))
            await started("POST", "//service_start", data={"rest_calls": TEXT})
            await started("POST", "///service_start/", data={"rest_calls": TEXT})
            await started("GET", f"/service_start?rest_calls={quote(TEXT)}", headers=JSON_BODY, data=None)

    asyncio.run(run())


def test_a_repeated_unique_id_answers_the_first_references_and_starts_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            service = node.add_service(account)
            data = {"rest_calls": TEXT, "unique_id": "452f1997"}
            status, first, headers = await node.ask("POST", "/service_start", headers=SERVICE, data=data)
            assert status == 200
            assert "Idempotent-Replayed" not in headers
            again = {"rest_calls": json.dumps(CALLS, indent=3), "unique_id": "452f1997"}
            status, second, headers = await node.ask("POST", "/service_start", headers=SERVICE, data=again)
            assert (status, second) == (200, first)
            assert headers["Idempotent-Replayed"] == "true"
            assert node.db.read_now(lambda c: queue.length(c, service.id)) == 2
            assert len(node.wakes) == 1
            _, job, _ = await node.ask("GET", "/job_status?unique_id=452f1997", headers=key_login(key))
            assert job == {"queued": 2, "service_refs": first, "count": 2}

    asyncio.run(run())


def test_ten_thousand_calls_are_one_request(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            service = node.add_service(account)
            many = json.dumps([{"to": f"tel:4430699{n:05}", "from": "443069999876"} for n in range(10_000)])
            status, body, _ = await node.ask("POST", "/service_start", headers=SERVICE, data={"rest_calls": many})
            assert status == 200
            assert len(set(body)) == 10_000
            assert node.db.read_now(lambda c: queue.length(c, service.id)) == 10_000

    asyncio.run(run())


def test_requests_at_the_same_time_each_get_their_own_references(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            node.add_service(account)
            answers = await asyncio.gather(
                *(node.ask("POST", "/service_start", headers=SERVICE, data={"rest_calls": TEXT}) for _ in range(20))
            )
            assert {status for status, _, _ in answers} == {200}
            assert len({reference for _, body, _ in answers for reference in body}) == 40

    asyncio.run(run())


def test_every_state_of_a_start_has_its_word(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            service = node.add_service(account)
            for _ in range(3):
                await node.ask("POST", "/service_start", headers=SERVICE, data={"rest_calls": TEXT})
            references = [f"2e891aea_0.1366641192.{n}" for n in range(77832, 77838)]
            incarnation = node.db.incarnation

            def happen(c: Connection) -> None:
                now = node.clock()
                claimed = claims.claim(c, service.id, limit=4, incarnation=incarnation, now=now)
                for start, instance in zip(claimed[:2], ("a.1", "b.2"), strict=True):
                    dialling.stamp(
                        c, start, instance_id=InstanceId(instance), incarnation=incarnation, now=now, slot_at=now
                    )
                dialling.finish(c, InstanceId("b.2"), return_code=-90, now=now + 7)
                claims.fail(c, claimed[2].id, incarnation=incarnation, reason="No route", now=now)

            node.db.write_now(happen)
            await node.ask("GET", f"/service_cancel?service_refs={references[4]}", headers=key_login(key))
            node.db.write_now(lambda c: claims.expire(c, now=node.clock() + 90_000, limit=9))
            wanted = "/".join([*references, "", "nonsense", references[0]])
            _, body, _ = await node.ask(
                "POST", "/service_status", headers=key_login(key), data={"service_refs": wanted}
            )
            assert list(body) == [*references, "nonsense"]
            assert [each["status"] for each in body.values()] == [
                "running",
                "completed -90",
                "couldnotrun No route",
                "queued",
                "cancelled",
                "couldnotrun Queue time limit exceeded",
                "unknown",
            ]
            assert [each["application_instance_id"] for each in body.values()] == ["a.1", "b.2", "", "", "", "", ""]
            assert [each["application_status_eta"] for each in body.values()] == [0, 1366641200, 0, 0, 0, 0, 0]
            _, body, _ = await node.ask("GET", f"/service_cancel?service_refs={wanted}", headers=key_login(key))
            assert list(body.values()) == ["failed", "failed", "failed", "success", "success", "failed", "unknown"]

    asyncio.run(run())


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_user_names_beyond_ascii_log_in_in_either_spelling(tmp_path: Path, charset: str) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account("jürgen@example.com")
            node.add_service(account, "Grüße")
            login = base64.b64encode(f"0-0-0/JÜRGEN@example.com/Grüße:{PASSWORD}".encode(charset)).decode()
            status, body, _ = await node.ask(
                "POST", "/service_start", headers={"Authorization": f"Basic {login}"}, data={"rest_calls": TEXT}
            )
            assert status == 200, body

    asyncio.run(run())


def test_head_never_starts_a_call(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            service = node.add_service(account)
            for method in ("HEAD", "OPTIONS", "PUT"):
                status, _, headers = await node.ask(method, f"/service_start?rest_calls={TEXT}", headers=SERVICE)
                assert (status, headers["Allow"]) == (405, "GET, POST")
            assert node.db.read_now(lambda c: queue.length(c, service.id)) == 0

    asyncio.run(run())


def test_health_tells_without_credentials_whether_the_node_takes_calls(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            node.set_facts(queue_length=3, running=2)
            status, body, _ = await node.ask("GET", "/health")
            assert status == 200
            assert body == {"status": "ok", "version": node.edge.version, "queue_length": 3, "running": 2}
            node.set_facts(draining=True, running=1)
            status, body, _ = await node.ask("GET", "/health")
            assert (status, body["status"], body["running"]) == (503, "draining", 1)
            assert "stopping" in body["text"]

    asyncio.run(run())


def test_links_of_errors_lead_to_an_explanation(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            status, page, headers = await node.ask("GET", "/errors/0003")
            assert status == 200
            assert headers["Content-Type"] == "text/html; charset=utf-8"
            assert "0003: Parameter given more than once" in page
            status, body, _ = await node.ask("GET", "/errors/401", headers={"Accept": "application/json"})
            assert (status, body["code"]) == (200, "HTTP 401")
            assert "API Access Key" in body["cure"]

    asyncio.run(run())


def test_who_follows_hears_of_starts_queued_and_cancelled(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            node.add_service(account)
            _, (first, _), _ = await node.ask("POST", "/service_start", headers=SERVICE, data={"rest_calls": TEXT})
            await node.ask("POST", "/service_cancel", headers=key_login(key), data={"service_refs": first})
            with node.broadcaster.watch(first) as watcher:
                assert await watcher.next(1) == StartQueued(
                    reference=first, account="bob@example.com", service="outbound_test", at=node.clock()
                )
                assert await watcher.next(1) == StartCancelled(reference=first, at=node.clock())

    asyncio.run(run())


def test_a_client_that_goes_away_in_the_middle_of_its_request_starts_nothing(tmp_path: Path) -> None:
    def send_half(node: WebNode) -> None:
        port = int(node.base.rpartition(":")[2])
        login = SERVICE["Authorization"]
        with socket.create_connection(("127.0.0.1", port)) as connection:
            head = f"POST /service_start HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\nContent-Length: 500\r\n\r\n"
            connection.sendall(head.encode() + b"rest_calls=")

    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            service = node.add_service(account)
            await asyncio.to_thread(send_half, node)
            status, _, _ = await node.ask("GET", "/health")
            assert status == 200
            assert node.db.read_now(lambda c: queue.length(c, service.id)) == 0

    asyncio.run(run())


def test_a_wrong_login_is_refused_before_the_body_is_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            node.add_account()
            broken = {**basic("0-0-0/bob@example.com/nothing", "x"), **JSON_BODY}
            status, _, _ = await node.ask("POST", "/service_start", headers=broken, data=b"{")
            assert status == 401

    asyncio.run(run())
