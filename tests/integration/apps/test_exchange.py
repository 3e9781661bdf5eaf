"""One HTTP exchange against servers that write bytes: what no well-behaved web server does."""

from __future__ import annotations

import asyncio

import pytest

from callwright.apps.rest.exchange import Answered, ExchangeFailed, exchange, request_bytes

DEADLINE_S = 10.0


async def _asked(*pieces: bytes) -> Answered:
    """Return the answer of a server that writes these pieces and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with asyncio.timeout(DEADLINE_S), server:
        request = request_bytes("GET", "/", [("Host", "h")], None)
        port = server.sockets[0].getsockname()[1]
        return await exchange(request, ["127.0.0.1"], port, tls=None, host="h", connect_timeout_s=5.0, max_bytes=1000)


def test_body_without_a_length_ends_with_the_connection() -> None:
    answered = asyncio.run(_asked(b"HTTP/1.1 200 OK\r\n\r\nhal", b"lo"))
    assert (answered.status, answered.body) == (200, b"hallo")


def test_interim_answer_is_not_the_answer() -> None:
    head = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 201 Created\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"
    )
    answered = asyncio.run(_asked(head))
    assert (answered.status, answered.body) == (201, b"ok")
    assert answered.headers == {"x-a": "1", "content-length": "2"}


def test_chunked_body_is_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answered = asyncio.run(_asked(head, b"3\r\nhal\r\n", b"2\r\nlo\r\n0\r\n\r\n"))
    assert answered.body == b"hallo"


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhallo"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n"],
        [b"HTTP/1.1 200 OK\r\nX-A: 1"],
        [],
    ],
)
def test_answer_that_is_cut_off_is_no_answer(pieces: list[bytes]) -> None:
    with pytest.raises(ExchangeFailed, match="the connection broke") as failed:
        asyncio.run(_asked(*pieces))
    assert not failed.value.unsent


def test_endless_header_line_is_given_up() -> None:
    with pytest.raises(ExchangeFailed, match="longer than 32768 bytes"):
        asyncio.run(_asked(b"HTTP/1.1 200 OK\r\nX-Long: ", *[b"x" * 8192] * 20))


def test_address_that_cannot_be_connected_to_leaves_the_turn_to_the_next() -> None:
    async def story() -> Answered:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with asyncio.timeout(DEADLINE_S), server:
            port = server.sockets[0].getsockname()[1]
            request = request_bytes("GET", "/", [("Host", "h")], None)
            return await exchange(
                request, ["127.0.0.2", "127.0.0.1"], port, tls=None, host="h", connect_timeout_s=5.0, max_bytes=9
            )

    assert asyncio.run(story()).status == 204
