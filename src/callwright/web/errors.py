"""The one place where exceptions become HTTP answers (docs/reference/web-services.md, errors).

A handler raises; ``answer`` decides the status, the code and the words. JSON is the rule; HTML is for those who name
``text/html`` and no JSON type, and never on the versioned operations.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import msgspec
import structlog
from sqlalchemy.exc import DBAPIError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from callwright.db.errors import DatabaseUnavailable
from callwright.outbound.intake import UniqueIdConflict
from callwright.outbound.request import ProblemKind, RequestProblems
from callwright.values.errors import CallwrightError, OutsideError, RequestError
from callwright.values.times import datetime_text
from callwright.web.error_catalogue import CATALOGUE, link

REALM = "callwright"
JSON = "application/json; charset=utf-8"

log = structlog.get_logger()


class HttpProblem(CallwrightError):
    """A request that gets an error answer. ``number`` is the error's entry in the catalogue, ``details`` one text per
    failure when there are several.
    """

    def __init__(
        self, number: str, text: str, *, details: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.number = number
        self.text = text
        self.details = tuple(details)
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        status = CATALOGUE[self.number].status
        assert status is not None, f"error {self.number} is for records only"
        return status


def problem(number: str, what: str = "", *, details: Sequence[str] = (), **headers: str) -> HttpProblem:
    """Return the problem ``number`` with its catalogue text and, after a colon, ``what`` in particular.

    Keyword arguments are HTTP headers, with ``_`` for ``-``.
    """
    text = CATALOGUE[number].text
    return HttpProblem(
        number,
        f"{text}: {what}" if what else text,
        details=details,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def missing(parameter: str) -> HttpProblem:
    """Error 0001: a mandatory parameter is absent."""
    return problem("0001", parameter)


def invalid(parameter: str, reason: str, details: Sequence[str] = ()) -> HttpProblem:
    """Error 0002: the content of a parameter, or of "the body" or "the query", cannot be used."""
    return problem("0002", f"{parameter}: {reason}", details=details)


def repeated(parameter: str) -> HttpProblem:
    """Error 0003: a parameter of one value was given more than once."""
    return problem("0003", parameter)


def zero(parameter: str) -> HttpProblem:
    """Error 0004: a number is zero or a list is empty."""
    return problem("0004", parameter)


def unauthorized(what: str) -> HttpProblem:
    """401 with the challenge that makes clients send credentials; ``what`` must not reveal what exists."""
    return HttpProblem("401", f"Unauthorized: {what}", headers={"WWW-Authenticate": f'Basic realm="{REALM}"'})


def as_problem(error: Exception) -> HttpProblem:
    """Return the problem a client is told about, for any exception; what is not the client's fault is logged here."""
    match error:
        case HttpProblem():
            return error
        case RequestProblems():
            return _several(error)
        case UniqueIdConflict():
            return problem("409", str(error))
        case RequestError(field=parameter):
            is_named = not parameter or str(error).startswith(f"{parameter} ")
            return problem("0002", str(error)) if is_named else invalid(parameter, str(error))
        case HTTPException(status_code=405):
            allowed = (error.headers or {}).get("Allow", "").split(", ")
            return problem("405", f"use {' or '.join(sorted(allowed))}", Allow=", ".join(sorted(allowed)))
        case HTTPException(status_code=status) if str(status) in CATALOGUE:
            return problem(str(status))
        case DatabaseUnavailable() | DBAPIError() | OSError() if _says_disk_is_full(error):
            log.error("The disk is full: a request was refused", action="web.disk_full", reason=str(error))
            return problem("507", "the disk of the node is full; nothing was stored")
        case DatabaseUnavailable():
            log.error("The database refused a request", action="web.database_refused", reason=str(error))
            return problem("503", "the database of the node cannot be used now; nothing was stored", Retry_After="2")
        case OutsideError():
            log.warning("A request met trouble outside", action="web.outside_error", reason=str(error))
            return problem("503", str(error), Retry_After="2")
        case _:
            log.error("A request met a defect", action="web.defect", exc_info=error)
            return problem("500", "this is a defect of callwright, not of the request; the node's log has it")


_NUMBERS = {
    ProblemKind.MISSING: "0001",
    ProblemKind.INVALID: "0002",
    ProblemKind.ZERO: "0004",
    ProblemKind.FORBIDDEN: "403",
    ProblemKind.TOO_MANY: "413",
}


def _several(error: RequestProblems) -> HttpProblem:
    """Return the problem of a service_start with one mistake or several; the first decides the number."""
    first = error.problems[0]
    number = _NUMBERS[first.kind]
    if len(error.problems) > 1:
        return problem(
            number,
            f"{len(error.problems)} problems, see details for each",
            details=[str(each) for each in error.problems],
        )
    match first.kind:
        case ProblemKind.MISSING:
            return missing(first.field)
        case ProblemKind.FORBIDDEN:
            return problem(number, first.text)
        case _:
            return problem(number, str(first))


def answer(error: Exception, scope: Scope, *, link_base: str, received_at: float, now: float) -> Response:
    """Return the HTTP answer for an exception raised while handling ``scope``; times are epoch seconds.

    ``link_base`` is what comes before the number in links.
    """
    found = as_problem(error)
    status = found.status
    if not always_json(scope["path"]) and wants_html(Headers(scope=scope)):
        body = _html(found, status)
        media_type = "text/html; charset=utf-8"
    else:
        body = msgspec.json.encode(error_body(found, scope["path"], link_base, received_at, now))
        media_type = JSON
    return Response(body, status_code=status, headers={**found.headers, "Content-Type": media_type})


def json_answer(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer; members keep their order."""
    return Response(msgspec.json.encode(value), status_code=status, headers={"Content-Type": JSON, **(headers or {})})


def json_bytes(body: bytes) -> Response:
    """Return an answer whose JSON is written already."""
    return Response(body, headers={"Content-Type": JSON})


def wants_html(headers: Headers) -> bool:
    """Tell whether errors go out as HTML: ``text/html`` is named and no JSON type is."""
    named = {item.split(";")[0].strip().lower() for line in headers.getlist("accept") for item in line.split(",")}
    return "text/html" in named and not any(item.endswith(("/json", "+json")) for item in named)


def always_json(path: str) -> bool:
    """Tell whether errors of this path are JSON whatever is accepted: operations with a version in their path are."""
    return len(parts := path.split("/", 3)) > 2 and parts[2] == "v1"


def error_body(found: HttpProblem, path: str, link_base: str, received_at: float, now: float) -> dict[str, object]:
    """Return the documented body of an error answer; times are epoch seconds."""
    error: dict[str, object] = {"code": CATALOGUE[found.number].code, "text": found.text}
    if len(found.details) > 1:
        error["details"] = list(found.details)
    error["datetime"] = datetime_text(now)
    error["link"] = link(link_base, found.number)
    return {"error": error, "request": {"url": path, "datetime": datetime_text(received_at)}}


def _html(found: HttpProblem, status: int) -> bytes:
    head = f"{status} {CATALOGUE[str(status)].text}"
    code = CATALOGUE[found.number].code
    lines = [f"<p>{html.escape(f'{code}: {found.text}')}</p>"]
    if len(found.details) > 1:
        lines.append("<ul>" + "".join(f"<li>{html.escape(detail)}</li>" for detail in found.details) + "</ul>")
    page = f"<html><head><title>{head}</title></head><body><h1>{head}</h1>{''.join(lines)}</body></html>"
    return page.encode()


def _says_disk_is_full(error: Exception) -> bool:
    words = str(error).lower()
    return "disk is full" in words or "no space left" in words
