from __future__ import annotations

import asyncio
import http.client
import os
import socket
import stat
from pathlib import Path

import aiohttp
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from callwright.web.listen import CannotListen, Listener, Manner


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    client = scope["client"]
    await PlainTextResponse(f"hello {client[0] if client else 'local'}")(scope, receive, send)


async def _get(port: int, **headers: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/", headers=headers) as answer:
        return await answer.text()


def test_port_zero_is_a_free_port_and_close_gives_it_back() -> None:
    async def run() -> None:
        listener = await Listener.on_port(hello, host="127.0.0.1", port=0)
        assert listener.host == "127.0.0.1"
        assert await _get(listener.port) == "hello 127.0.0.1"
        await listener.close()
        again = await Listener.on_port(hello, host="127.0.0.1", port=listener.port)
        await again.close()

    asyncio.run(run())


def test_a_taken_port_is_one_clear_error() -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(CannotListen, match=f"127.0.0.1:{port}: another program has that port"):
                await Listener.on_port(hello, host="127.0.0.1", port=port)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("host", "words"), [("203.0.113.1", "does not have that address"), ("no.such.invalid", "name is not known")]
)
def test_an_address_that_is_not_ours_is_one_clear_error(host: str, words: str) -> None:
    async def run() -> None:
        with pytest.raises(CannotListen, match=words):
            await Listener.on_port(hello, host=host, port=0)

    asyncio.run(run())


def test_the_client_address_comes_from_a_header_only_behind_a_proxy() -> None:
    async def run() -> None:
        for behind_proxy, seen in ((False, "hello 127.0.0.1"), (True, "hello 192.0.2.7")):
            listener = await Listener.on_port(hello, host="127.0.0.1", port=0, manner=Manner(behind_proxy=behind_proxy))
            assert await _get(listener.port, **{"X-Forwarded-For": "198.51.100.1, 192.0.2.7, 10.0.0.1"}) == seen
            await listener.close()

    asyncio.run(run())


def test_the_unix_socket_is_for_its_own_user_only_and_replaces_what_a_dead_node_left(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"

    def ask() -> bytes:
        connection = http.client.HTTPConnection("node")
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.sock.connect(str(path))
            connection.request("GET", "/")
            return connection.getresponse().read()
        finally:
            connection.close()

    async def run() -> None:
        former_mask = os.umask(0)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
                dead.bind(str(path))
            listener = await Listener.on_unix_socket(hello, path)
        finally:
            os.umask(former_mask)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await asyncio.to_thread(ask)).startswith(b"hello")
        await listener.close()

    asyncio.run(run())


def test_a_path_too_long_for_a_unix_socket_is_one_clear_error(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(CannotListen, match="longer than 107 bytes"):
            await Listener.on_unix_socket(hello, tmp_path / ("x" * 108))
        with pytest.raises(CannotListen, match="No such file or directory"):
            await Listener.on_unix_socket(hello, Path("/nowhere/at/all"))

    asyncio.run(run())
