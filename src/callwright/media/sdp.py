"""Session descriptions (RFC 8866): parse what peers really send, render what they all accept.

Parsing is tolerant: lines may come in any order and end in LF or CRLF, unknown lines are left out, and only the
lines audio needs are looked at closely. It is strict where a guess would do harm: sizes, ports and payload types.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from callwright.values.errors import PeerError

MAX_BYTES = 65_536
MAX_LINES = 2_000
MAX_MEDIA = 64


class SdpError(PeerError):
    """A session description cannot be understood; the peer that wrote it is at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
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
    origin = Description()
    session_host = ""
    session_attributes: list[tuple[str, str]] = []
    media: list[Media] = []
    own_host = ""
    attributes: list[tuple[str, str]] = []

    def finish() -> None:
        if media:
            media[-1] = replace(media[-1], host=own_host, attributes=tuple(attributes))

    for line in lines:
        kind, equals, value = line.strip().partition("=")
        if not equals or len(kind.strip()) != 1:
            continue
        kind, value = kind.strip(), value.strip()
        if kind == "m":
            finish()
            if len(media) == MAX_MEDIA:
                raise SdpError(f"the session description has more than {MAX_MEDIA} media sections")
            media.append(_media(value))
            own_host, attributes = "", []
        elif kind == "c":
            if media:
                # A section may list several addresses (RFC 8866, 5.7); the first one is used.
                own_host = own_host or _connection(value)
            else:
                session_host = _connection(value)
        elif kind == "a":
            name, _, text = value.partition(":")
            (attributes if media else session_attributes).append((name.strip().lower(), text.strip()))
        elif kind == "o" and not media:
            origin = _origin(value)
    finish()
    if not media:
        raise SdpError("the session description has no media section (no m= line)")
    return replace(
        origin,
        host=session_host,
        media=tuple(
            replace(m, host=m.host or session_host, attributes=(*m.attributes, *session_attributes)) for m in media
        ),
    )


def _media(value: str) -> Media:
    parts = value.split()
    if len(parts) < 3:
        raise SdpError(f"m= line needs a kind, a port and a protocol: {_shown(value)}")
    port_text, _, _count = parts[1].partition("/")
    port = _number(port_text, 65_535)
    if port is None:
        raise SdpError(f"m= line has an impossible port: {_shown(value)}")
    if not all(part.isascii() and part.isprintable() for part in parts):
        # An answer repeats these words, and would be as unreadable as the offer.
        raise SdpError(f"m= line holds characters that no word of it may have: {_shown(value)}")
    return Media(kind=parts[0].lower(), port=port, protocol=parts[2].upper(), formats=tuple(parts[3:]))


def _connection(value: str) -> str:
    parts = value.split()
    if len(parts) != 3 or parts[0].upper() != "IN" or parts[1].upper() not in ("IP4", "IP6"):
        raise SdpError(f"c= line is not an IP4 or IP6 address: {_shown(value)}")
    return parts[2].partition("/")[0]


def _origin(value: str) -> Description:
    parts = value.split()
    # Identity and version only matter to ourselves; a peer's odd o= line is no reason to lose a call.
    if len(parts) < 3:
        return Description()
    session_id, version = (_number(text, 2**64 - 1) for text in parts[1:3])
    return Description(user=parts[0], session_id=session_id or 0, version=version or 0)


def _number(text: str, highest: int) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        return None
    return int(text) if int(text) <= highest else None


def _shown(value: str) -> str:
    return repr(value[:80])


def render(description: Description) -> bytes:
    """Render a description; every media section names its own address only when it differs from the session's."""
    address = _address(description.host)
    lines = [
        "v=0",
        f"o={description.user} {description.session_id} {description.version} {address}",
        "s=-",
        f"c={address}",
        "t=0 0",
    ]
    for media in description.media:
        lines.append(" ".join(("m=" + media.kind, str(media.port), media.protocol, *media.formats)))
        if media.host and media.host != description.host:
            lines.append(f"c={_address(media.host)}")
        lines.extend(f"a={name}:{value}" if value else f"a={name}" for name, value in media.attributes)
    return ("\r\n".join(lines) + "\r\n").encode()


def _address(host: str) -> str:
    return f"IN {'IP6' if ':' in host else 'IP4'} {host or '0.0.0.0'}"
