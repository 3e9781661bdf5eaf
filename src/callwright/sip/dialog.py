"""One dialog: who talks to whom about which call, and how requests within it are addressed (RFC 3261 section 12)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from callwright.sip.endpoint import ALLOW, Endpoint
from callwright.sip.errors import SipParseError
from callwright.sip.headers import Headers, parse_address
from callwright.sip.message import Message, Request, Response, contact_of, route_set_of
from callwright.sip.uri import SipUri, is_sips, parse_sip_uri, parse_uri
from callwright.sip.way import BY_UDP, Target, Transport, Way, transport_named

# A saved dialog may be older than the last request sent in it. CSeq may jump (RFC 3261 section 12.2.2), not fall back.
_CSEQ_GAP = 100


class SavedDialog(msgspec.Struct, frozen=True, kw_only=True):
    """Enough of a dialog to hang it up from another process. Plain texts and numbers only; no secrets.

    ``local`` and ``remote`` are the From and To values, tags included, of a request of ours.
    """

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    remote_target: str
    has_contact: bool
    route_set: tuple[str, ...]
    source_host: str
    source_port: int
    local_cseq: int
    transport: str = "udp"
    name: str = ""


@dataclass(slots=True, kw_only=True)
class Dialog:
    """The state of a dialog. ``source`` and ``way`` are where the peer's message that made it came from; ``only_hop``
    is where requests go whatever the peer says.
    """

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    remote_target: str
    has_contact: bool
    route_set: tuple[str, ...]
    source: tuple[str, int]
    local_cseq: int
    remote_cseq: int | None = None
    only_hop: tuple[str, int] | None = None
    way: Way = BY_UDP
    _hop: Target | None = field(default=None, init=False, repr=False, compare=False)  # as the peer's words have it

    @property
    def is_secure(self) -> bool:
        """Whether our Contact must be ``sips:``, as the peer's is (RFC 5630 section 5.1.1.1)."""
        return is_sips(self.remote_target)

    def next_hop(self) -> Target:
        """Return where requests are sent: first route, else remote target, else where the peer's message came from."""
        if self.only_hop is not None:
            return Target(host=self.only_hop[0], port=self.only_hop[1], way=self.way)
        if self._hop is None:
            if self.route_set:
                self._hop = self._target_of(parse_sip_uri(parse_address(self.route_set[0]).uri))
            elif self.has_contact:
                self._hop = self._target_of(parse_sip_uri(self.remote_target))
            else:
                self._hop = Target(host=self.source[0], port=self.source[1], way=self.way)
        return self._hop

    def _target_of(self, uri: SipUri) -> Target:
        """Return host, port and way for a URI of the peer.

        A URI that names no transport keeps to the stream its host talks to us by: few who use TLS mean to leave it. The
        connection that made the dialog serves again, unless a route leads elsewhere; a client behind NAT has no other.
        """
        host, port = uri.lookup_address
        near = host == self.source[0]
        named = uri.param("transport")
        if uri.scheme == "sips":
            transport = Transport.TLS
        elif named:
            transport = transport_named(named) or Transport.UDP
        else:
            transport = self.way.transport if near else Transport.UDP
        same = transport is self.way.transport and (near or not self.route_set)
        if not uri.port and port and not named:
            port = transport.default_port
        way = self.way
        if not (same and near) or way.is_fixed:
            way = Way(transport=transport, flow=way.flow if same else 0, name=way.name if near and same else "")
        return Target(host=host, port=port, way=way)

    def request(
        self,
        endpoint: Endpoint,
        method: str,
        way: Way,
        *,
        branch: str,
        cseq: int,
        extra: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Request:
        """Build a request within the dialog that goes this way, that of ``next_hop`` (RFC 3261 section 12.2.1.1)."""
        uri, routes = self.uri_and_routes()
        pairs = [("Via", endpoint.via(branch, way)), ("Max-Forwards", "70")]
        pairs += [("Route", route) for route in routes]
        pairs += [
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        if method in ("INVITE", "UPDATE"):
            pairs += [("Contact", endpoint.contact(way, secure=self.is_secure)), ("Allow", ALLOW)]
        pairs.append(("User-Agent", endpoint.user_agent))
        pairs += extra
        return Request(method=method, uri=uri, headers=Headers(pairs), body=body)

    def uri_and_routes(self) -> tuple[str, tuple[str, ...]]:
        """Return Request-URI and Route values; a first route without ``lr`` is a strict router (RFC 3261 12.2.1.1)."""
        if not self.route_set:
            return self.remote_target, ()
        first = parse_address(self.route_set[0]).uri
        uri = parse_uri(first)
        if isinstance(uri, SipUri) and uri.param("lr") is not None:
            return self.remote_target, self.route_set
        return first, (*self.route_set[1:], f"<{self.remote_target}>")

    def take_target(self, message: Message) -> None:
        """Refresh the remote target from a re-INVITE, an UPDATE or their answers (RFC 3261 section 12.2.2)."""
        target = usable_contact(message)
        if target is not None:
            self.remote_target = target
            self.has_contact = True
            self._hop = None

    def save(self) -> SavedDialog:
        """Return what another process needs to send BYE."""
        return SavedDialog(
            call_id=self.call_id,
            local=self.local,
            remote=self.remote,
            local_tag=self.local_tag,
            remote_tag=self.remote_tag,
            remote_target=self.remote_target,
            has_contact=self.has_contact,
            route_set=self.route_set,
            source_host=self.source[0],
            source_port=self.source[1],
            local_cseq=self.local_cseq,
            transport=self.way.transport,
            name=self.way.name,
        )


def calling_dialog(
    response: Response,
    source: tuple[str, int],
    *,
    local: str,
    local_tag: str,
    request_uri: str,
    way: Way = BY_UDP,
) -> Dialog:
    """Make the calling side's dialog from a response with a To tag (RFC 3261 section 12.1.2).

    A Contact or Record-Route that cannot be read counts as absent: the far telephone is up either way and must get its
    ACK and one day its BYE, so the source of the answer serves.
    """
    target = usable_contact(response)
    try:
        routes = tuple(reversed(route_set_of(response)))
        for route in routes:
            parse_sip_uri(parse_address(route).uri)
    except SipParseError:
        routes = ()
    head = response.head
    return Dialog(
        call_id=head.call_id,
        local=local,
        remote=response.headers.get("to") or "",
        local_tag=local_tag,
        remote_tag=head.to.tag,
        remote_target=target or request_uri,
        has_contact=target is not None,
        route_set=routes,
        source=source,
        local_cseq=head.cseq,
        way=way,
    )


def called_dialog(request: Request, source: tuple[str, int], *, local_tag: str, way: Way = BY_UDP) -> Dialog:
    """Make the called side's dialog from an INVITE (RFC 3261 section 12.1.1); raises SipParseError.

    An INVITE without Contact is of RFC 2543: its From stands in, and requests go where it came from.
    """
    head = request.head
    contact = contact_of(request)
    routes = route_set_of(request)
    reached = [parse_address(route).uri for route in routes] + ([] if contact is None else [contact.uri])
    for uri in reached:
        if not isinstance(parse_uri(uri), SipUri):
            raise SipParseError(f"requests cannot be sent to {uri[:80]!r}, which Contact or Record-Route asks for")
    return Dialog(
        call_id=head.call_id,
        local=f"{request.headers.get('to')};tag={local_tag}",
        remote=request.headers.get("from") or "",
        local_tag=local_tag,
        remote_tag=head.from_.tag,
        remote_target=head.from_.uri if contact is None else contact.uri,
        has_contact=contact is not None,
        route_set=routes,
        source=source,
        local_cseq=0,
        remote_cseq=head.cseq,
        way=way,
    )


def saved_dialog(saved: SavedDialog) -> Dialog:
    """Return a live dialog again."""
    return Dialog(
        call_id=saved.call_id,
        local=saved.local,
        remote=saved.remote,
        local_tag=saved.local_tag,
        remote_tag=saved.remote_tag,
        remote_target=saved.remote_target,
        has_contact=saved.has_contact,
        route_set=saved.route_set,
        source=(saved.source_host, saved.source_port),
        local_cseq=saved.local_cseq + _CSEQ_GAP,
        way=Way(transport=Transport(saved.transport), name=saved.name),
    )


def usable_contact(message: Message) -> str | None:
    """Return the URI of the Contact when there is one a request can be sent to."""
    try:
        contact = contact_of(message)
        if contact is None:
            return None
        parse_sip_uri(contact.uri)
    except SipParseError:
        return None
    return contact.uri
