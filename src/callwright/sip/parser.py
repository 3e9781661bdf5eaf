"""Bytes to messages: one datagram holds one message (RFC 3261 sections 7 and 18.3).

Decisions where the RFCs leave room: line ends are CR LF only, and the start line has single spaces and nothing behind
it (a loose request line invites two readings of one message); spaces around an address inside angle brackets, an
unreadable Date or Contact are no reason to refuse. Bytes behind Content-Length are ignored.
"""

from __future__ import annotations

import re

from callwright.sip.errors import SipParseError
from callwright.sip.headers import USUAL, Headers, is_token, plain_name
from callwright.sip.message import Message, Request, Response
from callwright.sip.uri import SipUri, parse_uri

MAX_MESSAGE = 65_535
MAX_HEADERS = 250

_FOLD = re.compile(r"\r\n[ \t]+")
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]*))?", re.IGNORECASE)
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)


class BadRequest(SipParseError):
    """A request that breaks the grammar; ``headers`` are what could be read, enough to answer when it has a Via."""

    def __init__(self, message: str, *, code: int, method: str, headers: Headers) -> None:
        super().__init__(message, code=code)
        self.method = method
        self.headers = headers


def parse_message(data: bytes) -> Message:
    """Read one datagram. Raises BadRequest for a request that deserves an answer, SipParseError for anything else."""
    if len(data) > MAX_MESSAGE:
        raise SipParseError(f"a message of {len(data)} bytes is longer than a datagram can be")
    head, blank, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        raise SipParseError("the header section never ends")
    text = head.decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    start = lines.pop(0)
    if len(lines) > MAX_HEADERS:
        raise SipParseError(f"{len(lines)} header fields are more than {MAX_HEADERS}")
    status = _STATUS.fullmatch(start)
    if status is not None:
        headers = _headers(lines)
        response = Response(code=int(status[1]), reason=status[2] or "", headers=headers, body=_cut_body(headers, body))
        _ = response.head  # a response without its mandatory facts belongs to nobody
        return response
    if start[:4].upper() == "SIP/":
        raise SipParseError(f"not a status line: {start[:80]!r}")
    return _request(start, lines, body)


def _request(start: str, lines: list[str], body: bytes) -> Request:
    method = start.split(" ", 1)[0]
    if not is_token(method):
        raise SipParseError(f"not a SIP message: {start[:80]!r}")
    headers = Headers(())
    try:
        headers = _headers(lines)
        words = start.split(" ")
        if len(words) != 3 or not _VERSION.fullmatch(words[2]):
            raise SipParseError(f"not a request line: {start[:80]!r}")
        if words[2].upper() != "SIP/2.0":
            raise SipParseError(f"version {words[2][:20]} is not SIP/2.0", code=505)
        request = Request(method=method, uri=words[1], headers=headers, body=_cut_body(headers, body))
        _check_request(request)
    except SipParseError as problem:
        raise BadRequest(str(problem), code=problem.code, method=method, headers=headers) from problem
    return request


def _check_request(request: Request) -> None:
    head = request.head
    if head.method != request.method:
        raise SipParseError(f"CSeq says {head.method[:40]}, the request line {request.method[:40]}")
    _check_request_uri(request.uri, in_dialog=bool(head.to.tag))
    hops = request.headers.get("max-forwards")
    if hops is not None and not (hops.isascii() and hops.isdigit() and len(hops) <= 8 and int(hops) <= 255):
        raise SipParseError("Max-Forwards is not a number from 0 to 255")
    parse_uri(head.from_.uri)
    parse_uri(head.to.uri)


def _check_request_uri(text: str, *, in_dialog: bool) -> None:
    try:
        uri = parse_uri(text)
    except SipParseError:
        # Tags find the dialog, so the Request-URI tells us nothing: a peer that garbles it may still hang up.
        if in_dialog:
            return
        raise
    if isinstance(uri, SipUri) and uri.headers:
        raise SipParseError("a Request-URI may not carry headers (RFC 3261 section 19.1.1)")


def _headers(lines: list[str]) -> Headers:
    pairs: list[tuple[str, str]] = []
    by_name: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        plain = USUAL.get(name)
        if plain is None:
            name = name.rstrip(" \t")
            plain = plain_name(name) if is_token(name) else ""
        if not plain or not colon:
            raise SipParseError(f"not a header field: {line[:80]!r}")
        if "\r" in value or "\n" in value:
            raise SipParseError(f"a bare line end inside header {name[:40]}")
        value = value.strip(" \t")
        pairs.append((name, value))
        if plain in by_name:
            by_name[plain].append(value)
        else:
            by_name[plain] = [value]
    return Headers(pairs, by_name)


def _cut_body(headers: Headers, body: bytes) -> bytes:
    lengths = headers.all("content-length")
    if not lengths:
        return body  # a datagram ends the body (RFC 3261 section 18.3)
    if len(lengths) > 1:
        raise SipParseError("more than one Content-Length")
    if not (lengths[0].isascii() and lengths[0].isdigit() and len(lengths[0]) <= 8):
        raise SipParseError("Content-Length is not a length")
    length = int(lengths[0])
    if length > len(body):
        raise SipParseError(f"Content-Length promises {length} bytes, the datagram holds {len(body)}")
    return body[:length]
