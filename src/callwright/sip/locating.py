"""Where a SIP URI leads: transport, addresses and ports in the order to try them (RFC 3263 section 4, RFC 2782).

``locate`` is a generator: it yields the questions to ask the DNS, is sent what was found, and returns the targets. Who
drives it does the asking, the remembering and the dice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from callwright.sip.uri import is_literal, plain_host
from callwright.sip.way import Target, Transport, Way

MOST_TARGETS = 16
ALL = (Transport.UDP, Transport.TCP, Transport.TLS)
_SERVICES = {"SIP+D2U": Transport.UDP, "SIP+D2T": Transport.TCP, "SIPS+D2T": Transport.TLS}
_SRV_PREFIX = {Transport.UDP: "_sip._udp.", Transport.TCP: "_sip._tcp.", Transport.TLS: "_sips._tcp."}


class Kind(StrEnum):
    """What to look up. ADDRESS is A and AAAA together."""

    NAPTR = "NAPTR"
    SRV = "SRV"
    ADDRESS = "ADDRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    kind: Kind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Naptr:
    """A NAPTR record (RFC 3403); only those with flag "s" lead to SRV records."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Srv:
    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a question found; nothing at all is an answer, too."""

    naptr: tuple[Naptr, ...] = ()
    srv: tuple[Srv, ...] = ()
    addresses: tuple[str, ...] = ()


Lookup = Generator[Question, Found, list[Target]]
Dice = Callable[[int], int]


def locate(
    host: str,
    *,
    port: int = 0,
    transport: Transport | None = None,
    secure: bool = False,
    supported: Sequence[Transport] = ALL,
    dice: Dice,
) -> Lookup:
    """Find the targets of a host (a name, or an address without brackets), best first; none when it has no address.

    ``port`` 0 and ``transport`` None mean that the URI names none; ``secure`` is for ``sips:``. ``dice(n)`` returns a
    number from 0 to n, n included.
    """
    usable = [Transport.TLS] if secure else list(supported)
    if secure and transport is not None:
        transport = Transport.TLS
    if is_literal(host):
        chosen = transport or usable[0]
        return [_target(host, port or chosen.default_port, chosen, host)]
    if transport is not None or port:
        return (yield from _by_srv(host, port, transport or usable[0], dice))
    targets: list[Target] = []
    found = yield Question(kind=Kind.NAPTR, name=host)
    for record in sorted(found.naptr, key=lambda naptr: (naptr.order, naptr.preference)):
        offered = _SERVICES.get(record.service.upper())
        if record.flags.lower() == "s" and offered in usable and offered is not None:
            targets += yield from _srv_targets(record.replacement.rstrip("."), offered, host, dice)
    if targets:
        return targets[:MOST_TARGETS]
    for candidate in usable:
        targets += yield from _srv_targets(_SRV_PREFIX[candidate] + host, candidate, host, dice)
    if targets:
        return targets[:MOST_TARGETS]
    return (yield from _by_address(host, usable[0].default_port, usable[0], host))


def _by_srv(host: str, port: int, transport: Transport, dice: Dice) -> Lookup:
    if not port:
        targets = yield from _srv_targets(_SRV_PREFIX[transport] + host, transport, host, dice)
        if targets:
            return targets[:MOST_TARGETS]
    return (yield from _by_address(host, port or transport.default_port, transport, host))


def _srv_targets(name: str, transport: Transport, domain: str, dice: Dice) -> Lookup:
    found = yield Question(kind=Kind.SRV, name=name)
    targets: list[Target] = []
    for record in by_weight(found.srv, dice):
        host = record.target.rstrip(".")
        if host and len(targets) < MOST_TARGETS:  # "." says that the service is decidedly not there
            targets += yield from _by_address(host, record.port, transport, domain)
    return targets


def _by_address(host: str, port: int, transport: Transport, domain: str) -> Lookup:
    if is_literal(host):
        return [_target(host, port, transport, domain)]
    found = yield Question(kind=Kind.ADDRESS, name=host)
    return [_target(address, port, transport, domain) for address in found.addresses]


def _target(host: str, port: int, transport: Transport, domain: str) -> Target:
    # A TLS server proves the domain that was asked for, not what DNS made of it (RFC 5922 section 4).
    name = domain if transport is Transport.TLS and domain != host else ""
    # In its plain form: who may be sent there is judged by it, and nothing may be connected to that was not judged.
    return Target(host=plain_host(host), port=port, way=Way(transport=transport, name=name))


def by_weight(records: Sequence[Srv], dice: Dice) -> list[Srv]:
    """Order SRV records: lowest priority first, within one by weighted chance (RFC 2782, "Weight")."""
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in records}):
        left = sorted((r for r in records if r.priority == priority), key=lambda record: record.weight > 0)
        while left:
            mark = dice(sum(record.weight for record in left))
            running = 0
            for record in left:
                running += record.weight
                if running >= mark:
                    break
            ordered.append(record)
            left.remove(record)
    return ordered
