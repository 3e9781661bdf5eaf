"""Which way a call leaves this node: from a destination to a next hop, or the reason why there is none.

Test numbers go to the simulated phone network while it runs, other telephone numbers to the trunks that carry them;
SIP addresses are called directly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from callwright.engine.interface import Refusal
from callwright.engine.redirects import is_inner
from callwright.engine.trunks import Trunks, is_this_machine
from callwright.sip.auth import Credentials
from callwright.sip.uri import is_address, is_loopback, parse_sip_uri, plain_host
from callwright.sip.way import Transport, transport_named
from callwright.values.destination import Destination, DestinationKind
from callwright.values.errors import PeerError

TEST_NUMBER_PREFIX = "99900"  # an unassigned country code: no real subscriber can be reached by accident

_ADD_TRUNK = "callwright trunk add NAME --host HOST"

_NOT_AVAILABLE = {
    DestinationKind.LOC: "Inbound services are not available",
    DestinationKind.WEBRTC: "WebRTC clients are not available",
    DestinationKind.WSS: "WebSocket destinations are not available",
    DestinationKind.CON: "Conferences are not available",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where the INVITE goes (``next_hop``, a host or address and a port) and what it says (``request_uri``).

    Port 0 and ``transport`` None mean that nobody named one, so DNS may know (RFC 3263); ``secure`` allows TLS alone.
    ``is_address``: it was called by SIP address, not by number.
    """

    request_uri: str
    next_hop: tuple[str, int]
    transport: Transport | None = None
    secure: bool = False
    credentials: Credentials | None = None
    is_address: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkRoute:
    """Trunks carry this number; which one is chosen when the call is placed. ``only`` names the one that must."""

    trunks: Trunks
    digits: str
    only: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """The simulated phone network beside this node."""

    address: tuple[str, int]
    credentials: Credentials


class Routes:
    """The routes of this node. ``sandbox`` is None on a node that runs without the simulated phone network.
    ``opens`` tells whether SIP addresses may be called at an IP address that is not public.
    """

    def __init__(
        self,
        *,
        sandbox: Sandbox | None = None,
        trunks: Trunks | None = None,
        opens: Callable[[str], bool] = lambda _address: True,
    ) -> None:
        self.sandbox = sandbox
        self.trunks = trunks
        self._opens = opens

    def find(self, destination: Destination, *, trunk: str = "") -> Route | TrunkRoute | Refusal:
        """Return the route to a destination, or why there is none. ``trunk`` names the only way that counts."""
        match destination.kind:
            case DestinationKind.TEL:
                return self._to_number(destination.address, trunk)
            case DestinationKind.SIP:
                return self._to_address(destination.address)
            case kind:
                return Refusal(reason=_NOT_AVAILABLE[kind])

    def guarded(self, host: str, port: int) -> str | None:
        """Return why nobody may make this node send INVITEs to a place as a SIP address, None when they may.

        A trunk and the simulated network take whatever comes from this node: to reach them by address would go around
        everything that is checked for telephone numbers. On loopback, where everything is, each port is another place.
        """
        if self.sandbox is not None and _is_at(self.sandbox.address, host, port or 5060):
            return "the simulated phone network is called by number: tel:"
        if self.trunks is not None and (name := self.trunks.at(host, port)):
            return f"trunk {name} is called by number: tel:"
        if is_address(host) and is_inner(host) and not self._opens(host):
            return f"{host} is not a public address; the operator opens such networks with sip.allow"
        return None

    async def learn_places(self) -> None:
        """Find out what ``guarded`` must know: call it before asking about addresses that names led to."""
        if self.trunks is not None:
            await self.trunks.locate_all()

    def _to_number(self, digits: str, trunk: str) -> Route | TrunkRoute | Refusal:
        is_test = self.sandbox is not None and digits.startswith(TEST_NUMBER_PREFIX)
        if self.trunks is not None and (trunk or not is_test) and self.trunks.carry(digits, trunk):
            return TrunkRoute(trunks=self.trunks, digits=digits, only=trunk)
        if self.trunks is not None and self.trunks.lines and not is_test:
            return Refusal(reason=f"No route: none of the trunks carries {digits}; add one: {_ADD_TRUNK}")
        if self.sandbox is None:
            return Refusal(
                reason="No route: no trunk is configured and the simulated phone network is off; "
                f"add a trunk: {_ADD_TRUNK}"
            )
        if not is_test:
            return Refusal(
                reason=f"No route: the simulated phone network only has numbers that start with "
                f"{TEST_NUMBER_PREFIX}, for example tel:999005550001; for others add a trunk: {_ADD_TRUNK}"
            )
        host, port = self.sandbox.address
        uri = f"sip:{digits}@{host}:{port};user=phone"
        return Route(
            request_uri=uri, next_hop=(host, port), transport=Transport.UDP, credentials=self.sandbox.credentials
        )

    def _to_address(self, address: str) -> Route | Refusal:
        route = _way_to(address)
        if isinstance(route, Route) and (refusal := self.guarded(*route.next_hop)) is not None:
            return Refusal(reason=f"No route: {refusal}")
        return route


@lru_cache(maxsize=256)  # an address is asked about several times on the way to its INVITE
def _way_to(address: str) -> Route | Refusal:
    """Return what a SIP address says of itself, whether or not it may be called."""
    try:
        uri = parse_sip_uri(address if address.lower().startswith("sips:") else f"sip:{address}")
    except PeerError as problem:
        return Refusal(reason=f"No route: {problem}")
    named = uri.param("transport") or ""
    transport = transport_named(named)
    if named and transport is None:
        return Refusal(reason=f"No route: SIP over {named.upper()} is not available, only UDP, TCP and TLS")
    secure = uri.scheme == "sips"
    if secure and transport is Transport.UDP:
        return Refusal(reason="No route: sips: goes by TLS, which UDP cannot carry; leave transport=udp away")
    return Route(request_uri=str(uri), next_hop=uri.lookup_address, transport=transport, secure=secure, is_address=True)


def _is_at(address: tuple[str, int], host: str, port: int) -> bool:
    if port != address[1]:
        return False
    there, asked = plain_host(address[0]), plain_host(host)
    return asked == there or (is_loopback(there) and is_this_machine(asked))
