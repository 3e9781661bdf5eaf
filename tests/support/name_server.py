"""A small name server on the loopback, and names asked of it alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset

from callwright.engine.sip_names import Names
from callwright.sip.locating import Found

HOST = "127.0.0.1"

Zone = Mapping[tuple[str, str], Sequence[str]]


class NameServer(asyncio.DatagramProtocol):
    """Answers from a zone: (name with its last dot, kind of record) → records. ``asked`` counts the questions."""

    def __init__(self, zone: Zone) -> None:
        self.zone = dict(zone)
        self.asked: Counter[tuple[str, str]] = Counter()
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text().lower(), question.rdtype.name
        self.asked[name, kind] += 1
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        records = self.zone.get((name, kind))
        if records:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        elif not any(known == name for known, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), addr)


class ServedNames(Names):
    """Names whose addresses come from the name server too, where ours come from the system."""

    def __init__(self, loop: asyncio.AbstractEventLoop, resolver: dns.asyncresolver.Resolver) -> None:
        super().__init__(loop, resolver=resolver, dice=lambda most: 0)
        self._asks = resolver

    async def _addresses(self, name: str) -> Found:
        found: list[str] = []
        for kind in ("A", "AAAA"):
            try:
                answer = await self._asks.resolve(name, kind, lifetime=2.0, search=False)
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                continue
            found += [record.to_text() for record in answer]
        if not found:
            raise OSError(f"{name} has no address")
        return Found(addresses=tuple(found))


@asynccontextmanager
async def name_server(zone: Zone) -> AsyncIterator[tuple[NameServer, ServedNames]]:
    """Serve a zone on a free port."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(zone), local_addr=(HOST, 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [HOST]
    resolver.port = transport.get_extra_info("sockname")[1]
    try:
        yield server, ServedNames(loop, resolver)
    finally:
        transport.close()
