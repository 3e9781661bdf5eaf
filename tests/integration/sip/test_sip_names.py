"""Names by real DNS questions to a small name server on the loopback."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rrset
import pytest
from tests.support.sip_sipp import HOST

from callwright.engine.sip_names import Names
from callwright.sip.way import Target, Transport

ZONE = {
    ("example.test.", "NAPTR"): ['10 10 "s" "SIP+D2T" "" _sip._tcp.example.test.'],
    ("_sip._tcp.example.test.", "SRV"): ["2 0 5062 localhost.", "1 0 5061 localhost."],
}


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """Answers from ZONE, remembering what it was asked; names ending in ``dead.test.`` get no answer."""

    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(), question.rdtype.name
        self.asked[name, kind] += 1
        if name.endswith("dead.test."):
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        records = ZONE.get((name, kind))
        if records:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        self.transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined]


async def names_with_server() -> tuple[Names, NameServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=(HOST, 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [HOST]
    resolver.port = transport.get_extra_info("sockname")[1]
    resolver.timeout = 0.1
    return Names(loop, resolver=resolver, dice=lambda most: 0), server


def places(targets: list[Target]) -> list[str]:
    return [f"{target.way.transport} {target.host} {target.port}" for target in targets if ":" not in target.host]


def test_a_domain_is_followed_to_its_servers_and_remembered() -> None:
    async def story() -> None:
        names, server = await names_with_server()
        first, second = await asyncio.gather(names.locate("example.test"), names.locate("example.test"))
        assert places(first) == places(second) == [f"tcp {HOST} 5061", f"tcp {HOST} 5062"]
        assert set(server.asked.values()) == {1}
        assert names.known("example.test", 0, Transport.TCP) is not None
        assert names.known("example.test", 0, Transport.UDP) is None
        await names.close()
        server.transport.close()

    asyncio.run(story())


def test_a_silent_name_server_leaves_the_addresses_the_system_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        names, server = await names_with_server()
        monkeypatch.setattr("callwright.engine.sip_names._PATIENCE_S", 0.2)
        with pytest.raises(OSError, match=r"dead\.test|resolution|known"):
            await names.locate("dead.test", transport=Transport.UDP)
        assert server.asked["_sip._udp.dead.test.", "SRV"] >= 1
        assert places(await names.locate("localhost", transport=Transport.UDP)) == [f"udp {HOST} 5060"]
        await names.close()
        server.transport.close()

    asyncio.run(story())


def test_closing_stops_what_is_being_asked() -> None:
    async def story() -> None:
        names, server = await names_with_server()
        asking = asyncio.create_task(names.locate("dead.test"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await names.close()
        with pytest.raises(asyncio.CancelledError):
            await asking
        server.transport.close()

    asyncio.run(story())
