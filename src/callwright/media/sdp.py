"""Session descriptions (RFC 8866): parse what peers really send, render what they all accept.

Parsing is tolerant: lines may come in any order and end in LF or CRLF, unknown lines are left out, and only the
lines audio needs are looked at closely. It is strict where a guess would do harm: sizes, ports and payload types.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from callwright.values.errors import PeerError

MAX_BYTES = 65_536
MAX_LINES = 2_000
MAX_MEDIA = 64
_MOST = 2**64 - 1  # of the numbers in an o= line
_ANYBODY = ("-", 1, 1)  # user, session and version when no o= line tells them

_Words = tuple[str, int, str, tuple[str, ...]]  # an m= line: kind, port, protocol, formats


class SdpError(PeerError):
    """A session description cannot be understood; the peer that wrote it is at fault."""


class Media(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One `m=` section. `host` is its own `c=` address or the session's, "" when neither is given.

    `attributes` are (name, value) pairs in order, value "" for flags; the session's own come after the section's, so
    that the first match is the one that counts.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    host: str = ""
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> str | None:
        """The first value of an attribute, or None when it is absent."""
        return next((value for key, value in self.attributes if key == name), None)

    def values(self, name: str) -> list[str]:
        """Every value of an attribute."""
        return [value for key, value in self.attributes if key == name]


class Description(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole session description: who made it (`o=`), and its media sections."""

    user: str = "-"
    session_id: int = 1
    version: int = 1
    host: str = ""
    media: tuple[Media, ...] = ()


def parse(body: bytes) -> Description:
    """Parse a description; raise `SdpError` when it has no media section or a damaged line that matters."""
    if len(body) > MAX_BYTES:
        raise SdpError(f"the session description has {len(body)} bytes; {MAX_BYTES} are allowed")
    lines = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise SdpError(f"the session description has {len(lines)} lines; {MAX_LINES} are allowed")
    user, session_id, version = _ANYBODY
    session_host = ""
    session_attributes: list[tuple[str, str]] = []
    sections: list[tuple[_Words, list[str], list[tuple[str, str]]]] = []  # m= line, addresses, attributes
    hosts: list[str] = []
    attributes = session_attributes
    for line in lines:
        kind, equals, value = line.strip().partition("=")
        kind = kind.strip()
        if not equals or len(kind) != 1:
            continue
        value = value.strip()
        if kind == "a":
            name, _, text = value.partition(":")
            attributes.append((name.strip().lower(), text.strip()))
        elif kind == "m":
            if len(sections) == MAX_MEDIA:
                raise SdpError(f"the session description has more than {MAX_MEDIA} media sections")
            hosts, attributes = [], []
            sections.append((_media(value), hosts, attributes))
        elif kind == "c":
            if not sections:
                session_host = _connection(value)
            elif not hosts and (host := _connection(value)):
                hosts.append(host)  # a section may list several addresses (RFC 8866, 5.7); the first one is used
        elif kind == "o" and not sections:
            user, session_id, version = _origin(value)
    if not sections:
        raise SdpError("the session description has no media section (no m= line)")
    return Description(
        user=user,
        session_id=session_id,
        version=version,
        host=session_host,
        media=tuple(
            Media(
                kind=kind,
                port=port,
                protocol=protocol,
                formats=formats,
                host=own[0] if own else session_host,
                attributes=(*its, *session_attributes),
            )
            for (kind, port, protocol, formats), own, its in sections
        ),
    )


def _media(value: str) -> _Words:
    parts = value.split()
    if len(parts) < 3:
        raise SdpError(f"m= line needs a kind, a port and a protocol: {_shown(value)}")
    port_text, _, _count = parts[1].partition("/")
    port = _number(port_text, 65_535)
    if port is None:
        raise SdpError(f"m= line has an impossible port: {_shown(value)}")
    words = " ".join(parts)
    if not (words.isascii() and words.isprintable()):
        # An answer repeats these words, and would be as unreadable as the offer.
        raise SdpError(f"m= line holds characters that no word of it may have: {_shown(value)}")
    return parts[0].lower(), port, parts[2].upper(), tuple(parts[3:])


def _connection(value: str) -> str:
    parts = value.split()
    if len(parts) != 3 or parts[0].upper() != "IN" or parts[1].upper() not in ("IP4", "IP6"):
        raise SdpError(f"c= line is not an IP4 or IP6 address: {_shown(value)}")
    return parts[2].partition("/")[0]


def _origin(value: str) -> tuple[str, int, int]:
    parts = value.split()
    # Identity and version only matter to ourselves; a peer's odd o= line is no reason to lose a call.
    if len(parts) < 3:
        return _ANYBODY
    return parts[0], _number(parts[1], _MOST) or 0, _number(parts[2], _MOST) or 0


def _number(text: str, highest: int) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        return None
    number = int(text)
    return number if number <= highest else None


def _shown(value: str) -> str:
    return repr(value[:80])


def render(description: Description) -> bytes:
    """Render a description; every media section names its own address only when it differs from the session's."""
    parts = [
        opening(
            description.host,
            user=description.user,
            session_id=description.session_id,
            version=description.version,
        )
    ]
    for media in description.media:
        parts.append(" ".join(("m=" + media.kind, str(media.port), media.protocol, *media.formats)) + "\r\n")
        if media.host and media.host != description.host:
            parts.append(f"c={_address(media.host)}\r\n")
        parts.append(attribute_lines(media.attributes))
    return "".join(parts).encode()


def opening(host: str, *, user: str = "-", session_id: int, version: int) -> str:
    """The lines of a description before its media sections."""
    address = _address(host)
    return f"v=0\r\no={user} {session_id} {version} {address}\r\ns=-\r\nc={address}\r\nt=0 0\r\n"


def attribute_lines(attributes: Iterable[tuple[str, str]]) -> str:
    """The attributes of a media section as lines."""
    return "".join(f"a={name}:{value}\r\n" if value else f"a={name}\r\n" for name, value in attributes)


def _address(host: str) -> str:
    return f"IN {'IP6' if ':' in host else 'IP4'} {host or '0.0.0.0'}"
