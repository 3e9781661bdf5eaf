"""Whether and where a redirected call goes on: the one place that decides (RFC 3261 section 8.1.3.4).

The far end may say where to ask, not what it costs or whose door is tried: a redirection never leads anywhere the call
itself would not have been allowed to go. docs/reference/sip.md, redirections, has the rules in words.

Pure; looking up names and asking who owns the call is ``redirecting``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_address

from callwright.engine.trunk_setup import Trunk
from callwright.sip.errors import SipParseError
from callwright.sip.headers import Headers, clean, parse_address
from callwright.sip.uri import OtherUri, SipUri, parse_uri
from callwright.sip.way import Transport, transport_named
from callwright.values.public_address import why_not_public, with_inner

MOST_FOLLOWED = 5
FOLLOWED_CODES = (300, 301, 302)  # 305 names a proxy and 380 another service: neither is the person called
# 486 and 6xx speak of the person, who would be rung again somewhere else; silence may hide a telephone that rings.
_FINAL = (486,)
_MOST_CONTACTS = 10
_LONGEST_BARE = 80


class NotFollowed(Exception):
    """A place a redirection names may not be asked; the text says why."""


@dataclass(slots=True)
class Trail:
    """The places one call was sent to and may still be sent to: ``first`` and then ``followed``, those it was
    redirected to. ``asked`` are the places that need not be asked again.
    """

    first: str = ""
    followed: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)
    why_not: str = ""

    def begin(self, uri: str) -> None:
        """Note the first place, once."""
        self.first = self.first or uri

    def learn(self, headers: Sequence[tuple[str, str]]) -> None:
        """Take the Contacts of a redirection, the one most wanted first; they come before those known earlier."""
        self.waiting[:0] = [uri for uri in contacts(headers) if uri not in self.waiting]

    def goes_on(self, code: int, headers: Sequence[tuple[str, str]], *, local: bool, rang: bool) -> bool:
        """Take how an INVITE failed; True when another place is to be tried. ``rang``: a telephone it reached rang."""
        if not local and code in FOLLOWED_CODES:
            self.learn(headers)
        elif not self.followed or rang or code in _FINAL or code >= 600 or (local and code == 408):
            return False
        return bool(self.waiting)

    def next(self) -> str | None:
        """Return the next place, None when there is none or enough were tried. A place is never asked twice."""
        self.asked.add(same_place(self.first))
        while self.waiting:
            uri = self.waiting.pop(0)
            place = same_place(uri)
            if place in self.asked:
                self.why_not = "it leads back to where the call was already"
            elif len(self.followed) >= MOST_FOLLOWED:
                self.why_not = f"it was redirected {MOST_FOLLOWED} times"
                return None
            else:
                self.asked.add(place)
                return uri
        return None


def where_led(redirects: Sequence[str]) -> str:
    """Return in words where the Request-URIs a call went on to led, for its record; "" when it was not redirected.

    Passwords and parameters of the URIs are left out.
    """
    return f"redirected to {', then to '.join(map(_bare, redirects))}" if redirects else ""


def _bare(uri: str) -> str:
    try:
        parsed = parse_uri(uri)
    except SipParseError:
        return clean(uri[:_LONGEST_BARE])
    if isinstance(parsed, SipUri):
        parsed = replace(parsed, password=None, params=(), headers="")
    return clean(str(parsed)[:_LONGEST_BARE])


def contacts(headers: Sequence[tuple[str, str]]) -> list[str]:
    """Return the URIs of a redirection by q, the highest first; as written among equals. What cannot be read is left
    out.
    """
    found: list[tuple[float, str]] = []
    try:
        written = Headers(headers).listed("contact")[:_MOST_CONTACTS]
    except SipParseError:
        return []
    for value in written:
        try:
            address = parse_address(value)
        except SipParseError:
            continue
        found.append((_q(address.params.get("q")), address.uri))
    return [uri for _, uri in sorted(found, key=lambda entry: -entry[0])]


def _q(value: str | None) -> float:
    """Read a qvalue (RFC 3261 section 25.1); without one it is 1, and what is none counts as 0."""
    if value is None:
        return 1.0
    whole, _, parts = value.partition(".")
    fits = whole in ("0", "1") and (not parts or (parts.isascii() and parts.isdigit() and len(parts) <= 3))
    return min(float(value), 1.0) if fits else 0.0


def same_place(uri: str) -> str:
    """Return what two URIs of one place share (RFC 3261 section 19.1.4, as far as loops need it)."""
    try:
        parsed = parse_uri(uri)
    except SipParseError:
        return uri
    if isinstance(parsed, OtherUri):
        return str(parsed)
    host, port = parsed.address
    return f"{parsed.scheme}:{parsed.user or ''}@{host.lower()}:{port};{(parsed.param('transport') or '').lower()}"


def number_within(trunk: Trunk, uri: str, *, hosts: Collection[str]) -> str:
    """Return the telephone number a redirection within a trunk leads to, digits; raise ``NotFollowed``.

    ``hosts`` are the addresses the trunk is at. Nothing ever leaves the trunk: only its own names are accepted, and the
    INVITE goes where the first one went.
    """
    parsed = _read(uri)
    if isinstance(parsed, OtherUri):
        if parsed.scheme != "tel":
            raise NotFollowed(f"{parsed.scheme[:20]}: is no telephone number")
        return _digits(parsed.rest, "", "")
    host = parsed.host.strip("[]").lower()
    if host not in {trunk.host.lower(), *hosts}:
        raise NotFollowed(f"{host} is not this trunk")
    return _digits(parsed.user or "", trunk.add, trunk.strip)


def _digits(user: str, added: str, stripped: str) -> str:
    """Return the full international number that a trunk's way of writing one stands for."""
    written = user.partition(";")[0].replace("-", "").replace(".", "")
    number = written.removeprefix("+")
    if not written.startswith("+") and added and number.startswith(added):
        number = stripped + number.removeprefix(added)
    if "phone-context" in user.lower() or not (number.isascii() and number.isdigit()) or number.startswith("0"):
        raise NotFollowed(f"'{user[:40]}' is not a full international number")
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """A SIP address a redirection leads to: what the INVITE says, and where to look for it."""

    request_uri: str
    host: str
    port: int
    transport: Transport | None
    secure: bool


def address_beyond(uri: str, *, secure: bool) -> Beyond:
    """Return the SIP address a redirection of a SIP address leads to; raise ``NotFollowed``.

    ``secure``: the call is one to ``sips:``, which may not become less. Header fields a Contact wants to add are left
    away, and telephone numbers are not dialled for a call that was placed as one that costs nothing.
    """
    parsed = _read(uri)
    if isinstance(parsed, OtherUri):
        raise NotFollowed(f"{parsed.scheme[:20]}: is no SIP address")
    if secure and parsed.scheme != "sips":
        raise NotFollowed("it would leave TLS, which sips: asks for")
    if (parsed.param("method") or "INVITE").upper() != "INVITE":
        raise NotFollowed("it asks for another method than INVITE")
    named = parsed.param("transport") or ""
    transport = transport_named(named)
    if named and transport is None:
        raise NotFollowed(f"SIP over {named[:20].upper()} is not available")
    if parsed.scheme == "sips" and transport is Transport.UDP:
        raise NotFollowed("sips: goes by TLS, which UDP cannot carry")
    params = tuple(param for param in parsed.params if param[0].lower() != "method")
    target = SipUri(
        scheme=parsed.scheme,
        user=parsed.user,
        password=parsed.password,
        host=parsed.host,
        port=parsed.port,
        params=params,
    )
    host, port = target.lookup_address
    return Beyond(request_uri=str(target), host=host, port=port, transport=transport, secure=parsed.scheme == "sips")


def _read(uri: str) -> SipUri | OtherUri:
    try:
        return parse_uri(uri)
    except SipParseError as problem:
        raise NotFollowed(str(problem)) from problem


@lru_cache(maxsize=1024)
def is_inner(host: str) -> bool:
    """Whether an address is one of this machine or network, that nobody outside may make us ask."""
    return any(map(why_not_public, with_inner(ip_address(host.partition("%")[0]))))
