"""SIP requests and responses as values, and how they are written (RFC 3261 section 7).

A message is its start line, its header fields and its body. ``head`` is the part of the header fields every decision
needs (Via, From, To, Call-ID, CSeq), read once when first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from callwright.sip.errors import SipParseError
from callwright.sip.headers import Address, Headers, Via, parse_address, parse_cseq, parse_via, split_commas

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}

_ONLY_ONCE = ("from", "to", "call-id", "cseq", "max-forwards", "content-type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The facts every message must carry. ``via`` is the topmost; ``cseq`` and ``method`` are the halves of CSeq."""

    via: Via
    from_: Address
    to: Address
    call_id: str
    cseq: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request. ``uri`` is the Request-URI as text."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""
    _head: list[Head] = field(default_factory=list, repr=False, compare=False)

    @property
    def head(self) -> Head:
        """The mandatory facts; raises SipParseError when one is missing, double or malformed."""
        if not self._head:
            self._head.append(read_head(self.headers))
        return self._head[0]

    @property
    def size(self) -> int:
        """The number of bytes of the request, some more than it has at most."""
        text = sum(len(name) + len(value) + 4 for name, value in self.headers.pairs)
        return text + len(self.method) + len(self.uri) + len(self.body) + 36

    def render(self) -> bytes:
        """Return the bytes; Content-Length is written by this function, last."""
        return render(f"{self.method} {self.uri} SIP/2.0", self.headers.pairs, self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response. ``reason`` is the text behind the code."""

    code: int
    reason: str
    headers: Headers
    body: bytes = b""
    _head: list[Head] = field(default_factory=list, repr=False, compare=False)

    @property
    def head(self) -> Head:
        """The mandatory facts; raises SipParseError when one is missing, double or malformed."""
        if not self._head:
            self._head.append(read_head(self.headers))
        return self._head[0]

    def render(self) -> bytes:
        """Return the bytes; Content-Length is written by this function, last."""
        return render(f"SIP/2.0 {self.code} {self.reason}", self.headers.pairs, self.body)


Message = Request | Response


def render(start_line: str, pairs: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """Return a message as bytes. Any Content-Length among the pairs is replaced by the true one."""
    lines = [start_line]
    lines += [f"{name}: {value}" for name, value in pairs if name.lower() not in ("content-length", "l")]
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def read_head(headers: Headers) -> Head:
    """Read the mandatory header fields (RFC 3261 section 8.1.1); raises SipParseError."""
    for name in _ONLY_ONCE:
        if len(headers.all(name)) > 1:
            raise SipParseError(f"more than one {name} header")
    via, from_, to, call_id, cseq = (headers.get(name) for name in ("via", "from", "to", "call-id", "cseq"))
    if via is None or from_ is None or to is None or cseq is None or not call_id:
        missing = [name for name in ("via", "from", "to", "call-id", "cseq") if not headers.get(name)]
        raise SipParseError(f"mandatory headers are missing: {', '.join(missing)}")
    number, method = parse_cseq(cseq)
    vias = split_commas(via)
    if not vias:
        raise SipParseError("the topmost Via is empty")
    return Head(
        via=parse_via(vias[0]),
        from_=parse_address(from_),
        to=parse_address(to),
        call_id=call_id,
        cseq=number,
        method=method,
    )


def contact_of(message: Message) -> Address | None:
    """Return the first Contact, None when there is none; raises SipParseError when it is malformed or ``*``."""
    contacts = message.headers.listed("contact")
    return parse_address(contacts[0]) if contacts else None


def route_set_of(message: Message) -> tuple[str, ...]:
    """Return the Record-Route values in the order they stand in the message; raises SipParseError."""
    routes = message.headers.listed("record-route")
    return tuple(f"<{parse_address(route).uri}>" for route in routes)
