"""Who a call was meant for before it came here, or went elsewhere: Diversion (RFC 5806) and History-Info (RFC 7044).

Both are told by whoever forwarded the call, and as true as whoever told them. What cannot be read is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_plus

from callwright.sip.errors import SipParseError
from callwright.sip.headers import Pairs, clean, parse_address, split_commas, unquote
from callwright.sip.uri import OtherUri, parse_uri

_MOST = 20
_MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversion:
    """One diversion. ``reason`` is such as ``no-answer`` or ``user-busy``, "" when not told; ``count`` how many
    diversions it stands for; ``privacy`` is ``full``, ``name``, ``uri``, ``off`` or "".
    """

    uri: str
    display: str = ""
    reason: str = ""
    count: int = 1
    privacy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One place a request went to. ``index`` is such as ``1.1``; ``cause`` the Reason of leaving it (RFC 3326), "" when
    not told; ``target`` how the place was chosen: ``rc``, ``mp`` or ``np`` and the index it came from, "" likewise.
    """

    uri: str
    display: str = ""
    index: str = ""
    cause: str = ""
    target: str = ""
    is_private: bool = False


def diversions(headers: Pairs) -> tuple[Diversion, ...]:
    """Return the diversions of a message, the latest first (RFC 5806 section 4)."""
    found = []
    for value in _listed(headers, "diversion"):
        try:
            address = parse_address(value)
        except SipParseError:
            continue
        params = {name: unquote(text or "") for name, text in address.params.items()}
        counter = params.get("counter", "")
        found.append(
            Diversion(
                uri=clean(address.uri),
                display=clean(address.display),
                reason=clean(params.get("reason", "")),
                count=min(int(counter), _MOST_COUNTED)
                if counter.isascii() and counter.isdigit() and len(counter) < 9
                else 1,
                privacy=clean(params.get("privacy", "")),
            )
        )
    return tuple(found)


def history(headers: Pairs) -> tuple[HistoryEntry, ...]:
    """Return the History-Info of a message as written, which is by index."""
    found = []
    for value in _listed(headers, "history-info"):
        try:
            address = parse_address(value)
            uri = parse_uri(address.uri)
        except SipParseError:
            continue
        asked = {} if isinstance(uri, OtherUri) else _uri_headers(uri.headers)
        shown = address.uri.partition("?")[0] if asked else address.uri
        target = next(
            (f"{name}={address.params[name] or ''}" for name in ("rc", "mp", "np") if name in address.params), ""
        )
        found.append(
            HistoryEntry(
                uri=clean(shown),
                display=clean(address.display),
                index=clean(address.params.get("index") or ""),
                cause=" ".join(clean(asked.get("reason", "")).split()),  # escapes may hide line breaks
                target=clean(target),
                is_private="history" in asked.get("privacy", "").lower(),
            )
        )
    return tuple(found)


def _listed(headers: Pairs, name: str) -> list[str]:
    written = [value for key, value in headers if len(key) == len(name) and key.lower() == name]
    if not written:
        return []
    try:
        return [piece for value in written for piece in split_commas(value)][:_MOST]
    except SipParseError:
        return []


def _uri_headers(text: str) -> dict[str, str]:
    """Read the header fields a URI carries (``?Reason=SIP%3Bcause%3D302``), names in lower case."""
    pieces = (piece.partition("=") for piece in text.split("&") if piece)
    return {unquote_plus(name).lower(): unquote_plus(value) for name, _, value in pieces}
