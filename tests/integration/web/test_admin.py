"""The admin socket over a real Unix socket: everything the command line needs of a running node."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from tests.support.web_node import PASSWORD, WebNode, key_login, service_login, until, web_node

from callwright.outbound import claims, dialling
from callwright.values.ids import InstanceId, ServiceReference
from callwright.web.edge import StartQueued
from callwright.web.follow import WATCHER_BUFFER

SERVICE = {"name": "demo", "account": "bob@example.com", "first_page": "http://127.0.0.1:9/first"}


class Socket:
    """Asks the admin socket as the command line does: one connection for each request."""

    def __init__(self, path: Path | None) -> None:
        assert path is not None
        self._path = path

    def _open(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("node", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(20)
        connection.sock.connect(str(self._path))
        return connection

    async def ask(self, method: str, target: str, body: object = None) -> tuple[int, Any]:
        def ask() -> tuple[int, Any]:
            connection = self._open()
            try:
                content = None if body is None else json.dumps(body).encode()
                connection.request(method, target, content, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            finally:
                connection.close()

        return await asyncio.to_thread(ask)

    def lines(self, reference: str) -> Iterator[dict[str, Any]]:
        connection = self._open()
        try:
            connection.request("GET", f"/watch?reference={reference}")
            answer = connection.getresponse()
            assert answer.getheader("Content-Type") == "application/x-ndjson"
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()


async def _add_demo(admin: Socket) -> str:
    """Make an account and a service; return the access key."""
    status, made = await admin.ask("POST", "/accounts", {"username": "bob@example.com", "caller_ids": "any"})
    assert status == 200, made
    assert (await admin.ask("POST", "/services", {**SERVICE, "password": PASSWORD}))[0] == 200
    key: str = made["access_key"]
    return key


def test_an_account_and_a_service_made_here_open_the_web_services(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            key = await _add_demo(admin)
            status, body, _ = await node.ask(
                "POST", "/service_start", headers=service_login("demo"), data={"rest_calls": '{"to":"sip:a@b"}'}
            )
            assert status == 200
            status, body, _ = await node.ask("GET", f"/service_status?service_refs={body[0]}", headers=key_login(key))
            assert status == 200

    asyncio.run(run())


def test_what_was_made_is_listed_and_shown_without_secrets(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            key = await _add_demo(admin)
            page = {"url": "https://x.example/final", "method": "GET"}
            status, made = await admin.ask("POST", "/services", {**SERVICE, "name": "second", "final_page": page})
            assert status == 200
            assert len(made["password"]) >= 12
            assert made["service"]["final_page"] == page
            _, accounts = await admin.ask("GET", "/accounts")
            assert [account["username"] for account in accounts["accounts"]] == ["bob@example.com"]
            assert accounts["accounts"][0]["caller_ids"] == "any"
            _, services = await admin.ask("GET", "/services?account=BOB@example.com")
            assert [service["name"] for service in services["services"]] == ["demo", "second"]
            _, shown = await admin.ask("GET", "/services/show?name=demo")
            assert shown["service"]["first_page"] == {"url": "http://127.0.0.1:9/first", "method": "POST"}
            for text in map(json.dumps, (accounts, services, shown)):
                assert key not in text
                assert PASSWORD not in text
                assert made["password"] not in text

    asyncio.run(run())


def test_a_new_key_works_at_once_and_ends_the_old_one_when_used(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            old = await _add_demo(admin)
            status, made = await admin.ask("POST", "/accounts/rotate_key", {"username": "bob@example.com"})
            assert status == 200
            assert made["access_key"] != old
            target = "/service_status?service_refs=a"
            seen = [(await node.ask("GET", target, headers=key_login(k)))[0] for k in (old, made["access_key"], old)]
            assert seen == [200, 200, 401]

    asyncio.run(run())


def test_a_call_is_queued_watched_and_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            await _add_demo(admin)
            call = {"service": "demo", "to": "tel:443069990123", "from": "443069999876", "token": "t"}
            status, made = await admin.ask("POST", "/call", call)
            assert status == 200
            reference = made["reference"]
            lines = await asyncio.to_thread(lambda: _watch_until_over(node, admin, reference))
            assert [line["event"] for line in lines] == ["StartQueued", "Ringing", "Over"]
            assert lines[0]["service"] == "demo"
            assert lines[-1] == {
                "event": "Over",
                "status": "completed 3",
                "application_status_eta": 1366641193,
                "application_instance_id": "a.1",
            }
            assert len(node.wakes) == 1

    asyncio.run(run())


def _watch_until_over(node: WebNode, admin: Socket, reference: str) -> list[dict[str, Any]]:
    """Watch a start from a thread; once the watch has begun, let the start run and end."""
    lines = []
    loop_now = node.clock()

    def happen(c: Connection) -> None:
        claimed = claims.claim(c, 1, limit=1, incarnation=1, now=loop_now)  # type: ignore[arg-type]
        dialling.stamp(c, claimed[0], instance_id=InstanceId("a.1"), incarnation=1, now=loop_now, slot_at=loop_now)
        dialling.finish(c, InstanceId("a.1"), return_code=3, now=loop_now + 0.5)

    for line in admin.lines(reference):
        lines.append(line)
        if line["event"] == "StartQueued":
            node.broadcaster.publish(ServiceReference(reference), Ringing(at=loop_now))
            node.db.write_now(happen)
    return lines


class Ringing(StartQueued):
    """Something that happens on the way."""

    def __init__(self, at: float) -> None:
        super().__init__(reference=ServiceReference(""), account="", service="", at=at)


def test_a_watch_of_a_start_that_is_over_ends_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            await _add_demo(admin)
            _, made = await admin.ask("POST", "/call", {"service": "demo", "to": "sip:a@b"})
            reference = made["reference"]
            status, answer = await admin.ask("POST", "/cancel", {"references": [reference, "nonsense"]})
            assert (status, answer) == (200, {reference: "success", "nonsense": "unknown"})
            lines = await asyncio.to_thread(lambda: list(admin.lines(reference)))
            assert [line["event"] for line in lines] == ["StartQueued", "StartCancelled", "Over"]
            assert lines[-1]["status"] == "cancelled"
            _, found = await admin.ask("GET", f"/starts?references={reference}/nonsense")
            assert {ref: start["status"] for ref, start in found.items()} == {
                reference: "cancelled",
                "nonsense": "unknown",
            }
            assert node.broadcaster.watching == 0

    asyncio.run(run())


def test_a_watcher_that_goes_away_is_forgotten(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            await _add_demo(admin)
            _, made = await admin.ask("POST", "/call", {"service": "demo", "to": "sip:a@b"})
            lines = admin.lines(made["reference"])
            first = await asyncio.to_thread(next, lines)
            assert first["event"] == "StartQueued"
            assert node.broadcaster.watching == 1
            await asyncio.to_thread(lines.close)  # type: ignore[attr-defined]
            await until(lambda: node.broadcaster.watching == 0)

    asyncio.run(run())


def test_a_node_that_stops_ends_its_watches(tmp_path: Path) -> None:
    async def run() -> asyncio.Task[list[dict[str, Any]]]:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            await _add_demo(admin)
            _, made = await admin.ask("POST", "/call", {"service": "demo", "to": "sip:a@b"})
            lines = admin.lines(made["reference"])
            await asyncio.to_thread(next, lines)
            rest = asyncio.create_task(asyncio.to_thread(lambda: list(lines)))
        await asyncio.wait([rest], timeout=10)
        return rest

    rest = asyncio.run(run())
    assert rest.done()


def test_a_reader_that_does_not_keep_up_is_told_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            await _add_demo(admin)
            _, made = await admin.ask("POST", "/call", {"service": "demo", "to": "sip:a@b"})
            reference = ServiceReference(made["reference"])
            lines = admin.lines(reference)
            await asyncio.to_thread(next, lines)
            for _ in range(WATCHER_BUFFER + 1):  # without a turn of the event loop in between
                node.broadcaster.publish(reference, Ringing(at=0.0))
            rest = await asyncio.to_thread(lambda: list(lines))
            assert [line["event"] for line in rest] == ["Dropped"]

    asyncio.run(run())


def test_wrong_use_is_answered_in_words(tmp_path: Path) -> None:
    cases: list[tuple[str, str, object, int, str]] = [
        ("POST", "/accounts", {"username": "a/b"}, 400, "the user name 'a/b'"),
        ("POST", "/accounts", {"username": "bob@example.com"}, 400, "exists already"),
        ("POST", "/accounts", {"usrname": "x"}, 400, "usrname"),
        ("POST", "/accounts", {"username": 3}, 400, "Expected `str`"),
        ("POST", "/accounts", {"username": "x", "type": "gold"}, 400, "type"),
        ("POST", "/accounts/rotate_key", {"username": "nobody"}, 404, "no account 'nobody'"),
        ("POST", "/services", {"name": "demo", "first_page": "http://x/"}, 400, "already"),
        ("POST", "/services", {"name": "x", "first_page": "ftp://x"}, 400, "http:// or https://"),
        ("POST", "/services", {"name": "x"}, 400, "first page"),
        ("POST", "/services", {"name": "x", "first_page": "http://x/", "password": ""}, 400, "password is empty"),
        ("POST", "/services", {"name": "x", "account": "nobody", "first_page": "http://x/"}, 404, "nobody"),
        ("GET", "/services?account=nobody", None, 404, "nobody"),
        ("GET", "/services/show?name=nothing", None, 404, "no outbound service 'nothing' of any account"),
        ("GET", "/services/show", None, 400, "name"),
        ("POST", "/call", {"service": "nothing", "to": "sip:a@b"}, 404, "no outbound service 'nothing'"),
        ("POST", "/call", {"service": "demo"}, 400, "call.to: is missing"),
        ("POST", "/call", {"service": "demo", "to": "tel:443069990123"}, 400, "caller id"),
        ("GET", "/watch?reference=nonsense", None, 404, "no start 'nonsense'"),
        ("GET", "/starts", None, 400, "references"),
        ("GET", "/application_status?application_instance_id=x", None, 404, "'x'"),
        ("GET", "/nothing", None, 404, "Not Found"),
        ("DELETE", "/call", None, 405, "use POST"),
    ]

    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            await _add_demo(admin)
            for method, target, body, status, words in cases:
                seen, answer = await admin.ask(method, target, body)
                assert seen == status, (target, answer)
                assert words in answer["error"]["text"], (target, answer)

    asyncio.run(run())


def test_with_two_accounts_the_account_must_be_said_where_it_matters(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            admin = Socket(node.admin_socket)
            status, answer = await admin.ask("POST", "/services", {"name": "x", "first_page": "http://x/"})
            assert (status, answer["error"]["text"]) == (400, "Invalid parameter: there is no account yet; add one")
            await _add_demo(admin)
            await admin.ask("POST", "/accounts", {"username": "eve@example.com"})
            status, answer = await admin.ask("POST", "/services", {"name": "x", "first_page": "http://x/"})
            assert (status, "bob@example.com, eve@example.com" in answer["error"]["text"]) == (400, True)
            assert (await admin.ask("POST", "/call", {"service": "demo", "to": "sip:a@b"}))[0] == 200
            await admin.ask("POST", "/services", {**SERVICE, "account": "eve@example.com"})
            status, answer = await admin.ask("POST", "/call", {"service": "demo", "to": "sip:a@b"})
            assert (status, "say which account" in answer["error"]["text"]) == (400, True)
            eves = {"service": "demo", "account": "eve@example.com", "to": "sip:a@b"}
            assert (await admin.ask("POST", "/call", eves))[0] == 200

    asyncio.run(run())


def test_status_tells_what_the_node_is_and_does(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            node.set_facts(queue_length=4, running=1)
            _, answer = await Socket(node.admin_socket).ask("GET", "/status")
            assert answer == {
                "version": node.edge.version,
                "status": "ok",
                "queue_length": 4,
                "running": 1,
                "paused": [],
                "incarnation": 1,
            }

    asyncio.run(run())
