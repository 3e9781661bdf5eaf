from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from callwright.db.errors import DatabaseUnavailable
from callwright.outbound.intake import UniqueIdConflict
from callwright.outbound.request import Problem, ProblemKind, RequestProblems
from callwright.values.errors import InternalError, OutsideError, RequestError
from callwright.web.errors import answer, as_problem, invalid, json_answer, missing, problem, wants_html, zero


def _problems(*kinds: ProblemKind) -> RequestProblems:
    return RequestProblems([Problem(kind=kind, field=f"f{n}", text=f"fault {n}") for n, kind in enumerate(kinds)])


@pytest.mark.parametrize(
    ("error", "number", "text"),
    [
        (missing("x"), "0001", "Missing mandatory parameter: x"),
        (zero("count"), "0004", "At least one is needed: count"),
        (RequestError("it is odd", field="max_cps"), "0002", "Invalid parameter: max_cps: it is odd"),
        (RequestError("there is no account"), "0002", "Invalid parameter: there is no account"),
        (UniqueIdConflict("j"), "409", "Conflict: unique_id 'j' was used with different parameters"),
        (_problems(ProblemKind.MISSING), "0001", "Missing mandatory parameter: f0"),
        (_problems(ProblemKind.INVALID), "0002", "Invalid parameter: f0: fault 0"),
        (_problems(ProblemKind.ZERO), "0004", "At least one is needed: f0: fault 0"),
        (_problems(ProblemKind.FORBIDDEN), "403", "Forbidden: fault 0"),
        (_problems(ProblemKind.TOO_MANY), "413", "Content Too Large: f0: fault 0"),
        (
            _problems(ProblemKind.INVALID, ProblemKind.INVALID),
            "0002",
            "Invalid parameter: 2 problems, see details for each",
        ),
        (HTTPException(404), "404", "Not Found"),
        (HTTPException(405, headers={"Allow": "POST, GET"}), "405", "Method Not Allowed: use GET or POST"),
        (
            DatabaseUnavailable("the database is unavailable: it is locked"),
            "503",
            "Service Unavailable: the database of the node cannot be used now; nothing was stored",
        ),
        (
            OSError(28, "No space left on device"),
            "507",
            "Insufficient Storage: the disk of the node is full; nothing was stored",
        ),
        (OutsideError("no trunk"), "503", "Service Unavailable: no trunk"),
    ],
)
def test_each_exception_has_its_number_and_words(error: Exception, number: str, text: str) -> None:
    found = as_problem(error)
    assert (found.number, found.text) == (number, text)


@pytest.mark.parametrize("error", [InternalError("x"), KeyError("x"), HTTPException(418), OSError("x")])
def test_whatever_is_not_foreseen_is_a_defect_of_ours(error: Exception) -> None:
    assert as_problem(error).number == "500"


def test_every_kind_of_problem_of_a_start_has_a_number() -> None:
    assert {as_problem(_problems(kind)).number for kind in ProblemKind} == {"0001", "0002", "0004", "403", "413"}


def _body(error: Exception, **scope: Any) -> dict[str, Any]:
    full = {"type": "http", "path": "/service_start", "headers": [], **scope}
    response = answer(error, full, link_base="https://x/errors/", received_at=1366641192.9, now=1366641193.0)
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    body: dict[str, Any] = json.loads(bytes(response.body))
    return body


def test_an_error_body_has_the_documented_members_in_order() -> None:
    body = _body(invalid("rest_calls", "it is odd"))
    assert body == {
        "error": {
            "code": "0002",
            "text": "Invalid parameter: rest_calls: it is odd",
            "datetime": "2013-04-22_14:33:13",
            "link": "https://x/errors/0002",
        },
        "request": {"url": "/service_start", "datetime": "2013-04-22_14:33:12"},
    }
    assert list(body["error"]) == ["code", "text", "datetime", "link"]


def test_details_are_there_only_for_more_than_one_failure() -> None:
    assert "details" not in _body(problem("0002", "x", details=["one"]))["error"]
    body = _body(problem("0002", "x", details=["one", "two"]))
    assert body["error"]["details"] == ["one", "two"]
    assert list(body["error"]) == ["code", "text", "details", "datetime", "link"]


def test_an_http_status_is_spelled_with_its_word_and_linked_by_its_number() -> None:
    error = _body(problem("409", "x"))["error"]
    assert (error["code"], error["link"]) == ("HTTP 409", "https://x/errors/409")


def test_details_are_in_the_html_page_too_and_nothing_in_it_is_markup_of_the_client() -> None:
    scope = {"type": "http", "path": "/", "headers": [(b"accept", b"text/html")]}
    error = problem("0002", "<i>", details=["<script>", "two"])
    page = bytes(answer(error, scope, link_base="", received_at=0, now=0).body).decode()
    assert page == (
        "<html><head><title>400 Bad Request</title></head><body><h1>400 Bad Request</h1>"
        "<p>0002: Invalid parameter: &lt;i&gt;</p><ul><li>&lt;script&gt;</li><li>two</li></ul></body></html>"
    )


@pytest.mark.parametrize(
    ("lines", "html"),
    [
        ((), False),
        (("",), False),
        (("TEXT/HTML",), True),
        (("text/html", "application/problem+json"), False),
        (("text/html;q=0.2 , image/png",), True),
        (("text/plain",), False),
    ],
)
def test_all_accept_lines_count(lines: tuple[str, ...], html: bool) -> None:
    assert wants_html(Headers(raw=[(b"accept", line.encode()) for line in lines])) is html


def test_json_answers_are_compact_utf_8_in_the_order_given() -> None:
    response = json_answer({"b": "ü", "a": 0.0, "c": [1]})
    assert bytes(response.body) == '{"b":"ü","a":0.0,"c":[1]}'.encode()
