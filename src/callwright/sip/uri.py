"""SIP URIs, read and written (RFC 3261 section 19.1).

User, password and parameters keep their ``%hh`` escapes: a URI is compared and sent back as the peer wrote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from callwright.sip.errors import SipParseError

_ABSOLUTE = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.+)")
_SIP = re.compile(
    r"""(?:(?P<user>[^@:]+)(?::(?P<password>[^@]*))?@)?
        (?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)
        (?::(?P<port>[0-9]{1,5}))?
        (?P<params>(?:;[^;?@]+)*)
        (?:\?(?P<headers>[^@]*))?""",
    re.VERBOSE,
)
_FORBIDDEN = re.compile(r'[\x00-\x20<>"\x7f]')
_TRANSPORT_PORT = {"tls": 5061}
_LONGEST_KEPT = 128
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# Without leading zeros: systems read 010 as eight or as ten, so what such a host is must be found by asking for it.
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SipUri:
    """A ``sip:`` or ``sips:`` URI. ``port`` None means that none was written; ``headers`` is the text after ``?``."""

    scheme: str = "sip"
    user: str | None = None
    password: str | None = None
    host: str
    port: int | None = None
    params: tuple[tuple[str, str | None], ...] = ()
    headers: str = ""

    def param(self, name: str) -> str | None:
        """Return the value of a parameter (names ignore case), "" when it has none, None when it is absent."""
        for key, value in self.params:
            if key.lower() == name:
                return value or ""
        return None

    @property
    def address(self) -> tuple[str, int]:
        """Where a request for this URI goes without DNS service lookup: host (brackets removed) and port."""
        transport = (self.param("transport") or "").lower()
        default = 5061 if self.scheme == "sips" else _TRANSPORT_PORT.get(transport, 5060)
        return self.host.strip("[]"), self.port or default

    @property
    def lookup_address(self) -> tuple[str, int]:
        """Host and port as ``address``, but port 0 for a name without one: SRV records may know (RFC 3263)."""
        host, port = self.address
        return host, port if self.port or is_literal(host) else 0

    def __str__(self) -> str:
        user = ""
        if self.user is not None:
            user = f"{self.user}@" if self.password is None else f"{self.user}:{self.password}@"
        port = "" if self.port is None else f":{self.port}"
        params = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self.params)
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{params}{headers}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherUri:
    """A URI of another scheme (``tel:``, ``http:`` …), kept as text."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


Uri = SipUri | OtherUri


def is_literal(host: str) -> bool:
    """Tell whether a host is an IPv4 or IPv6 address (without brackets) and not a name."""
    return ":" in host or _IPV4.fullmatch(host) is not None


def is_address(host: str) -> bool:
    """Tell whether a host (without brackets) is an IP address of one reading."""
    return _is_address_again(host) if len(host) <= _LONGEST_KEPT else _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def plain_host(host: str) -> str:
    """Return a host (without brackets) as it compares: a name in lower case without its last dot, an address in its
    one shortest form, an IPv4 address in IPv6 (RFC 4291 section 2.5.5.2) as the IPv4 address it reaches.
    """
    # The same few hosts are asked about for every call; long ones are not kept, as long URIs are not.
    return _plain_host_again(host) if len(host) <= _LONGEST_KEPT else _plain_host(host)


def _plain_host(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower().rstrip(".")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


_is_address_again = lru_cache(maxsize=1024)(_is_address)
_plain_host_again = lru_cache(maxsize=1024)(_plain_host)


def is_sips(uri: str) -> bool:
    """Tell whether a URI asks for TLS all the way (RFC 5630 section 3.1)."""
    return uri[:5].lower() == "sips:"


def is_loopback(host: str) -> bool:
    """Tell whether a host (without brackets) is this machine itself, as the unspecified address is to who connects."""
    if host in ("localhost", "::1", "::", "0.0.0.0"):
        return True
    return host.startswith("127.") and _IPV4.fullmatch(host) is not None


def parse_uri(text: str) -> Uri:
    """Read one URI without anything around it; raises SipParseError."""
    # The same few URIs stand in every message of a call. Long ones are not kept: a stranger could fill the memory.
    return _read_again(text) if len(text) <= _LONGEST_KEPT else _read(text)


def _read(text: str) -> Uri:
    if _FORBIDDEN.search(text):
        raise SipParseError(f"a URI may not hold spaces, controls, quotes or angle brackets: {text[:80]!r}")
    absolute = _ABSOLUTE.fullmatch(text)
    if absolute is None:
        raise SipParseError(f"not a URI: {text[:80]!r}")
    scheme, rest = absolute[1].lower(), absolute[2]
    if scheme not in ("sip", "sips"):
        return OtherUri(scheme=scheme, rest=rest)
    found = _SIP.fullmatch(rest)
    if found is None:
        raise SipParseError(f"not a SIP URI: {text[:80]!r}")
    port = None if found["port"] is None else int(found["port"])
    if port is not None and not 0 < port < 65536:
        raise SipParseError(f"port {port} of a SIP URI is out of range")
    params: tuple[tuple[str, str | None], ...] = ()
    if found["params"]:
        params = tuple(_param(piece) for piece in found["params"][1:].split(";"))
    return SipUri(
        scheme=scheme,
        user=found["user"],
        password=found["password"],
        host=found["host"],
        port=port,
        params=params,
        headers=found["headers"] or "",
    )


_read_again = lru_cache(maxsize=4096)(_read)


def parse_sip_uri(text: str) -> SipUri:
    """Read a ``sip:`` or ``sips:`` URI; raises SipParseError (416 for another scheme, RFC 3261 section 8.2.2.1)."""
    uri = parse_uri(text)
    if isinstance(uri, OtherUri):
        raise SipParseError(f"scheme {uri.scheme[:40]!r} is not sip or sips", code=416)
    return uri


def _param(piece: str) -> tuple[str, str | None]:
    name, equals, value = piece.partition("=")
    return name, value if equals else None
