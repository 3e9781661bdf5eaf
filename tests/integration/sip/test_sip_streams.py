"""TCP and TLS on the loopback: calls, failures, limits, and how connections end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from msgspec.structs import replace
from tests.support.sip_sipp import HOST, PATIENCE_S, Ear, sip_socket, until
from tests.support.sip_talk import make_core, request_from_peer
from tests.support.tls import Authority

from callwright.engine.sip_socket import SipSocket
from callwright.engine.sip_streams import StreamLimits
from callwright.engine.sip_tls import TlsSettings
from callwright.sip.core import InvitePlan
from callwright.sip.event import Acked, Answered, ByeDone, Ended, Failed, Invited, PingDone
from callwright.sip.way import Target, Transport, Way

SDP = b"v=0\r\n"
TCP = Way(transport=Transport.TCP)


def plan(to: tuple[str, int], way: Way = TCP, **more: Any) -> InvitePlan:
    return InvitePlan(
        request_uri="sip:100@example.com",
        next_hop=to,
        from_uri="sip:us@example.com",
        to_uri="sip:100@h",
        body=SDP,
        way=way,
        **more,
    )


def now() -> float:
    return asyncio.get_running_loop().time()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await story()
        left = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []

    asyncio.run(whole())


async def call_through(near: SipSocket, ear: Ear, far: SipSocket, far_ear: Ear, the_plan: InvitePlan) -> None:
    """One call: set up, hung up by the called side, so that both sides send requests."""
    near.core.invite(the_plan, now())
    near.pump()
    invited = await far_ear.next(Invited)
    far.core.respond(invited.handle, 200, body=SDP, now=now())
    far.pump()
    await ear.next(Answered)
    await far_ear.next(Acked)
    far.core.bye(invited.handle, now())
    far.pump()
    assert (await far_ear.next(ByeDone)).code == 200
    await ear.next(Ended)


@pytest.mark.parametrize("host", [HOST, "::1"])
def test_a_call_by_tcp_uses_one_connection(host: str) -> None:
    async def story() -> None:
        async with sip_socket(host=host) as (near, ear), sip_socket(host=host) as (far, far_ear):
            await call_through(near, ear, far, far_ear, plan(far.address))
            await call_through(near, ear, far, far_ear, plan(far.address))
            assert (near._streams.count, far._streams.count) == (1, 1)

    run(story)


def test_a_connection_that_the_kernel_leads_back_to_itself_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        connect = loop.create_connection

        async def from_the_same_port(make: Any, host: str, port: int, **more: Any) -> Any:
            return await connect(make, host, port, local_addr=(host, port), **more)

        with socket.socket() as probe:
            probe.bind((HOST, 0))
            closed: int = probe.getsockname()[1]
        async with sip_socket() as (near, ear):
            monkeypatch.setattr(loop, "create_connection", from_the_same_port)
            near.core.invite(plan((HOST, closed)), now())
            near.pump()
            failed = await ear.next(Failed)
            assert (failed.code, failed.local) == (503, True)
            await until(lambda: near._streams.count == 0)

    run(story)


def test_a_call_by_udp_over_ipv6() -> None:
    async def story() -> None:
        async with sip_socket(host="::1") as (near, ear), sip_socket(host="::1") as (far, far_ear):
            await call_through(near, ear, far, far_ear, plan(far.address, Way()))
            assert near._streams.count == 0

    run(story)


def test_a_call_by_tls_proves_who_is_called(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        certificate, key = authority.certify("pbx.example.com", "localhost")
        server = TlsSettings(certificate=certificate, key=key, authorities=authority.file, port=0, ask_clients=True)
        own, own_key = authority.certify("us.example.com")
        client = TlsSettings(certificate=own, key=own_key, authorities=authority.file, port=0)
        async with sip_socket(tls=client) as (near, ear), sip_socket(tls=server) as (far, far_ear):
            by_name = Way(transport=Transport.TLS, name="pbx.example.com")
            await call_through(near, ear, far, far_ear, plan((HOST, far.tls_port), by_name))
            await call_through(near, ear, far, far_ear, plan(("localhost", far.tls_port), Way(transport=Transport.TLS)))

    run(story)


def test_a_wrong_certificate_fails_the_call_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        certificate, key = authority.certify("other.example.com")
        server = TlsSettings(certificate=certificate, key=key, port=0)
        believing = TlsSettings(authorities=authority.file)
        way = Way(transport=Transport.TLS, name="pbx.example.com")
        with structlog.testing.capture_logs() as logs:
            async with sip_socket(tls=server) as (far, far_ear):
                for client, code in ((believing, 503), (TlsSettings(), 503), (TlsSettings(verify=False), 200)):
                    async with sip_socket(tls=client) as (near, ear):
                        if code == 503:
                            near.core.invite(plan((HOST, far.tls_port), way), now())
                            near.pump()
                            failed = await ear.next(Failed)
                            assert (failed.code, failed.local) == (503, True)
                        else:
                            await call_through(near, ear, far, far_ear, plan((HOST, far.tls_port), way))
        assert "certificate" in str([entry["error"] for entry in logs if entry["action"] == "sip_unconnected"])

    run(story)


def test_nobody_there_fails_the_call_at_once_and_the_next_place_is_tried() -> None:
    async def story() -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            dead = probe.getsockname()
            async with sip_socket() as (near, ear), sip_socket() as (far, far_ear):
                near.core.invite(plan(dead), now())
                near.pump()
                failed = await ear.next(Failed)
                assert (failed.code, failed.local) == (503, True)
                second = (Target(host=HOST, port=far.address[1], way=TCP),)
                await call_through(near, ear, far, far_ear, plan(dead, alternatives=second))

    run(story)


def test_a_silent_connection_attempt_is_given_up() -> None:
    async def story() -> None:
        with socket.socket() as full:  # its queue takes one connection, nobody ever accepts
            full.bind((HOST, 0))
            full.listen(0)
            filler = [socket.socket() for _ in range(3)]
            for one in filler:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            async with sip_socket(limits=StreamLimits(connect_s=0.2)) as (near, ear):
                near.core.invite(plan(full.getsockname()), now())
                near.pump()
                assert (await ear.next(Failed)).code == 503
            for one in filler:
                one.close()

    run(story)


def test_a_long_invite_goes_by_tcp_and_falls_back_to_udp() -> None:
    async def story() -> None:
        long = tuple((f"X-Fact-{number}", "f" * 90) for number in range(12))
        async with sip_socket() as (near, ear):
            async with sip_socket() as (far, far_ear):
                await call_through(near, ear, far, far_ear, replace(plan(far.address, Way()), headers=long))
                assert near._streams.count == 1
            async with sip_socket(tcp=False) as (far, far_ear):
                await call_through(near, ear, far, far_ear, replace(plan(far.address, Way()), headers=long))

    run(story)


async def read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def test_a_ping_gets_its_pong_and_requests_may_come_in_pieces() -> None:
    async def story() -> None:
        async with sip_socket() as (sip, _):
            reader, writer = await asyncio.open_connection(*sip.address)
            writer.write(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\r\n"
            options = request_from_peer("OPTIONS", via=f"SIP/2.0/TCP {HOST};branch=z9hG4bKa").render()
            for at in range(len(options)):
                writer.write(options[at : at + 1])
                await writer.drain()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 OK\r\n")
            writer.close()
            await until(lambda: sip._streams.count == 0)

    run(story)


def test_what_is_no_sip_loses_its_connection() -> None:
    async def story() -> None:
        async with sip_socket() as (sip, _):
            reader, writer = await asyncio.open_connection(*sip.address)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: lots\r\n\r\n")
            assert await read_all(reader) == b""
            writer.close()

    run(story)


def test_connections_are_limited_and_end_when_they_are_idle_or_slow() -> None:
    async def story() -> None:
        limits = StreamLimits(most_per_host=2, message_s=0.2, idle_s=0.6, ping_s=0.2)
        async with sip_socket(limits=limits) as (sip, _):
            open_ones = [await asyncio.open_connection(*sip.address) for _ in range(2)]
            await until(lambda: sip._streams.count == 2)
            reader, writer = await asyncio.open_connection(*sip.address)
            assert await read_all(reader) == b""  # one too many
            writer.close()
            open_ones[0][1].write(b"OPTIONS sip:a")  # and never the rest
            options = request_from_peer("OPTIONS", via=f"SIP/2.0/TCP {HOST};branch=z9hG4bKa").render()
            open_ones[1][1].write(options)
            await until(lambda: sip._streams.count == 1)
            await until(lambda: sip._streams.count == 0)
            for reader, writer in open_ones:
                await read_all(reader)
                writer.close()

    run(story)


def test_our_own_idle_connections_are_kept_alive_while_a_call_lives() -> None:
    async def story() -> None:
        limits = StreamLimits(idle_s=0.3, ping_s=0.1)
        async with sip_socket(limits=limits) as (near, ear), sip_socket() as (far, far_ear):
            near.core.invite(plan(far.address), now())
            near.pump()
            far.core.respond((await far_ear.next(Invited)).handle, 180, now=now())
            far.pump()
            await asyncio.sleep(0.5)
            assert near._streams.count == 1
            far.core.respond(far_ear.heard[0].handle, 486, now=now())
            far.pump()
            await ear.next(Failed)

    run(story)


def test_a_connection_whose_peer_answers_keep_alives_stays_open() -> None:
    async def story() -> None:
        limits = StreamLimits(ping_s=0.1, message_s=0.1)
        async with sip_socket(limits=limits) as (near, ear), sip_socket() as (far, far_ear):
            near.core.invite(plan(far.address), now())
            near.pump()
            far.core.respond((await far_ear.next(Invited)).handle, 180, now=now())
            far.pump()
            [connection] = near._streams._flows.values()
            await until(lambda: connection.framer.pongs >= 5)
            assert list(near._streams._flows.values()) == [connection]
            far.core.respond(far_ear.heard[0].handle, 486, now=now())
            far.pump()
            await ear.next(Failed)

    run(story)


def test_a_connection_whose_peer_falls_silent_is_given_up_and_the_next_request_opens_another() -> None:
    async def story() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            await reader.readuntil(b"\r\n\r\n")  # the request
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\r\n")
            await read_all(reader)
            writer.close()

        server = await asyncio.start_server(answer_once, HOST, 0)
        limits = StreamLimits(ping_s=0.1, pong_s=0.1)
        async with server, sip_socket(limits=limits) as (sip, ear):
            for _ in range(2):
                sip.core.ping(server.sockets[0].getsockname(), now(), TCP)
                sip.pump()
                assert (await ear.next(PingDone)).local
            assert len(writers) == 2

    run(story)


def test_a_peer_that_closes_before_it_answers_fails_the_request() -> None:
    async def story() -> None:
        async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(slam, HOST, 0)
        async with server, sip_socket() as (sip, ear):
            sip.core.ping(server.sockets[0].getsockname(), now(), TCP)
            sip.pump()
            done = await ear.next(PingDone)
            assert (done.code, done.local) == (503, True)

    run(story)


def test_a_port_taken_for_tcp_is_told() -> None:
    async def story() -> None:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            with pytest.raises(OSError, match="in use"):
                await SipSocket.open(
                    host=HOST,
                    port=taken.getsockname()[1],
                    core_factory=lambda host, port: make_core((host, port)),
                )

    run(story)
