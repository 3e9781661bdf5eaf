"""One reader of parameters: query, form, multipart and JSON object bodies, merged (docs/reference/web-services.md).

Reading is strict about what cannot be understood (character sets, JSON, NUL) and lenient about how it comes. A
parameter of one value that comes twice, wherever, is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote_plus

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from callwright.web.errors import HttpProblem, invalid, missing, problem, repeated

MAX_BODY_BYTES = 64 * 1024 * 1024  # ruling 14
MAX_PARAMETERS = 1000
_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "windows-1252": "cp1252",
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request: every value of every name, in order of arrival."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def one(self, name: str, *aliases: str) -> str | None:
        """Return the value of a parameter, also under an alias; None when absent; raise error 0003 when repeated."""
        found = [value for spelling in (name, *aliases) for value in self.values.get(spelling, ())]
        if len(found) > 1:
            raise repeated(name)
        return found[0] if found else None

    def required(self, name: str, *aliases: str) -> str:
        """Return the value of a parameter; raise error 0001 when it is absent or empty."""
        value = self.one(name, *aliases)
        if not value:
            raise missing(name)
        return value


def read_parameters(query: bytes, content_type: str, body: bytes) -> Parameters:
    """Merge the parameters of the query and of the body; raise ``HttpProblem`` naming what cannot be read.

    An empty body has no parameters, whatever ``content_type`` says.
    """
    parameters = Parameters()
    _read_form(parameters, query, "utf-8", "the query")
    if not body:
        return parameters
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
    pairs = [pair for pair in text.split("&") if pair]
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            _add(parameters, unquote_plus(name, charset, "strict"), unquote_plus(value, charset, "strict"), where)
        except UnicodeDecodeError as error:
            shown = unquote_plus(name, charset, "replace")[:40]
            raise invalid(shown, f"it is not text in {charset} after percent decoding") from error


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
        if not name:
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
    try:
        text = data.decode(charset)
    except UnicodeDecodeError as error:
        raise _bad_charset("the body", charset, error.start) from error
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid("the body", f"it is not a JSON object: {error}") from error
    for name, raw in members.items():
        written = bytes(raw)
        if written == b"null":
            continue
        try:
            # A list or an object stays JSON text: rest_calls may be given either way.
            value = msgspec.json.decode(written, type=str) if written.startswith(b'"') else written.decode("utf-8")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid(name[:40], f"it is not valid JSON: {error}") from error
        _add(parameters, name, value, "the body")


def _add(parameters: Parameters, name: str, value: str, where: str) -> None:
    if "\0" in name or "\0" in value:
        shown = name.replace("\0", "")[:40] or where
        raise invalid(shown, "it contains the character NUL")
    values = parameters.values.setdefault(name, [])
    values.append(value)
    if len(values) > MAX_PARAMETERS or len(parameters.values) > MAX_PARAMETERS:
        raise invalid(where, f"it has more than {MAX_PARAMETERS} parameters")


def _bad_charset(where: str, charset: str, position: int) -> HttpProblem:
    return invalid(where, f"it is not text in {charset}: byte {position} cannot be read")
