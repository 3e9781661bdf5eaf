"""One reader of parameters: query, form, multipart and JSON object bodies, merged (docs/reference/web-services.md).

Reading is strict about what cannot be understood (character sets, JSON, NUL) and lenient about how it comes. A
parameter of one value that comes twice, wherever, is an error.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_plus

import msgspec
import numpy as np
import numpy.typing as npt
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from callwright.outbound.request import TOO_MANY_PARTS, has_too_many_parts
from callwright.web.errors import HttpProblem, invalid, missing, problem, repeated

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_PARAMETERS = 1000
_MOST_SEPARATORS = 10 * MAX_PARAMETERS  # some clients leave empty pairs
_LONG_CHARS = 64 * 1024
_DIGITS: npt.NDArray[np.int16] = np.full(256, -1, np.int16)
for _at, _digit in enumerate(b"0123456789abcdef"):
    _DIGITS[[_digit, ord(chr(_digit).upper())]] = _at
_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "windows-1252": "cp1252",
}


JsonKind = Literal["number", "boolean", "array", "object"]
_KINDS: dict[str, JsonKind] = {"t": "boolean", "f": "boolean", "[": "array", "{": "object"}  # by how they begin
_JSON_NAME = re.compile(rb'\s*("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
_JSON_NEXT = re.compile(rb"\s*[,}]")


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request: every value of every name, in order of arrival.

    ``kinds`` has those that a JSON body gave as something else than text, with what it was.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    kinds: dict[str, JsonKind] = field(default_factory=dict)

    def one(self, name: str, *aliases: str, also: Sequence[JsonKind] = ()) -> str | None:
        """Return the value of a parameter, also under an alias; None when absent; raise error 0003 when repeated.

        A JSON body may give it as text, or as one of the kinds in ``also``, which stay JSON text; else raise 0002.
        """
        found = [value for spelling in (name, *aliases) for value in self.values.get(spelling, ())]
        if len(found) > 1:
            raise repeated(name)
        for spelling in (name, *aliases):
            if (kind := self.kinds.get(spelling)) is not None and kind not in also:
                raise invalid(spelling, f"in a JSON body it must be {' or '.join(('a string', *map(_a, also)))}")
        return found[0] if found else None

    def required(self, name: str, *aliases: str) -> str:
        """Return the value of a parameter; raise error 0001 when it is absent or empty."""
        value = self.one(name, *aliases)
        if not value:
            raise missing(name)
        return value


def _a(kind: JsonKind) -> str:
    return f"an {kind}" if kind[0] in "ao" else f"a {kind}"


def read_parameters(query: bytes, content_type: str, body: bytes) -> Parameters:
    """Merge the parameters of the query and of the body; raise ``HttpProblem`` naming what cannot be read.

    An empty body has no parameters, whatever ``content_type`` says.
    """
    parameters = Parameters()
    _read_form(parameters, query, "utf-8", "the query")
    if not body:
        return parameters
    body = body.removeprefix(codecs.BOM_UTF8)
    media_type, options = parse_options_header(content_type.encode("latin-1", "replace"))
    charset = _charset(options.get(b"charset", b"utf-8"))
    match media_type:
        case b"" | b"application/x-www-form-urlencoded":
            _read_form(parameters, body, charset, "the body")
        case b"multipart/form-data":
            _read_multipart(parameters, body, options.get(b"boundary", b""), charset)
        case b"application/json" | b"text/json":
            _read_json(parameters, body, charset)
        case _:
            shown = media_type.decode("latin-1")[:60]
            raise problem("415", f"a body of type '{shown}' is not read; send a form, multipart or a JSON object")
    return parameters


def _charset(name: bytes) -> str:
    text = name.decode("latin-1").strip().lower()
    if text not in _CHARSETS:
        raise invalid("the body", f"its character set '{text[:40]}' is not known; use utf-8")
    return _CHARSETS[text]


def _read_form(parameters: Parameters, data: bytes, charset: str, where: str) -> None:
    try:
        text = data.decode(charset)
    except UnicodeDecodeError as error:
        raise _bad_charset(where, charset, error.start) from error
    if text.count("&") > _MOST_SEPARATORS:
        raise _too_many_parameters(where)
    pairs = [pair for pair in text.split("&") if pair]
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            _add(parameters, _unquoted(name, charset), _unquoted(value, charset), where)
        except UnicodeDecodeError as error:
            shown = unquote_plus(name[:120], charset, "replace")[:40]
            raise invalid(shown, f"it is not text in {charset} after percent decoding") from error


def _unquoted(value: str, charset: str) -> str:
    if len(value) > _LONG_CHARS:
        return _long_unquoted(value, charset)
    # Lists of references have little else that is escaped, and replacing is ten times as fast as decoding. No escape
    # can come about by it: "/" is not a hexadecimal digit.
    return unquote_plus(value.replace("%2F", "/").replace("%2f", "/"), charset, "strict")


def _long_unquoted(value: str, charset: str) -> str:
    """Decode as ``unquote_plus`` does, a piece at a time: that takes 150 bytes of memory for each escape."""
    escaped = value.replace("+", " ").encode(charset)
    decoded = bytearray()
    at = 0
    while at < len(escaped):
        end = at + _LONG_CHARS
        cut = escaped.rfind(b"%", end - 2, end)  # an escape is not torn apart
        end = cut if cut >= 0 and end < len(escaped) else end
        decoded += _piece_unquoted(np.frombuffer(escaped[at:end], np.uint8))
        at = end
    return decoded.decode(charset)


def _piece_unquoted(octets: npt.NDArray[np.uint8]) -> bytes:
    marks = np.flatnonzero(octets[:-2] == ord("%"))
    high, low = _DIGITS[octets[marks + 1]], _DIGITS[octets[marks + 2]]
    good = (high | low) >= 0
    marks = marks[good]
    octets = octets.copy()
    octets[marks] = high[good] << 4 | low[good]
    kept = np.ones(len(octets), np.bool_)
    kept[marks + 1] = kept[marks + 2] = False
    return octets[kept].tobytes()


def _read_multipart(parameters: Parameters, data: bytes, boundary: bytes, charset: str) -> None:
    if not boundary:
        raise invalid("the body", "multipart/form-data without a boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.header_name,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_part_data": parts.data,
            },
        )
        parser.write(data)
        parser.finalize()
    except FormParserError as error:
        raise invalid("the body", "it is not well-formed multipart/form-data") from error
    if not parts.found or b"--" + boundary + b"--" not in data[-len(boundary) - 200 :]:
        raise invalid("the body", "its multipart/form-data ends early or does not use the boundary of Content-Type")
    for disposition, content in parts.found:
        _, options = parse_options_header(disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"name" not in options:
            raise invalid("the body", "a part of its multipart/form-data has no name")
        try:
            _add(parameters, name, content.decode(charset), "the body")
        except UnicodeDecodeError as error:
            raise invalid(name[:40], f"it is not text in {charset}") from error


class _Parts:
    """Collects the parts of a multipart body as the parser walks through it."""

    def __init__(self) -> None:
        self.found: list[tuple[bytes, bytearray]] = []
        self._disposition = b""
        self._name = b""
        self._value = b""

    def begin(self) -> None:
        if len(self.found) >= MAX_PARAMETERS:
            raise _too_many_parameters("the body")
        self.found.append((b"", bytearray()))
        self._name = self._value = b""

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self.found[-1] = (self._value, self.found[-1][1])
        self._name = self._value = b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self.found[-1][1].extend(data[start:end])


def _read_json(parameters: Parameters, data: bytes, charset: str) -> None:
    if has_too_many_parts(data):
        raise invalid("the body", TOO_MANY_PARTS)
    try:
        text = data.decode(charset).encode()
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except UnicodeDecodeError as error:
        raise _bad_charset("the body", charset, error.start) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid("the body", f"it is not a JSON object: {error}") from error
    if len(members) > MAX_PARAMETERS:
        raise _too_many_parameters("the body")
    if (twice := _name_given_twice(text, members)) is not None:
        raise repeated(twice[:40])
    for name, raw in members.items():
        written = bytes(raw)
        if written == b"null":
            continue
        try:
            value = msgspec.json.decode(written, type=str) if written.startswith(b'"') else written.decode("utf-8")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid(name[:40], f"it is not valid JSON: {error}") from error
        if not written.startswith(b'"'):
            parameters.kinds[name] = _KINDS.get(value[0], "number")
        _add(parameters, name, value, "the body")


def _name_given_twice(text: bytes, members: dict[str, msgspec.Raw]) -> str | None:
    """Return a name that a JSON object has twice; ``members`` are what the decoder kept of it: the last of each."""
    seen: set[str] = set()
    at = text.index(b"{") + 1
    while (key := _JSON_NAME.match(text, at)) is not None:
        name = msgspec.json.decode(key[1], type=str)
        kept = bytes(members[name])
        after = _JSON_NEXT.match(text, key.end() + len(kept))
        if name in seen or not text.startswith(kept, key.end()) or after is None:
            return name
        seen.add(name)
        at = after.end()
    return None


def _add(parameters: Parameters, name: str, value: str, where: str) -> None:
    if "\0" in name or "\0" in value:
        shown = name.replace("\0", "")[:40] or where
        raise invalid(shown, "it contains the character NUL")
    values = parameters.values.setdefault(name, [])
    values.append(value)
    if len(values) > MAX_PARAMETERS or len(parameters.values) > MAX_PARAMETERS:
        raise _too_many_parameters(where)


def _too_many_parameters(where: str) -> HttpProblem:
    return invalid(where, f"it has more than {MAX_PARAMETERS} parameters")


def _bad_charset(where: str, charset: str, position: int) -> HttpProblem:
    return invalid(where, f"it is not text in {charset}: byte {position} cannot be read")
