"""SIP requests and responses as values, and how they are written (RFC 3261 section 7).

A message is its start line, its header fields and its body. ``head`` is the part of the header fields every decision
needs (Via, From, To, Call-ID, CSeq), read once when first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from callwright.sip.errors import SipParseError
from callwright.sip.headers import (
    Address,
    Headers,
    Via,
    parse_address,
    parse_cseq,
    parse_via,
    plain_name,
    split_commas,
)

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

_MANDATORY = ("via", "from", "to", "call-id", "cseq")
_ONLY_ONCE = ("from", "to", "call-id", "cseq", "max-forwards", "content-type")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The facts every message must carry. ``via`` is the topmost; ``cseq`` and ``method`` are the halves of CSeq."""

    via: Via
    from_: Address
    to: Address
    call_id: str
    cseq: int
    method: str


@dataclass(slots=True, kw_only=True)
class Request:
    """A request. ``uri`` is the Request-URI as text. Not changed after it was made."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""
    _head: Head | None = field(default=None, repr=False, compare=False)

    @property
    def head(self) -> Head:
        """The mandatory facts; raises SipParseError when one is missing, double or malformed."""
        if self._head is None:
            self._head = read_head(self.headers)
        return self._head

    def render(self) -> bytes:
        """Return the bytes; Content-Length is written by this function, last."""
        return render(f"{self.method} {self.uri} SIP/2.0", self.headers.pairs, self.body)


@dataclass(slots=True, kw_only=True)
class Response:
    """A response. ``reason`` is the text behind the code. Not changed after it was made."""

    code: int
    reason: str
    headers: Headers
    body: bytes = b""
    _head: Head | None = field(default=None, repr=False, compare=False)

    @property
    def head(self) -> Head:
        """The mandatory facts; raises SipParseError when one is missing, double or malformed."""
        if self._head is None:
            self._head = read_head(self.headers)
        return self._head

    def render(self) -> bytes:
        """Return the bytes; Content-Length is written by this function, last."""
        return render(f"SIP/2.0 {self.code} {self.reason}", self.headers.pairs, self.body)


Message = Request | Response


def render(start_line: str, pairs: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """Return a message as bytes. Any Content-Length among the pairs is replaced by the true one."""
    lines = [start_line]
    # Only names as long as "l" and "Content-Length" need a closer look.
    lines += [f"{name}: {value}" for name, value in pairs if len(name) not in (1, 14) or not _is_length(name)]
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def _is_length(name: str) -> bool:
    return plain_name(name) == "content-length"


def read_head(headers: Headers) -> Head:
    """Read the mandatory header fields (RFC 3261 section 8.1.1); raises SipParseError."""
    fields = headers.by_name
    if len(fields) < len(headers.pairs):
        for name in _ONLY_ONCE:
            if len(fields.get(name, ())) > 1:
                raise SipParseError(f"more than one {name} header")
    try:
        vias = fields["via"]
        from_, to = fields["from"][0], fields["to"][0]
        call_id, cseq = fields["call-id"][0], fields["cseq"][0]
    except KeyError:
        missing = [name for name in _MANDATORY if name not in fields]
        raise SipParseError(f"mandatory headers are missing: {', '.join(missing)}") from None
    if not call_id:
        raise SipParseError("Call-ID is empty")
    number, method = parse_cseq(cseq)
    via = vias[0]
    if "," in via:
        via = next(iter(split_commas(via)), "")
    return Head(
        via=parse_via(via),
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
