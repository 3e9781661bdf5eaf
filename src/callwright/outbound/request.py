"""The parameters of a service_start → what to start, or every problem by name (docs/reference/queue.md, requests).

A list is all or nothing: one bad object refuses the whole request, and all problems are reported together.
Only syntax is judged here; whether a destination can be reached or a caller id is owned is policy, decided when the
start leaves the queue.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from callwright.accounts.account import AccountType
from callwright.outbound.wishes import NO_WISHES, Wishes, parse_wishes
from callwright.values.destination import DestinationKind, parse_destination, parse_number
from callwright.values.errors import RequestError

MAX_STARTS = 10_000
MAX_TOKEN_CHARS = 5_000
MAX_PARAMETERS_CHARS = 65_536  # our choice: no limit is documented
MAX_FROM_CHARS = 255
MAX_HEADERS = 20
MAX_HEADER_NAME_CHARS = 100
MAX_HEADER_VALUE_CHARS = 2_000
MAX_UNIQUE_ID_CHARS = 255
MAX_JSON_PARTS = 2_000_000  # our choice: 200 for each of the most calls of one request
TOO_MANY_PARTS = f"has more than {MAX_JSON_PARTS:,} objects, arrays and members"

_NUMBER_LIKE = re.compile(r"\+?[\d-]+")
_SIP_CALLER = re.compile(
    r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+"  # RFC 3261 section 25.1, user
    r"(?:@(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)?"
)
_HEADER_NAME = re.compile(r"(?:[Xx]-[A-Za-z0-9\-.!%*_+`'~]+|user-to-user|call-info)", re.IGNORECASE | re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_UAS_TEXT = re.compile(r"[^\x20-\x7e]|[\^|]")


class ProblemKind(StrEnum):
    """What sort of mistake it is; ``web`` maps it to an error code (docs/reference/queue.md, problems)."""

    MISSING = "missing"
    INVALID = "invalid"
    ZERO = "zero"
    FORBIDDEN = "forbidden"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a request; ``field`` is a path such as ``rest_calls[3].to``."""

    kind: ProblemKind
    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


class RequestProblems(RequestError):
    """A service_start that cannot be accepted; ``problems`` holds every mistake found, at least one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems[:3])), field=problems[0].field)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """One start asked for. ``given_to`` is None for a UAS service, whose application dials by itself."""

    given_to: str | None = None
    given_from: str = ""
    token: str | None = None
    outbound_parameters: str | None = None
    extra_sip_headers: tuple[tuple[str, str], ...] = ()
    wishes: Wishes = NO_WISHES


def parse_rest_calls(source: object, *, account_type: AccountType, parameter: str = "rest_calls") -> list[StartRequest]:
    """Parse ``rest_calls``: JSON text (str or bytes), or its value already parsed; one object or a list of them.

    ``parameter`` is the name the client used (``outbound_parameters`` is its alias). Unknown properties are ignored.
    Raise ``RequestProblems``.
    """
    if source is None or source in ("", b""):
        raise _one(ProblemKind.MISSING, parameter, "this mandatory parameter is missing")
    value = _decoded(source, parameter) if isinstance(source, str | bytes | bytearray) else source
    if isinstance(value, dict):
        objects, paths = [value], [parameter]
    elif isinstance(value, list):
        _check_length(len(value), parameter, account_type)
        objects, paths = value, [f"{parameter}[{n}]" for n in range(len(value))]
    else:
        raise _one(ProblemKind.INVALID, parameter, "must be a JSON object or a list of JSON objects")
    problems: list[Problem] = []
    starts = [_start(item, path, problems) for item, path in zip(objects, paths, strict=True)]
    if problems:
        raise RequestProblems(problems)
    return [start for start in starts if start is not None]


def parse_uas_starts(
    *, count: str | None, delimiter: str | None, outbound_parameters: str | None, account_type: AccountType
) -> list[StartRequest]:
    """Parse the parameters of a UAS service: ``count`` equal starts, or one per piece when a ``delimiter`` is given
    (``count`` is then ignored). Raise ``RequestProblems``.
    """
    problems: list[Problem] = []
    several = account_type.may_start_many
    pieces: list[str | None] = [outbound_parameters]
    if delimiter:
        if not several:
            problems.append(_forbidden("delimiter"))
        elif len(delimiter) != 1 or not delimiter.isascii() or delimiter == "\0":
            problems.append(_invalid("delimiter", "must be one seven-bit ASCII character"))
        else:
            text = outbound_parameters or ""
            if (number := text.count(delimiter) + 1) > MAX_STARTS:
                raise _too_many("outbound_parameters", number)
            pieces = list(text.split(delimiter))
    elif count is not None:
        pieces *= _count(count, several, problems)
    if len(pieces) > MAX_STARTS:
        raise _too_many("outbound_parameters" if delimiter else "count", len(pieces))
    for n, piece in enumerate(pieces if delimiter else pieces[:1]):
        if piece is not None and (bad := _NOT_UAS_TEXT.search(piece)):
            path = f"outbound_parameters[{n}]" if delimiter else "outbound_parameters"
            problems.append(_invalid(path, f"the character {bad.group()!r} is not allowed"))
        elif piece is not None and len(piece) > MAX_PARAMETERS_CHARS:
            problems.append(_invalid("outbound_parameters", f"is longer than {MAX_PARAMETERS_CHARS} characters"))
    if problems:
        raise RequestProblems(problems)
    return [StartRequest(outbound_parameters=piece) for piece in pieces]


def parse_unique_id(text: str | None) -> str | None:
    """Return the ``unique_id`` of a request, None when absent or empty; raise ``RequestProblems``."""
    if not text:
        return None
    if len(text) > MAX_UNIQUE_ID_CHARS or not text.isprintable():
        raise _one(ProblemKind.INVALID, "unique_id", f"must be 1 to {MAX_UNIQUE_ID_CHARS} printable characters")
    return text


def digest(service_name: str, starts: Sequence[StartRequest]) -> bytes:
    """Return the SHA-256 of what a request asks for: equal digests mean "the same request" of one ``unique_id``.

    It is taken from the parsed request, so white space and the order of properties do not matter.
    """
    facts: list[object] = [
        (start.given_to, start.given_from, start.token, start.outbound_parameters, start.extra_sip_headers)
        + (() if start.wishes == NO_WISHES else (start.wishes,))  # without wishes as before there were any
        for start in starts
    ]
    return hashlib.sha256(msgspec.json.encode((service_name, facts))).digest()


def has_too_many_parts(text: str | bytes | bytearray) -> bool:
    """Whether a JSON text has so many values that taking it apart would hold up every call: some 0.2 s and 300 MB."""
    few, more = MAX_JSON_PARTS, 4 * MAX_JSON_PARTS
    if len(text) <= few:
        return False
    if isinstance(text, str):
        return text.count("{") + text.count("[") > few or text.count(":") > few or text.count(",") > more
    return text.count(b"{") + text.count(b"[") > few or text.count(b":") > few or text.count(b",") > more


def _decoded(source: str | bytes | bytearray, parameter: str) -> object:
    if has_too_many_parts(source):
        raise _one(ProblemKind.INVALID, parameter, TOO_MANY_PARTS)
    try:
        return msgspec.json.decode(source)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _one(ProblemKind.INVALID, parameter, f"is not JSON: {error}") from error
    except RecursionError as error:
        raise _one(ProblemKind.INVALID, parameter, "is not usable JSON: nested too deeply") from error


def _check_length(length: int, parameter: str, account_type: AccountType) -> None:
    if length == 0:
        raise _one(ProblemKind.ZERO, parameter, "the list of calls is empty: at least one is needed")
    if length > MAX_STARTS:
        raise _too_many(parameter, length)
    if length > 1 and not account_type.may_start_many:
        raise RequestProblems([_forbidden(parameter)])


def _start(item: object, path: str, problems: list[Problem]) -> StartRequest | None:
    """Return one start, or None after adding its problems."""
    if not isinstance(item, dict):
        problems.append(_invalid(path, "must be a JSON object"))
        return None
    before = len(problems)
    kind = _to(item.get("to"), path, problems)
    given_from = _from(item.get("from"), kind, path, problems)
    token = _text(item.get("token"), f"{path}.token", MAX_TOKEN_CHARS, problems)
    parameters = _text(item.get("outbound_parameters"), f"{path}.outbound_parameters", MAX_PARAMETERS_CHARS, problems)
    headers = _headers(item.get("extra_sip_headers"), f"{path}.extra_sip_headers", problems)
    wishes = parse_wishes(item, lambda member, text: problems.append(_invalid(f"{path}.{member}", text)))
    if len(problems) > before:
        return None
    return StartRequest(
        given_to=item["to"],
        given_from=given_from,
        token=token,
        outbound_parameters=parameters,
        extra_sip_headers=headers,
        wishes=wishes,
    )


def _to(value: object, path: str, problems: list[Problem]) -> DestinationKind | None:
    if value is None:
        problems.append(_invalid(f"{path}.to", "is missing: every call needs a destination"))
    elif not isinstance(value, str):
        problems.append(_invalid(f"{path}.to", "must be a string"))
    else:
        try:
            return parse_destination(value).kind
        except RequestError as error:
            problems.append(_invalid(f"{path}.to", str(error)))
    return None


def _from(value: object, kind: DestinationKind | None, path: str, problems: list[Problem]) -> str:
    if value is None or value == "":
        if kind is DestinationKind.TEL:
            problems.append(_invalid(f"{path}.from", "is missing: a call to a telephone number needs a caller id"))
        return ""
    field = f"{path}.from"
    if not isinstance(value, str):
        problems.append(_invalid(field, "must be a string"))
    elif len(value) > MAX_FROM_CHARS:
        problems.append(_invalid(field, f"is longer than {MAX_FROM_CHARS} characters"))
    elif kind is DestinationKind.TEL and _NUMBER_LIKE.fullmatch(value):
        try:
            parse_number(value)
        except RequestError as error:
            problems.append(_invalid(field, str(error)))
        return value
    elif not _SIP_CALLER.fullmatch(value):
        problems.append(_invalid(field, "is neither a telephone number nor a SIP user name"))
    else:
        return value
    return ""


def _text(value: object, field: str, limit: int, problems: list[Problem]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        problems.append(_invalid(field, "must be a string"))
    elif len(value) > limit:
        problems.append(_invalid(field, f"is longer than {limit} characters ({len(value)})"))
    elif "\0" in value:
        problems.append(_invalid(field, "contains a NUL character"))
    else:
        return value
    return None


def _headers(value: object, path: str, problems: list[Problem]) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        problems.append(_invalid(path, 'must be a list of {"name": …, "value": …} objects'))
        return ()
    if len(value) > MAX_HEADERS:
        problems.append(_invalid(path, f"has {len(value)} headers: at most {MAX_HEADERS} are allowed"))
        return ()
    headers: list[tuple[str, str]] = []
    seen: set[str] = set()
    for n, item in enumerate(value):
        name, text = (item.get("name"), item.get("value")) if isinstance(item, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(text, str):
            problems.append(_invalid(f"{path}[{n}]", 'must be an object with the strings "name" and "value"'))
        elif fault := _header_fault(name, text, seen):
            problems.append(_invalid(f"{path}[{n}]", fault))
        else:
            headers.append((name, text))
            seen.add(name.lower())
    return tuple(headers)


def _header_fault(name: str, text: str, seen: set[str]) -> str | None:
    if len(name) > MAX_HEADER_NAME_CHARS or not _HEADER_NAME.fullmatch(name):
        return f"the header {name[:40]!r} may not be sent: only X-…, User-to-User and Call-Info may"
    if name.lower() in seen:
        return f"the header {name!r} is given twice"
    if len(text) > MAX_HEADER_VALUE_CHARS:
        return f"the value of {name!r} is longer than {MAX_HEADER_VALUE_CHARS} characters"
    if _CONTROL.search(text):
        return f"the value of {name!r} contains a control character"
    return None


def _count(text: str, several: bool, problems: list[Problem]) -> int:
    """Return the number of starts asked for, 1 after adding a problem."""
    if not re.fullmatch(r"\+?[0-9]{1,9}", text):
        problems.append(_invalid("count", "must be a whole number"))
        return 1
    if (number := int(text)) == 0:
        problems.append(Problem(kind=ProblemKind.ZERO, field="count", text="is 0: at least 1 is needed"))
        return 1
    if number > 1 and not several:
        problems.append(_forbidden("count"))
        return 1
    if number > MAX_STARTS:
        raise _too_many("count", number)
    return number


def _one(kind: ProblemKind, field: str, text: str) -> RequestProblems:
    return RequestProblems([Problem(kind=kind, field=field, text=text)])


def _invalid(field: str, text: str) -> Problem:
    return Problem(kind=ProblemKind.INVALID, field=field, text=text)


def _forbidden(field: str) -> Problem:
    return Problem(kind=ProblemKind.FORBIDDEN, field=field, text="several starts need a Production or Premium account")


def _too_many(field: str, number: int) -> RequestProblems:
    return _one(ProblemKind.TOO_MANY, field, f"{number} starts: at most {MAX_STARTS} are allowed in one request")
