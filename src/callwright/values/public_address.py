"""Which IP addresses are public: the others lead into somebody's own network, and nobody outside may make us ask them.

Private, loopback, link-local, shared, multicast and reserved addresses are not, nor are those that carry one of them
inside (IPv4 in IPv6, 6to4, Teredo, NAT64).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

# A public address that a large cloud answers with its machines' metadata.
_METADATA = frozenset({IPv4Address("168.63.129.16")})
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215
# Special ranges of the IANA registries that Python learnt of late, or calls public: protocol assignments, relays,
# documentation.
_SPECIAL: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("3fff::/20"),
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 2.4: what is assigned today


def why_not_public(address: IPv4Address | IPv6Address) -> str:
    """Return what an address is that is not public, "" for a public one; what it carries inside is not looked at."""
    for applies, name in (
        (address.is_loopback, "a loopback address"),
        (address in _METADATA, "a cloud's metadata address"),
        (address.is_unspecified, "the unspecified address"),
        (address.is_multicast, "a multicast address"),
        (address.is_link_local, "a link-local address"),
        (address.is_private, "a private address"),
        (not address.is_global or any(address in network for network in _SPECIAL), "not a public address"),
        (address.is_reserved, "a reserved address"),
        (isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST, "not a public address"),
    ):
        if applies:
            return name
    return ""


def with_inner(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return the addresses a packet may end up at: the one given, or the IPv4 address that stands for it, or both."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if any(address in network for network in _NAT64):
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    inner: list[IPv4Address | IPv6Address] = [address]
    if address.sixtofour is not None:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner.extend(address.teredo)
    return inner
