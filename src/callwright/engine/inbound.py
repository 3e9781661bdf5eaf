"""What is known of a call somebody makes to us, before anybody answers it. Pure.

All of it is what the caller says, apart from ``source``, ``transport`` and ``trunk``: a P-Asserted-Identity is worth as
much as the trunk it came by (RFC 3325 section 5).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from callwright.media import sdp
from callwright.sip.diversion import Diversion, HistoryEntry, diversions, history
from callwright.sip.errors import SipParseError
from callwright.sip.event import Invited
from callwright.sip.headers import Headers, Pairs, header_value, parse_address
from callwright.sip.uri import OtherUri, parse_uri
from callwright.sip.way import Transport
from callwright.values.errors import PeerError

_MOST_ASSERTED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody by URI, and by name if one was given."""

    uri: str
    display: str = ""

    @property
    def user(self) -> str:
        """The user part, a telephone number for most; "" without one."""
        return user_of(self.uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedSound:
    """What the caller offers: codecs by name in its order (RFC 3551 names of static ones), where its sound comes from
    and goes to, and in which direction, seen from the caller. ``is_secure`` is SRTP.
    """

    codecs: tuple[str, ...]
    host: str
    port: int
    direction: str
    ptime_ms: int | None = None
    is_secure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundCall:
    """An INVITE that waits for an answer. ``at`` is epoch seconds; ``source`` the address it came from; ``trunk`` the
    name of the trunk at that address, "" for a stranger.

    ``asserted`` are the P-Asserted-Identities, ``privacy`` the Privacy values in lower case: whoever shows a caller to
    somebody must heed them (RFC 3323). ``sound`` is None when the caller wants our offer, or offers no audio.
    """

    handle: str
    at: float
    call_id: str
    request_uri: str
    to_uri: str
    caller: Identity
    asserted: tuple[Identity, ...] = ()
    privacy: tuple[str, ...] = ()
    diversions: tuple[Diversion, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    source: tuple[str, int]
    transport: Transport
    trunk: str = ""
    sound: OfferedSound | None = None
    headers: Pairs = field(default=(), repr=False)

    @property
    def called_user(self) -> str:
        """The user of the Request-URI: whom the call is for."""
        return user_of(self.request_uri)

    @property
    def wants_privacy(self) -> bool:
        """Whether the person called must not see who calls."""
        return bool({"id", "user", "header"} & set(self.privacy)) or self.caller.uri.endswith("@anonymous.invalid")


def inbound_call(invited: Invited, *, trunk: str, at: float) -> InboundCall:
    """Return what an INVITE says; ``trunk`` is the trunk it came by. What cannot be read is left out."""
    headers = invited.headers
    return InboundCall(
        handle=invited.handle,
        at=at,
        call_id=invited.call_id,
        request_uri=invited.request_uri,
        to_uri=invited.to_uri,
        caller=Identity(uri=invited.from_uri, display=invited.from_display),
        asserted=_asserted(headers),
        privacy=tuple(
            word.strip().lower() for word in (header_value(headers, "privacy") or "").split(";") if word.strip()
        ),
        diversions=diversions(headers),
        history=history(headers),
        source=invited.source,
        transport=invited.way.transport,
        trunk=trunk,
        sound=offered_sound(invited.body),
        headers=headers,
    )


def offered_sound(body: bytes) -> OfferedSound | None:
    """Return what a session description offers as its first audio, None when there is none to read."""
    try:
        media = next((one for one in sdp.parse(body).media if one.kind == "audio"), None) if body else None
    except PeerError:
        return None
    if media is None:
        return None
    names = dict(value.partition(" ")[::2] for value in media.values("rtpmap"))
    ptime = media.attribute("ptime") or ""
    directions = ("sendrecv", "sendonly", "recvonly", "inactive")
    return OfferedSound(
        codecs=tuple(names.get(kind, _STATIC.get(kind, kind)).strip().partition("/")[0] for kind in media.formats),
        host=media.host,
        port=media.port,
        direction=next((name for name, _ in media.attributes if name in directions), "sendrecv"),
        ptime_ms=int(ptime) if ptime.isascii() and ptime.isdigit() and len(ptime) < 5 else None,
        is_secure="SAVP" in media.protocol,
    )


_STATIC = {"0": "PCMU", "3": "GSM", "4": "G723", "8": "PCMA", "9": "G722", "18": "G729"}  # RFC 3551 section 6


def _asserted(headers: Pairs) -> tuple[Identity, ...]:
    found = []
    try:
        values = Headers(headers).listed("p-asserted-identity")[:_MOST_ASSERTED]
    except SipParseError:
        return ()
    for value in values:
        try:
            address = parse_address(value)
        except SipParseError:
            continue
        found.append(Identity(uri=address.uri, display=address.display))
    return tuple(found)


def user_of(uri: str) -> str:
    """Return the user of a SIP URI without its parameters, or the number of a ``tel:`` URI; "" for others."""
    try:
        parsed = parse_uri(uri)
    except SipParseError:
        return ""
    if isinstance(parsed, OtherUri):
        return parsed.rest.partition(";")[0] if parsed.scheme == "tel" else ""
    return (parsed.user or "").partition(";")[0]
