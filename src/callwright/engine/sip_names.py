"""Ask the DNS where SIP peers are, and remember it: NAPTR and SRV by DNS, addresses by the system's resolver.

Addresses come from the system so that /etc/hosts counts; it tells no lifetime, so they are remembered for a minute.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
import structlog

from callwright.sip.event import NO_ADDRESS
from callwright.sip.locating import ALL, Found, Kind, Lookup, Naptr, Question, Srv, locate
from callwright.sip.way import Target, Transport

_log = structlog.get_logger()

ADDRESS_LIFETIME_S = 60.0
NOTHING_LIFETIME_S = 30.0
_LONGEST_LIFETIME_S = 3600.0
_PATIENCE_S = 3.0  # for one NAPTR or SRV question; a telephone number waits for it
_SYSTEM_PATIENCE_S = 15.0  # for the addresses of a name
_MOST_REMEMBERED = 10_000

Asker = Callable[[Question], Awaitable[tuple[Found, float]]]


class Names:
    """The resolver of one socket. ``family`` limits addresses to what the socket can reach (AF_UNSPEC: no limit)."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        family: int = socket.AF_UNSPEC,
        resolver: dns.asyncresolver.Resolver | None = None,
        dice: Callable[[int], int] = lambda most: random.randint(0, most),
    ) -> None:
        self.family = family
        self._loop = loop
        self._resolver = resolver
        self._dice = dice
        self._remembered: dict[Question, tuple[Found, float]] = {}
        self._asking: dict[Question, asyncio.Task[Found]] = {}

    async def locate(
        self, host: str, *, port: int = 0, transport: Transport | None = None, secure: bool = False
    ) -> list[Target]:
        """Return the targets of a host in the order to try them; raises OSError when it has no address."""
        lookup = locate(host, port=port, transport=transport, secure=secure, supported=ALL, dice=self._dice)
        return await self._drive(lookup, host)

    def known(self, host: str, port: int, transport: Transport) -> list[Target] | None:
        """Return what ``locate`` would, without asking anybody; None when somebody has to be asked."""
        lookup = locate(host, port=port, transport=transport, dice=self._dice)
        now = self._loop.time()
        try:
            question = next(lookup)
            while True:
                found, until = self._remembered.get(question, (None, 0.0))
                if found is None or until <= now:
                    return None
                question = lookup.send(found)
        except StopIteration as end:
            return self._reachable(end.value) or None

    async def close(self) -> None:
        """Stop asking."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, lookup: Lookup, host: str) -> list[Target]:
        try:
            question = next(lookup)
            while True:
                question = lookup.send(await self._find(question))
        except StopIteration as end:
            targets = self._reachable(end.value)
            if not targets:
                raise OSError(f"{host[:80]!r} {NO_ADDRESS}") from None
            return targets

    def _reachable(self, targets: list[Target]) -> list[Target]:
        """Leave out addresses of the other IP version: one UDP socket speaks one."""
        if self.family == socket.AF_UNSPEC:
            return targets
        is_v6 = self.family == socket.AF_INET6
        return [target for target in targets if target.way.is_reliable or (":" in target.host) == is_v6]

    async def _find(self, question: Question) -> Found:
        found, until = self._remembered.get(question, (None, 0.0))
        if found is not None and until > self._loop.time():
            return found
        task = self._asking.get(question)
        if task is None:
            task = self._loop.create_task(self._ask(question), name=f"look up {question.kind} {question.name}")
            self._asking[question] = task
        return await asyncio.shield(task)

    async def _ask(self, question: Question) -> Found:
        try:
            if question.kind is Kind.ADDRESS:
                found, lifetime = await self._addresses(question.name), ADDRESS_LIFETIME_S
            else:
                found, lifetime = await self._records(question)
        finally:
            del self._asking[question]
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[question] = found, self._loop.time() + min(lifetime, _LONGEST_LIFETIME_S)
        return found

    async def _addresses(self, name: str) -> Found:
        try:
            async with asyncio.timeout(_SYSTEM_PATIENCE_S):
                infos = await self._loop.getaddrinfo(name, None, family=self.family, type=socket.SOCK_DGRAM)
        except TimeoutError as problem:
            raise OSError(f"{name[:80]!r} was not found within {_SYSTEM_PATIENCE_S:g} s") from problem
        except ValueError as problem:
            raise OSError(f"{name[:80]!r} is no name: {problem}") from problem
        return Found(addresses=tuple(dict.fromkeys(str(info[4][0]) for info in infos)))

    async def _records(self, question: Question) -> tuple[Found, float]:
        try:
            if self._resolver is None:
                self._resolver = dns.asyncresolver.Resolver()
            answer = await self._resolver.resolve(
                question.name, question.kind.value, lifetime=_PATIENCE_S, search=False
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return Found(), NOTHING_LIFETIME_S
        except (dns.exception.DNSException, OSError) as problem:
            # The name may still have an address, from /etc/hosts for one. Without any, the call fails by that.
            _log.info("A DNS question got no answer", action="dns_unanswered", name=question.name, error=str(problem))
            return Found(), NOTHING_LIFETIME_S
        lifetime = float(answer.rrset.ttl if answer.rrset is not None else NOTHING_LIFETIME_S)
        if question.kind is Kind.SRV:
            return Found(srv=tuple(_srv(record) for record in answer)), lifetime
        return Found(naptr=tuple(_naptr(record) for record in answer)), lifetime


def _srv(record: object) -> Srv:
    priority, weight, port, target = (getattr(record, name) for name in ("priority", "weight", "port", "target"))
    return Srv(priority=priority, weight=weight, port=port, target=target.to_text())


def _naptr(record: object) -> Naptr:
    order, preference, replacement = (getattr(record, name) for name in ("order", "preference", "replacement"))
    flags, service = (getattr(record, name).decode("ascii", "replace") for name in ("flags", "service"))
    return Naptr(order=order, preference=preference, flags=flags, service=service, replacement=replacement.to_text())
