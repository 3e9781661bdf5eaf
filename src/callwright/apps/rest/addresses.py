"""Which addresses pages may live at: a customer's URL must not reach into our own network.

Those that are not public are refused. Pure: resolving names is the client's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from callwright.values.public_address import why_not_public, with_inner


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What the operator allows besides public addresses."""

    allow_loopback: bool = False
    allowed: tuple[IPv4Network | IPv6Network, ...] = ()

    def refusal(self, address: str) -> str | None:
        """Return why pages may not be asked for at this IP address, or None."""
        try:
            given = ip_address(address.strip("[]"))
        except ValueError:
            return f"'{address}' is not an IP address"
        for one in with_inner(given):
            why = self._refusal_of(one)
            if why is not None and not any(given in network for network in self.allowed):
                return f"{given} is {why}: pages must be at public addresses, or at ones the operator allows"
        return None

    def _refusal_of(self, address: IPv4Address | IPv6Address) -> str | None:
        if any(address in network for network in self.allowed) or (self.allow_loopback and address.is_loopback):
            return None
        return why_not_public(address) or None
