"""Limits on how much, how fast and how slowly clients may send, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.web_caller import call
from tests.support.web_node import WebNode, key_login, service_login, web_node

from callwright.web.app import make_app
from callwright.web.edge import Limits

STATUS = "/service_status?service_refs=a"


def _limited(node: WebNode, limits: Limits, times: Iterator[float]) -> Any:
    return make_app(replace(node.edge, limits=limits, monotonic=lambda: next(times)))


def test_an_account_that_asks_too_fast_is_told_when_to_come_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, key = node.add_account()
            node.add_service(account)
            _, other = node.add_account("eve@example.com")
            times = iter([0.0, 0.0, 0.0, 0.0, 0.4, 0.5])
            app = _limited(node, Limits(requests_per_account=2), times)
            assert (await call(app, "GET", STATUS, headers=key_login(key))).status == 200
            assert (await call(app, "GET", STATUS, headers=service_login())).status == 200
            refused = await call(app, "GET", STATUS, headers=key_login(key))
            assert (refused.status, refused.json["error"]["code"]) == (429, "HTTP 429")
            assert "too many requests a second" in refused.json["error"]["text"]
            assert refused.headers["retry-after"] == "1"
            other_login = key_login(other, "eve@example.com")
            assert (await call(app, "GET", STATUS, headers=other_login)).status == 200
            assert (await call(app, "GET", STATUS, headers=key_login(key))).status == 429
            assert (await call(app, "GET", STATUS, headers=key_login(key))).status == 200

    asyncio.run(run())


def test_wrong_credentials_do_not_use_up_what_an_account_may_ask(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, limits=Limits(requests_per_account=1)) as node:
            _, key = node.add_account()
            for _ in range(5):
                assert (await node.ask("GET", STATUS, headers=key_login("wrong")))[0] == 401
            assert (await node.ask("GET", STATUS, headers=key_login(key)))[0] == 200

    asyncio.run(run())


def test_an_address_that_asks_too_fast_is_held_back_whatever_it_asks(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, limits=Limits(requests_per_address=0.01)) as node:
            assert (await node.ask("GET", "/health"))[0] == 200
            for target in ("/health", "/nothing", STATUS):
                status, body, headers = await node.ask("GET", target)
                assert (status, body["error"]["code"]) == (429, "HTTP 429")
                assert 1 <= int(headers["Retry-After"]) <= 100

    asyncio.run(run())


def test_without_limits_nobody_is_held_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            _, key = node.add_account()
            app = make_app(node.edge)
            answers = [await call(app, "GET", STATUS, headers=key_login(key)) for _ in range(50)]
            assert {answer.status for answer in answers} == {200}

    asyncio.run(run())


async def _talk(node: WebNode, *pieces: bytes, pause_s: float = 0.0) -> tuple[int, dict[str, Any]]:
    """Send pieces over one connection; return status and body of the answer once the server has closed it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(node.base.rpartition(":")[2]))
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(20):
            answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 70_000,  # one header without end
        b"GET /health HTTP/1.1\r\n" + b"".join(b"X-%d: b\r\n" % n for n in range(9000)),
        b"GET /health?" + b"a" * 70_000,
        b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
def test_a_head_without_end_is_431_in_the_form_of_every_error(tmp_path: Path, request_bytes: bytes) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            status, body = await _talk(node, request_bytes)
            assert (status, body["error"]["code"]) == (431, "HTTP 431")
            assert "at most 65536 bytes" in body["error"]["text"]
            assert (await node.ask("GET", "/health"))[0] == 200

    asyncio.run(run())


def test_a_head_at_the_limit_is_read_also_when_more_requests_follow_on_the_connection(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            headers = {"X-Long": "a" * 60_000}
            for _ in range(4):
                status, _, _ = await node.ask("GET", "/health", headers=headers)
                assert status == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HELLO\r\n\r\n", b"GET / FTP/1.1\r\n\r\n"]
)
def test_what_is_not_http_is_400_in_the_form_of_every_error(tmp_path: Path, nonsense: bytes) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            status, body = await _talk(node, nonsense)
            assert (status, body["error"]["code"]) == (400, "HTTP 400")
            assert body["error"]["link"] == "/errors/400"

    asyncio.run(run())


def test_a_head_that_comes_too_slowly_is_408_and_closed(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, slow_s=0.3) as node:
            pieces = [b"GET /health HTTP/1.1\r\n", *([b"X-A: b\r\n"] * 3)]
            status, body = await _talk(node, *pieces, pause_s=0.05)
            assert (status, body["error"]["code"]) == (408, "HTTP 408")

    asyncio.run(run())


def test_a_body_that_comes_too_slowly_is_408_and_closed(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, slow_s=0.3) as node:
            account, _ = node.add_account()
            node.add_service(account)
            login = "".join(f"{name}: {value}\r\n" for name, value in service_login().items())
            head = f"POST /service_start HTTP/1.1\r\nHost: a\r\n{login}Content-Length: 500\r\n\r\n"
            status, body = await _talk(node, head.encode(), b"rest_", b"calls")
            assert (status, body["error"]["code"]) == (408, "HTTP 408")
            assert "too slowly: 10 bytes" in body["error"]["text"]

    asyncio.run(run())


def test_a_connection_that_says_nothing_is_closed_and_an_idle_one_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, slow_s=0.2) as node:
            port = int(node.base.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(2):
                writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
                await asyncio.sleep(0.5)  # longer than a head may take: between requests a client may rest
            writer.close()

    asyncio.run(run())
