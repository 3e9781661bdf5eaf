"""Which way a call leaves this node: from a destination to a next hop, or the reason why there is none (ruling 16).

Trunks come later; until then telephone numbers are carried by the simulated phone network (its test numbers only)
and SIP addresses are called directly.
"""

from __future__ import annotations

from dataclasses import dataclass

from callwright.engine.interface import Refusal
from callwright.sip.auth import Credentials
from callwright.sip.uri import parse_sip_uri
from callwright.values.destination import Destination, DestinationKind
from callwright.values.errors import PeerError

TEST_NUMBER_PREFIX = "99900"  # an unassigned country code: no real subscriber can be reached by accident

_NOT_AVAILABLE = {
    DestinationKind.LOC: "Inbound services are not available",
    DestinationKind.WEBRTC: "WebRTC clients are not available",
    DestinationKind.WSS: "WebSocket destinations are not available",
    DestinationKind.CON: "Conferences are not available",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where the INVITE goes (``next_hop``, a host or address and a port) and what it says (``request_uri``)."""

    request_uri: str
    next_hop: tuple[str, int]
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """The simulated phone network beside this node."""

    address: tuple[str, int]
    credentials: Credentials


class Routes:
    """The routes of this node. ``sandbox`` is None on a node that runs without the simulated phone network."""

    def __init__(self, *, sandbox: Sandbox | None = None) -> None:
        self.sandbox = sandbox

    def find(self, destination: Destination) -> Route | Refusal:
        """Return the route to a destination, or why there is none."""
        match destination.kind:
            case DestinationKind.TEL:
                return self._to_number(destination.address)
            case DestinationKind.SIP:
                return self._to_address(destination.address)
            case kind:
                return Refusal(reason=_NOT_AVAILABLE[kind])

    def _to_number(self, digits: str) -> Route | Refusal:
        if self.sandbox is None:
            return Refusal(reason="No route: no trunk is configured and the simulated phone network is off")
        if not digits.startswith(TEST_NUMBER_PREFIX):
            return Refusal(
                reason=f"No route: the simulated phone network only has numbers that start with "
                f"{TEST_NUMBER_PREFIX}, for example tel:999005550001"
            )
        host, port = self.sandbox.address
        uri = f"sip:{digits}@{host}:{port};user=phone"
        return Route(request_uri=uri, next_hop=(host, port), credentials=self.sandbox.credentials)

    def _to_address(self, address: str) -> Route | Refusal:
        try:
            uri = parse_sip_uri(f"sip:{address}")
        except PeerError as problem:
            return Refusal(reason=f"No route: {problem}")
        if (transport := (uri.param("transport") or "udp").lower()) != "udp":
            return Refusal(reason=f"No route: SIP over {transport.upper()} is not available, only UDP")
        return Route(request_uri=str(uri), next_hop=uri.address)
