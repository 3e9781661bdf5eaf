"""How messages travel: the transport, and for a stream the connection (RFC 3261 section 18)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Transport(StrEnum):
    """A transport by the name it has in URIs; Via has it in capitals."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"

    @property
    def is_reliable(self) -> bool:
        """Whether messages arrive or the sender is told: nothing is repeated then (RFC 3261 section 17)."""
        return self is not Transport.UDP

    @property
    def default_port(self) -> int:
        return 5061 if self is Transport.TLS else 5060


_BY_NAME = {transport.value: transport for transport in Transport}


def transport_named(name: str) -> Transport | None:
    """Return the transport of a Via or a URI parameter, None for one we do not speak."""
    return _BY_NAME.get(name.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The transport of one message. ``flow`` numbers the connection it came by or should go by while that is there, 0
    for any; the numbers are the shell's. ``name`` is the domain that the certificate of a TLS server must prove, "" for
    the host it is sent to (RFC 5922 section 7.1). ``is_fixed`` keeps long requests on UDP, for peers known to speak
    nothing else.
    """

    transport: Transport = Transport.UDP
    flow: int = 0
    name: str = ""
    is_fixed: bool = False

    @property
    def is_reliable(self) -> bool:
        return self.transport is not Transport.UDP


BY_UDP = Way()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A place to send a request to: an address or name, its port (0: to be found by SRV), and the way there."""

    host: str
    port: int
    way: Way = BY_UDP

    @property
    def to(self) -> tuple[str, int]:
        return self.host, self.port
