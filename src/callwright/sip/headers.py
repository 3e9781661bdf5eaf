"""Header fields: an ordered list with names that ignore case, and the structured values we read.

A value stays the text the peer wrote until somebody asks for its parts. Bytes that are not UTF-8 live in that text as
surrogates, so that what we copy into a response leaves exactly as it came; ``clean`` makes text for people's eyes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from callwright.sip.errors import SipParseError, UnsafeText

_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
# Written by the core in every message; nobody else may add a second one.
_OURS = frozenset(
    "via from to call-id cseq contact content-length content-type max-forwards route record-route user-agent allow "
    "authorization proxy-authorization supported require".split()
)
# As nearly every message spells them, and how they compare.
USUAL = {
    name: name.lower()
    for name in (
        "Via From To Call-ID CSeq Contact Content-Length Content-Type Max-Forwards Route Record-Route User-Agent Allow "
        "Server Supported Require Session-Expires Min-SE Expires Reason Date Accept RSeq RAck"
    ).split()
}
_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_NAME = re.compile(_TOKEN)
_PARAM = re.compile(rf";\s*({_TOKEN})\s*(?:=\s*({_QUOTED}|[^\s;,\"<>]+)\s*)?", re.DOTALL)
_PLAIN_PARAMS = re.compile(rf"(?:;{_TOKEN}(?:=[^\s;,\"<>]+)?)+")  # nothing quoted, no spaces
_USUAL_ADDRESS = re.compile(rf"<([^<>\s]+)>(?:;tag=({_TOKEN}))?")
# No two neighbours of this pattern can match the same character: a hostile value costs linear time.
_ADDRESS = re.compile(rf'(?:({_QUOTED})\s*|([^<"]*))<([^<>]*)>\s*(;.*)?', re.DOTALL)
_DISPLAY = re.compile(r"(?:[A-Za-z0-9\-.!%*_+`'~]|[^\x00-\x7f])+(?:\s+(?:[A-Za-z0-9\-.!%*_+`'~]|[^\x00-\x7f])+)*")
_VIA = re.compile(
    rf"SIP\s*/\s*2\.0\s*/\s*({_TOKEN})\s+(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)\s*(?::\s*([0-9]{{1,5}})\s*)?(;.*)?",
    re.IGNORECASE | re.DOTALL,
)
_CSEQ = re.compile(rf"([0-9]+)\s+({_TOKEN})")
_LONGEST_KEPT = 128
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_UNCLEAN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

Pairs = Sequence[tuple[str, str]]


def plain_name(name: str) -> str:
    """Return a header name in its long form and lower case, the way names are compared."""
    known = USUAL.get(name)
    if known is not None:
        return known
    lower = name.lower()
    return _COMPACT.get(lower, lower)


class Headers:
    """An ordered list of header fields, found by name. Not changed after it was made.

    ``by_name`` is the same by ``plain_name``, from who has it already.
    """

    __slots__ = ("_by_name", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]], by_name: dict[str, list[str]] | None = None) -> None:
        self.pairs: tuple[tuple[str, str], ...] = tuple(pairs)
        self._by_name = by_name  # else made when first looked into: what we write, nobody does

    @property
    def by_name(self) -> dict[str, list[str]]:
        """Every value of every header, by its long name in lower case."""
        if self._by_name is None:
            self._by_name = {}
            for name, value in self.pairs:
                self._by_name.setdefault(plain_name(name), []).append(value)
        return self._by_name

    def get(self, name: str) -> str | None:
        """Return the first value of a header, by its long name in lower case."""
        values = (self._by_name or self.by_name).get(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Return every value of a header, one an element as written (an element may hold a comma list)."""
        return (self._by_name or self.by_name).get(name, [])

    def listed(self, name: str) -> list[str]:
        """Return the elements of a header that is a comma list, over all its lines; raises SipParseError."""
        values = (self._by_name or self.by_name).get(name)
        if not values:
            return []
        return [piece for value in values for piece in split_commas(value)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"Headers({self.pairs!r})"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """The value of From, To, Contact, Route…: display name (unquoted), URI text, parameters (names in lower case).

    Shared by all who read the same text: not even ``params`` is changed.
    """

    display: str = ""
    uri: str
    params: dict[str, str | None] = msgspec.field(default_factory=dict)

    @property
    def tag(self) -> str:
        return self.params.get("tag") or ""


class Via(msgspec.Struct, frozen=True, kw_only=True):
    """One Via value. ``port`` None means that none was written (RFC 3261 section 18.2.2: then 5060)."""

    transport: str
    host: str
    port: int | None
    params: dict[str, str | None]

    @property
    def branch(self) -> str:
        return self.params.get("branch") or ""


def split_commas(value: str) -> list[str]:
    """Split a comma list, leaving commas in quotes and angle brackets alone; raises SipParseError on an open quote."""
    if "," not in value:
        stripped = value.strip()
        return [stripped] if stripped else []
    pieces: list[str] = []
    start = at = 0
    in_brackets = False
    while at < len(value):
        char = value[at]
        if char == '"' and not in_brackets:
            at += 1
            while at < len(value) and value[at] != '"':
                at += 2 if value[at] == "\\" else 1
            if at >= len(value):
                raise SipParseError(f"a quote is never closed in {value[:80]!r}")
        elif char == "<":
            in_brackets = True
        elif char == ">":
            in_brackets = False
        elif char == "," and not in_brackets:
            pieces.append(value[start:at].strip())
            start = at + 1
        at += 1
    pieces.append(value[start:].strip())
    return [piece for piece in pieces if piece]


def parse_params(text: str) -> dict[str, str | None]:
    """Read ``;name=value;name`` up to the end of the text; raises SipParseError. Quoted values lose their quotes."""
    params: dict[str, str | None] = {}
    if _PLAIN_PARAMS.fullmatch(text):
        for piece in text[1:].split(";"):
            name, equals, value = piece.partition("=")
            params[name.lower()] = value if equals else None
        return params
    at = 0
    while at < len(text):
        found = _PARAM.match(text, at)
        if found is None:
            raise SipParseError(f"malformed header parameters: {text[:80]!r}")
        value = found[2]
        params[found[1].lower()] = unquote(value) if value is not None else None
        at = found.end()
    return params


def parse_address(text: str) -> Address:
    """Read ``"name" <uri>;params`` or ``uri;params`` (RFC 3261 section 20.10); raises SipParseError."""
    # The same From, To and Contact stand in every message of a call. Long ones are not kept, as with URIs.
    return _read_address_again(text) if len(text) <= _LONGEST_KEPT else _read_address(text)


def _read_address(text: str) -> Address:
    usual = _USUAL_ADDRESS.fullmatch(text)
    if usual is not None:
        return Address(uri=usual[1], params={"tag": usual[2]} if usual[2] else {})
    text = text.strip()
    if "<" not in text:
        uri, semicolon, rest = text.partition(";")
        uri = uri.strip()
        if ":" not in uri or any(char in uri for char in ' ">'):
            raise SipParseError(f"not an address: {text[:80]!r}")
        return Address(uri=uri, params=parse_params(semicolon + rest) if semicolon else {})
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise SipParseError(f"not an address: {text[:80]!r}")
    display = ""
    if found[1] is not None:
        display = unquote(found[1])
    elif found[2]:
        display = found[2].strip()
        if display and not _DISPLAY.fullmatch(display):
            raise SipParseError(f"a display name with such characters needs quotes: {text[:80]!r}")
    uri = found[3].strip()
    if not uri:
        raise SipParseError(f"an address without a URI: {text[:80]!r}")
    return Address(display=display, uri=uri, params=parse_params(found[4]) if found[4] else {})


_read_address_again = lru_cache(maxsize=512)(_read_address)


def parse_via(text: str) -> Via:
    """Read one Via value, with the free spaces RFC 3261 section 25 allows; raises SipParseError."""
    found = _VIA.fullmatch(text.strip())
    if found is None:
        raise SipParseError(f"not a Via: {text[:80]!r}")
    port = None if found[3] is None else int(found[3])
    if port is not None and not 0 < port < 65536:
        raise SipParseError(f"port {port} of a Via is out of range")
    return Via(
        transport=found[1].upper(), host=found[2], port=port, params=parse_params(found[4].strip()) if found[4] else {}
    )


def parse_cseq(text: str) -> tuple[int, str]:
    """Read ``number METHOD``; the number stays below 2**31 (RFC 3261 section 8.1.1.5); raises SipParseError."""
    return _read_cseq_again(text) if len(text) <= _LONGEST_KEPT else _read_cseq(text)


def _read_cseq(text: str) -> tuple[int, str]:
    found = _CSEQ.fullmatch(text.strip())
    if found is None or len(found[1]) > 20:
        raise SipParseError(f"not a CSeq: {text[:80]!r}")
    number = int(found[1])
    if number >= 2**31:
        raise SipParseError(f"CSeq number {number} is out of range")
    return number, found[2]


_read_cseq_again = lru_cache(maxsize=256)(_read_cseq)


def unquote(value: str) -> str:
    """Return a quoted string without its quotes and backslashes; anything else as it is."""
    if len(value) >= 2 and value[0] == '"' and value[-1] == '"':
        inside = value[1:-1]
        return _ESCAPED.sub(r"\1", inside) if "\\" in inside else inside
    return value


def quote(value: str) -> str:
    """Return text as a quoted string (RFC 3261 section 25.1)."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_token(text: str) -> bool:
    """Tell whether text is a token of RFC 3261 section 25.1 (a header name, a method)."""
    return text in USUAL or _NAME.fullmatch(text) is not None


def clean(text: str) -> str:
    """Return a peer's text fit for logs, JSON and databases: controls and undecodable bytes become U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    return _UNCLEAN.sub("\ufffd", text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def clean_pairs(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Return all header fields fit for people (see clean), names as written."""
    together = "".join([value for _, value in headers.pairs])
    if together.isascii() and together.isprintable():
        return headers.pairs
    return tuple((name, clean(value)) for name, value in headers.pairs)


def header_value(pairs: Pairs, name: str) -> str | None:
    """Return the first value of a header in pairs, the name compared without case and with its compact form."""
    wanted = plain_name(name)
    for key, value in pairs:
        if (USUAL.get(key) or plain_name(key)) == wanted:
            return value
    return None


def safe(value: str, what: str) -> str:
    """Return a value given to us; raises UnsafeText when it could end a header line (CR, LF, NUL, controls)."""
    if _UNSAFE.search(value):
        raise UnsafeText(
            f"{what} holds a line break or control character, which SIP cannot carry: remove it", field=what
        )
    return value


def safe_texts(**texts: str) -> None:
    """Raise UnsafeText when one of these named texts is not ``safe``."""
    if _UNSAFE.search("".join(texts.values())):
        for what, value in texts.items():
            safe(value, what)


def safe_pairs(pairs: Iterable[tuple[str, str]], *, but: str = "") -> list[tuple[str, str]]:
    """Return extra headers given to us; raises UnsafeText for a bad name or value, or a header the core writes.

    ``but`` is the plain name of one that the core leaves to others in this message.
    """
    checked: list[tuple[str, str]] = []
    for name, value in pairs:
        if not is_token(name):
            raise UnsafeText(f"{name[:40]!r} is not a header name", field=name[:40])
        if plain_name(name) in _OURS and plain_name(name) != but:
            raise UnsafeText(f"header {name} is written by the SIP core and cannot be given", field=name)
        checked.append((name, safe(value, name)))
    return checked
