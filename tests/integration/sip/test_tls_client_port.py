"""A node without a certificate of its own: far ends find the TLS connection we opened by the port our Contact names."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from tests.support.sip_sipp import HOST, sip_socket
from tests.support.tls import Authority

from callwright.engine.sip_client_port import ClientPort
from callwright.engine.sip_tls import TlsSettings
from callwright.sip.core import InvitePlan
from callwright.sip.event import Invited
from callwright.sip.way import Transport, Way

TLS = Way(transport=Transport.TLS)


def run(story: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 20))


def test_tls_calls_to_several_far_ends_come_from_the_port_that_contact_and_via_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.certify(HOST)
    server = TlsSettings(certificate=certificate, key=key, port=0)

    async def story() -> None:
        client = TlsSettings(authorities=authority.file)
        async with (
            sip_socket(tls=client) as (near, _),
            sip_socket(tls=server) as (far, far_ear),
            sip_socket(tls=server) as (other, other_ear),
        ):
            for to, ear in ((far, far_ear), (other, other_ear)):
                plan = InvitePlan(
                    request_uri="sip:100@example.com",
                    next_hop=(HOST, to.tls_port),
                    from_uri="sip:us@example.com",
                    to_uri="sip:100@h",
                    body=b"v=0\r\n",
                    way=TLS,
                )
                near.core.invite(plan, asyncio.get_running_loop().time())
                near.pump()
                await ear.next(Invited)
                [connection] = to._streams._flows.values()
                port = near.core._endpoint.port_of(Transport.TLS)
                assert connection.peer == (HOST, port)
                assert port != near.address[1], "the port of UDP and TCP speaks no TLS"

    run(story)


def test_a_second_connection_to_one_place_and_a_name_are_left_to_another_port() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        port = ClientPort(HOST)
        with socket.create_server((HOST, 0)) as server:
            there = server.getsockname()[1]
            first = await port.connect(loop, HOST, there)
            assert first is not None
            assert first.getsockname() == (HOST, port.number)
            assert await port.connect(loop, HOST, there) is None
            assert await port.connect(loop, "localhost", there) is None
            assert await port.connect(loop, "::1", there) is None
            first.close()
        with pytest.raises(ConnectionRefusedError):
            await port.connect(loop, HOST, there)
        port.close()

    run(story)
