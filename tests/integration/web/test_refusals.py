"""Requests refused whatever they say: guessed too often, too long, not one's own, or the node is in trouble."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection
from tests.support.web_caller import call
from tests.support.web_node import WebNode, key_login, service_login, web_node

from callwright.accounts.throttle import FREE_FAILURES
from callwright.db.database import Database
from callwright.db.errors import DatabaseUnavailable
from callwright.web.app import make_app
from callwright.web.edge import Limits

GOOD = '[{"to":"sip:a@b.example"}]'
SERVICE = service_login()
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_guessing_passwords_is_answered_429_with_the_time_to_wait(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            _, key = node.add_account()
            target = "/service_status?service_refs=a"
            for _ in range(FREE_FAILURES):
                assert (await node.ask("GET", target, headers=key_login("wrong")))[0] == 401
            status, body, headers = await node.ask("GET", target, headers=key_login("wrong"))
            assert status == 429
            assert body["error"]["code"] == "HTTP 429"
            assert 1 <= int(headers["Retry-After"]) <= 60
            # The right key has to wait too: an answer now would tell the guesser.
            assert (await node.ask("GET", target, headers=key_login(key)))[0] == 429

    asyncio.run(run())


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("text/json", False),
        ("text/html, application/json;q=0.1", False),
        ("text/html", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
    ],
)
def test_errors_are_html_only_for_who_names_it_and_no_json(tmp_path: Path, accept: str | None, html: bool) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            node.add_service(account)
            headers = {**SERVICE, **({"Accept": accept} if accept else {})}
            target = "/service_start?rest_calls=[{%22to%22:%22%3Cb%3E%22},{}]"
            answer = await call(make_app(node.edge), "GET", target, headers=headers)
            assert answer.status == 400
            if not html:
                assert answer.json["error"]["code"] == "0002"
                return
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            page = answer.body.decode()
            assert page.startswith("<html><head><title>400 Bad Request</title></head><body><h1>400 Bad Request</h1>")
            assert "<p>0002: Invalid parameter: " in page
            assert "&lt;b&gt;" in page
            assert "<b>" not in page

    asyncio.run(run())


def _upload(node: WebNode, size: int, *, chunked: bool) -> tuple[int, Any]:
    """Send a body of ``size`` bytes in pieces, as a client that does not know the limit; return the answer."""
    port = int(node.base.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    piece = b"a" * 65536
    pieces = (piece[: min(65536, size - sent)] for sent in range(0, size, 65536))
    headers = {**SERVICE, **FORM} if chunked else {**SERVICE, **FORM, "Content-Length": str(size)}
    try:
        connection.request("POST", "/service_start", pieces, headers, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413_and_one_at_the_limit_is_read(tmp_path: Path, chunked: bool) -> None:
    async def run() -> None:
        async with web_node(tmp_path, limits=Limits(max_body_bytes=300_000)) as node:
            account, _ = node.add_account()
            node.add_service(account)
            status, body = await asyncio.to_thread(_upload, node, 300_001, chunked=chunked)
            assert (status, body["error"]["code"]) == (413, "HTTP 413")
            assert "at most 300000 bytes" in body["error"]["text"]
            status, body = await asyncio.to_thread(_upload, node, 300_000, chunked=chunked)
            assert (status, body["error"]["code"]) == (400, "0001")

    asyncio.run(run())


def test_the_limit_of_a_body_is_64_mebibytes() -> None:
    assert Limits().max_body_bytes == 64 * 1024 * 1024


class Refusing:
    """A database whose writes are refused, for a reason as the real one gives it; reading still works."""

    def __init__(self, db: Database, reason: str) -> None:
        self.read = db.read
        self._reason = reason

    async def write(self, _fn: Callable[[Connection], Any]) -> Any:
        raise DatabaseUnavailable(f"the database is unavailable: {self._reason}")


def test_a_database_that_refuses_is_503_and_a_full_disk_507(tmp_path: Path) -> None:
    async def ask(node: WebNode, reason: str) -> tuple[int, str, str]:
        edge = replace(node.edge, db=cast(Database, Refusing(node.db, reason)))
        answer = await call(make_app(edge), "GET", f"/service_start?rest_calls={GOOD}", headers=SERVICE)
        return answer.status, answer.json["error"]["code"], answer.headers.get("retry-after", "")

    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            node.add_service(account)
            assert await ask(node, "it is locked by another program") == (503, "HTTP 503", "2")
            assert await ask(node, "the disk is full") == (507, "HTTP 507", "")
            assert node.wakes == []

    asyncio.run(run())


def test_a_defect_is_500_without_its_inner_words(tmp_path: Path) -> None:
    def broken() -> Any:
        raise RuntimeError("a secret of the house")

    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            answer = await call(make_app(replace(node.edge, facts=broken)), "GET", "/health")
            assert (answer.status, answer.json["error"]["code"]) == (500, "HTTP 500")
            assert b"secret of the house" not in answer.body

    asyncio.run(run())


def test_nobody_sees_or_cancels_what_is_not_theirs(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            bob, bob_key = node.add_account()
            node.add_service(bob)
            node.add_service(bob, "second")
            eve, eve_key = node.add_account("eve@example.com")
            node.add_service(eve)
            data = {"rest_calls": GOOD, "unique_id": "mine"}
            _, (reference,), _ = await node.ask("POST", "/service_start", headers=SERVICE, data=data)
            strangers = (
                key_login(eve_key, "eve@example.com"),
                service_login(username="eve@example.com"),
                service_login("second"),
            )
            query = f"?service_refs={reference}"
            for headers in strangers:
                _, status, _ = await node.ask("GET", f"/service_status{query}", headers=headers)
                assert status[reference]["status"] == "unknown"
                _, answer, _ = await node.ask("GET", f"/service_cancel{query}", headers=headers)
                assert answer == {reference: "unknown"}
            eves = key_login(eve_key, "eve@example.com")
            assert (await node.ask("GET", "/job_status?unique_id=mine", headers=eves))[0] == 404
            for headers in (key_login(bob_key), SERVICE):
                _, status, _ = await node.ask("GET", f"/service_status{query}", headers=headers)
                assert status[reference]["status"] == "queued"
            _, answer, _ = await node.ask("GET", f"/service_cancel{query}", headers=SERVICE)
            assert answer == {reference: "success"}

    asyncio.run(run())
