"""Wrong use of the web services, over real HTTP: each has its status, its code and words that say what to do."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, func, select
from tests.support.web_caller import basic, call
from tests.support.web_node import PASSWORD, WebNode, key_login, service_login, web_node

from callwright.accounts.account import AccountType
from callwright.accounts.service import ApplicationKind
from callwright.accounts.throttle import FREE_FAILURES
from callwright.db.database import Database
from callwright.db.errors import DatabaseUnavailable
from callwright.outbound.tables import starts
from callwright.web.app import make_app
from callwright.web.edge import Limits

GOOD = '[{"to":"sip:a@b.example"}]'
SERVICE = service_login()
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One wrong request and what must come back; ``key`` means: with the account's credentials."""

    target: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    key: bool = False
    data: bytes | dict[str, str] | None = None
    status: int
    code: str
    words: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


def start(rest_calls: object, *words: str, code: str = "0002", status: int = 400) -> Wrong:
    text = rest_calls if isinstance(rest_calls, str) else json.dumps(rest_calls)
    return Wrong(
        target="/service_start",
        method="POST",
        headers=SERVICE,
        data={"rest_calls": text},
        status=status,
        code=code,
        words=words,
    )


CASES = {
    # credentials
    "no credentials": Wrong(
        target="/service_start", status=401, code="HTTP 401", words=("Unauthorized", "cloudID/username/service_name")
    ),
    "wrong password": Wrong(
        target="/service_start",
        headers=basic("0-0-0/bob@example.com/outbound_test", "wrong"),
        status=401,
        code="HTTP 401",
        words=("Unauthorized",),
    ),
    "unknown service": Wrong(
        target="/service_start",
        headers=basic("0-0-0/bob@example.com/nothing", PASSWORD),
        status=401,
        code="HTTP 401",
        words=("Unauthorized",),
    ),
    "unknown account": Wrong(
        target="/service_status?service_refs=a",
        headers=basic("0-0-0/nobody", "key"),
        status=401,
        code="HTTP 401",
        words=("Unauthorized",),
    ),
    "other cloud": Wrong(
        target="/service_start",
        headers=basic("9-9-9/bob@example.com/outbound_test", PASSWORD),
        status=403,
        code="HTTP 403",
        words=("Forbidden: cloud '9-9-9' is not served here",),
    ),
    "account credentials for service_start": Wrong(
        target="/service_start", key=True, status=401, code="HTTP 401", words=("cloudID/username/service_name",)
    ),
    "service credentials for application_status": Wrong(
        target="/application_status?application_instance_id=x",
        headers=SERVICE,
        status=401,
        code="HTTP 401",
        words=("API Access Key",),
    ),
    "service credentials for job_status": Wrong(
        target="/job_status?unique_id=x", headers=SERVICE, status=401, code="HTTP 401", words=("API Access Key",)
    ),
    "a token": Wrong(
        target="/service_status", headers={"Authorization": "Bearer x"}, status=401, code="HTTP 401", words=("Basic",)
    ),
    # rest_calls
    "rest_calls missing": Wrong(
        target="/service_start",
        headers=SERVICE,
        status=400,
        code="0001",
        words=("Missing mandatory parameter: rest_calls",),
    ),
    "rest_calls empty": start("", "Missing mandatory parameter: rest_calls", code="0001"),
    "rest_calls twice": Wrong(
        target="/service_start?rest_calls=[]",
        method="POST",
        headers=SERVICE,
        data={"rest_calls": GOOD},
        status=400,
        code="0003",
        words=("rest_calls",),
    ),
    "rest_calls and its alias": Wrong(
        target=f"/service_start?outbound_parameters={GOOD}&rest_calls={GOOD}",
        headers=SERVICE,
        status=400,
        code="0003",
        words=("rest_calls",),
    ),
    "unique_id twice": Wrong(
        target=f"/service_start?unique_id=a&unique_id=a&rest_calls={GOOD}",
        headers=SERVICE,
        status=400,
        code="0003",
        words=("unique_id",),
    ),
    "unique_id too long": Wrong(
        target=f"/service_start?unique_id={'a' * 256}&rest_calls={GOOD}",
        headers=SERVICE,
        status=400,
        code="0002",
        words=("unique_id", "255"),
    ),
    "rest_calls is not JSON": start("nonsense", "rest_calls", "not JSON"),
    "rest_calls is too deep": start("[" * 100_000, "rest_calls", "JSON"),
    "rest_calls is a number": start(7, "rest_calls", "object"),
    "rest_calls is a list of numbers": start([7], "rest_calls[0]", "object"),
    "rest_calls is an empty list": start([], "rest_calls", "at least one", code="0004"),
    "to missing": start({"from": "443069990123"}, "rest_calls.to", "missing"),
    "to is a number": start({"to": 5}, "rest_calls.to", "string"),
    "to with a leading zero": start({"to": "tel:0123456", "from": "443069990123"}, "rest_calls.to", "starts with 0"),
    "to is no address": start({"to": "sip:a b"}, "rest_calls.to", "SIP address"),
    "from missing for a number": start({"to": "443069990123"}, "rest_calls.from", "caller id"),
    "from is no number": start({"to": "443069990123", "from": "0044"}, "rest_calls.from", "starts with 0"),
    "token too long": start({"to": "sip:a@b", "token": "x" * 5001}, "rest_calls.token", "5000"),
    "token is a number": start({"to": "sip:a@b", "token": 1}, "rest_calls.token", "string"),
    "token with NUL": start('{"to": "sip:a@b", "token": "\\u0000"}', "rest_calls.token", "NUL"),
    "half a surrogate": start('{"to": "sip:a@b", "token": "\\ud800"}', "rest_calls"),
    "outbound_parameters is a list": start(
        {"to": "sip:a@b", "outbound_parameters": []}, "rest_calls.outbound_parameters", "string"
    ),
    "extra_sip_headers is an object": start(
        {"to": "sip:a@b", "extra_sip_headers": {}}, "rest_calls.extra_sip_headers", "list"
    ),
    "extra_sip_headers forges an identity": start(
        {"to": "sip:a@b", "extra_sip_headers": [{"name": "P-Asserted-Identity", "value": "x"}]},
        "rest_calls.extra_sip_headers[0]",
        "P-Asserted-Identity",
    ),
    "extra_sip_headers with a line break": start(
        {"to": "sip:a@b", "extra_sip_headers": [{"name": "X-A", "value": "1\r\nVia: x"}]},
        "rest_calls.extra_sip_headers[0]",
        "control character",
    ),
    "several mistakes in a list": replace(
        start([{"to": "sip:a@b"}, {"to": ""}, {"to": 3}], "2 problems"),
        details=("rest_calls[1].to", "rest_calls[2].to"),
    ),
    "more calls than one request takes": start([{"to": "sip:a@b"}] * 10_001, "10000", status=413, code="HTTP 413"),
    # other parameters
    "service_refs missing": Wrong(target="/service_status", key=True, status=400, code="0001", words=("service_refs",)),
    "service_refs missing for cancel": Wrong(
        target="/service_cancel", method="POST", key=True, status=400, code="0001", words=("service_refs",)
    ),
    "service_refs twice": Wrong(
        target="/service_status?service_refs=a&service_refs=b",
        key=True,
        status=400,
        code="0003",
        words=("service_refs",),
    ),
    "application_instance_id missing": Wrong(
        target="/application_status",
        key=True,
        status=400,
        code="0001",
        words=("Missing mandatory parameter: application_instance_id",),
    ),
    "application_instance_id unknown": Wrong(
        target="/application_status?application_instance_id=100d73cb12cbf845.8089",
        key=True,
        status=404,
        code="HTTP 404",
        words=("Not Found: application_instance_id '100d73cb12cbf845.8089'",),
    ),
    "job_status without unique_id": Wrong(
        target="/job_status", key=True, status=400, code="0001", words=("unique_id",)
    ),
    "unknown unique_id": Wrong(
        target="/job_status?unique_id=never",
        key=True,
        status=404,
        code="HTTP 404",
        words=("Not Found: unique_id 'never'",),
    ),
    # the request itself
    "not UTF-8": Wrong(
        target="/service_start",
        method="POST",
        headers={**SERVICE, **FORM},
        data=b"rest_calls=%ff%fe",
        status=400,
        code="0002",
        words=("rest_calls", "utf-8"),
    ),
    "NUL in a parameter": Wrong(
        target="/service_status?service_refs=a%00b", key=True, status=400, code="0002", words=("service_refs", "NUL")
    ),
    "unknown character set": Wrong(
        target="/service_start",
        method="POST",
        headers={**SERVICE, "Content-Type": "application/json; charset=utf-16"},
        data=b"{}",
        status=400,
        code="0002",
        words=("character set 'utf-16'",),
    ),
    "broken JSON body": Wrong(
        target="/service_start",
        method="POST",
        headers={**SERVICE, "Content-Type": "application/json"},
        data=b'{"rest_calls":',
        status=400,
        code="0002",
        words=("the body", "JSON"),
    ),
    "a body of another type": Wrong(
        target="/service_start",
        method="POST",
        headers={**SERVICE, "Content-Type": "application/xml"},
        data=b"<x/>",
        status=415,
        code="HTTP 415",
        words=("application/xml",),
    ),
    "a compressed body": Wrong(
        target="/service_start",
        method="POST",
        headers={**SERVICE, **FORM, "Content-Encoding": "br"},
        data=b"xx",
        status=415,
        code="HTTP 415",
        words=("'br'",),
    ),
    "wrong method": Wrong(
        target="/service_start", method="DELETE", status=405, code="HTTP 405", words=("GET or POST",)
    ),
    "unknown path": Wrong(target="/start_service", status=404, code="HTTP 404", words=("Not Found",)),
    "the root": Wrong(target="/", status=404, code="HTTP 404", words=("Not Found",)),
    "unused error number": Wrong(target="/errors/9999", status=404, code="HTTP 404", words=("not used",)),
}


def test_every_wrong_request_has_its_answer_and_starts_nothing(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with web_node(tmp_path) as node:
            account, key = node.add_account()
            node.add_service(account)
            found = []
            for name, case in CASES.items():
                headers = {**case.headers, **(key_login(key) if case.key else {})}
                status, body, sent = await node.ask(case.method, case.target, headers=headers, data=case.data)
                found += [f"{name}: {fault}" for fault in _faults(case, status, body, sent)]
            assert _starts(node) == 0
            assert node.wakes == []
            return found

    assert asyncio.run(run()) == []


def _faults(case: Wrong, status: int, body: Any, headers: Mapping[str, str]) -> list[str]:
    """Return what is not as it must be in an error answer."""
    if not isinstance(body, dict):
        return [f"not JSON: {body!r}"]
    faults = [] if status == case.status else [f"status {status}, not {case.status}: {body}"]
    error, request = body["error"], body["request"]
    if list(error) != [name for name in ("code", "text", "details", "datetime", "link") if name in error]:
        faults.append(f"members {list(error)}")
    if error["code"] != case.code:
        faults.append(f"code {error['code']}, not {case.code}")
    faults += [f"{word!r} is not in {error['text']!r}" for word in case.words if word not in error["text"]]
    details = error.get("details", [])
    if len(details) != len(case.details) or not all(map(str.startswith, details, case.details)):
        faults.append(f"details {details}")
    if error["link"] != "https://help.example/errors/" + error["code"].removeprefix("HTTP "):
        faults.append(f"link {error['link']}")
    if error["datetime"] != "2013-04-22_14:33:12" or request["datetime"] != "2013-04-22_14:33:12":
        faults.append("datetime")
    if request != {"url": case.target.partition("?")[0], "datetime": request["datetime"]}:
        faults.append(f"request {request}")
    if status == 401 and headers.get("WWW-Authenticate") != 'Basic realm="callwright"':
        faults.append(f"challenge {headers.get('WWW-Authenticate')}")
    if status == 405 and headers.get("Allow") != "GET, POST":
        faults.append(f"Allow {headers.get('Allow')}")
    return faults


def _starts(node: WebNode) -> int:
    def count(c: Connection) -> int:
        return c.scalar(select(func.count()).select_from(starts)) or 0

    return node.db.read_now(count)


def test_a_developer_account_may_start_one_call_at_a_time(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account(type=AccountType.DEVELOPER)
            node.add_service(account)
            node.add_service(account, "uas", kind=ApplicationKind.UAS)
            two = {"rest_calls": '[{"to":"sip:a@b"},{"to":"sip:c@d"}]'}
            status, body, _ = await node.ask("POST", "/service_start", headers=SERVICE, data=two)
            assert (status, body["error"]["code"]) == (403, "HTTP 403")
            assert "Production or Premium account" in body["error"]["text"]
            for query in ("count=2", "outbound_parameters=a,b&delimiter=,"):
                status, body, _ = await node.ask("GET", f"/service_start?{query}", headers=service_login("uas"))
                assert (status, body["error"]["code"]) == (403, "HTTP 403")
            assert _starts(node) == 0
            status, body, _ = await node.ask("POST", "/service_start", headers=SERVICE, data={"rest_calls": GOOD})
            assert (status, len(body)) == (200, 1)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("query", "status", "code", "words"),
    [
        ("count=0", 400, "0004", "count"),
        ("count=two", 400, "0002", "count"),
        ("count=1&count=1", 400, "0003", "count"),
        ("outbound_parameters=a^b", 400, "0002", "outbound_parameters"),
        ("outbound_parameters=a%7Cb", 400, "0002", "outbound_parameters"),
        ("outbound_parameters=%C3%BC", 400, "0002", "outbound_parameters"),
        ("outbound_parameters=a,b&delimiter=,,", 400, "0002", "delimiter"),
        ("count=10001", 413, "HTTP 413", "count"),
    ],
)
def test_parameters_of_a_uas_service_have_their_own_rules(
    tmp_path: Path, query: str, status: int, code: str, words: str
) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            node.add_service(account, kind=ApplicationKind.UAS)
            answer = await call(make_app(node.edge), "GET", f"/service_start?{query}", headers=SERVICE)
            assert (answer.status, answer.json["error"]["code"]) == (status, code)
            assert words in answer.json["error"]["text"]
            assert _starts(node) == 0

    asyncio.run(run())


def test_a_unique_id_with_other_calls_is_a_conflict(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            account, _ = node.add_account()
            node.add_service(account)
            first = {"rest_calls": GOOD, "unique_id": "job 1"}
            assert (await node.ask("POST", "/service_start", headers=SERVICE, data=first))[0] == 200
            other = {"rest_calls": '{"to":"sip:other@b"}', "unique_id": "job 1"}
            status, body, _ = await node.ask("POST", "/service_start", headers=SERVICE, data=other)
            assert (status, body["error"]["code"]) == (409, "HTTP 409")
            assert body["error"]["text"] == "Conflict: unique_id 'job 1' was used with different parameters"
            assert _starts(node) == 1

    asyncio.run(run())


def test_guessing_passwords_is_answered_429_with_the_time_to_wait(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            _, key = node.add_account()
            target = "/service_status?service_refs=a"
            for _ in range(FREE_FAILURES):
                assert (await node.ask("GET", target, headers=key_login("wrong")))[0] == 401
            status, body, headers = await node.ask("GET", target, headers=key_login("wrong"))
            assert status == 429
            assert body["error"]["code"] == "HTTP 429"
            assert 1 <= int(headers["Retry-After"]) <= 60
            # The right key has to wait too: an answer now would tell the guesser.
            assert (await node.ask("GET", target, headers=key_login(key)))[0] == 429

    asyncio.run(run())


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("text/json", False),
        ("text/html, application/json;q=0.1", False),
        ("text/html", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
    ],
)
def test_errors_are_html_only_for_who_names_it_and_no_json(tmp_path: Path, accept: str | None, html: bool) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            node.add_service(account)
            headers = {**SERVICE, **({"Accept": accept} if accept else {})}
            target = "/service_start?rest_calls=[{%22to%22:%22%3Cb%3E%22},{}]"
            answer = await call(make_app(node.edge), "GET", target, headers=headers)
            assert answer.status == 400
            if not html:
                assert answer.json["error"]["code"] == "0002"
                return
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            page = answer.body.decode()
            assert page.startswith("<html><head><title>400 Bad Request</title></head><body><h1>400 Bad Request</h1>")
            assert "<p>0002: Invalid parameter: " in page
            assert "&lt;b&gt;" in page
            assert "<b>" not in page

    asyncio.run(run())


def _upload(node: WebNode, size: int, *, chunked: bool) -> tuple[int, Any]:
    """Send a body of ``size`` bytes in pieces, as a client that does not know the limit; return the answer."""
    port = int(node.base.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    piece = b"a" * 65536
    pieces = (piece[: min(65536, size - sent)] for sent in range(0, size, 65536))
    headers = {**SERVICE, **FORM} if chunked else {**SERVICE, **FORM, "Content-Length": str(size)}
    try:
        connection.request("POST", "/service_start", pieces, headers, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413_and_one_at_the_limit_is_read(tmp_path: Path, chunked: bool) -> None:
    async def run() -> None:
        async with web_node(tmp_path, limits=Limits(max_body_bytes=300_000)) as node:
            account, _ = node.add_account()
            node.add_service(account)
            status, body = await asyncio.to_thread(_upload, node, 300_001, chunked=chunked)
            assert (status, body["error"]["code"]) == (413, "HTTP 413")
            assert "at most 300000 bytes" in body["error"]["text"]
            status, body = await asyncio.to_thread(_upload, node, 300_000, chunked=chunked)
            assert (status, body["error"]["code"]) == (400, "0001")

    asyncio.run(run())


def test_the_limit_of_a_body_is_64_mebibytes() -> None:
    assert Limits().max_body_bytes == 64 * 1024 * 1024


class Refusing:
    """A database whose writes are refused, for a reason as the real one gives it; reading still works."""

    def __init__(self, db: Database, reason: str) -> None:
        self.read = db.read
        self._reason = reason

    async def write(self, _fn: Callable[[Connection], Any]) -> Any:
        raise DatabaseUnavailable(f"the database is unavailable: {self._reason}")


def test_a_database_that_refuses_is_503_and_a_full_disk_507(tmp_path: Path) -> None:
    async def ask(node: WebNode, reason: str) -> tuple[int, str, str]:
        edge = replace(node.edge, db=cast(Database, Refusing(node.db, reason)))
        answer = await call(make_app(edge), "GET", f"/service_start?rest_calls={GOOD}", headers=SERVICE)
        return answer.status, answer.json["error"]["code"], answer.headers.get("retry-after", "")

    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            node.add_service(account)
            assert await ask(node, "it is locked by another program") == (503, "HTTP 503", "2")
            assert await ask(node, "the disk is full") == (507, "HTTP 507", "")
            assert node.wakes == []

    asyncio.run(run())


def test_a_defect_is_500_without_its_inner_words(tmp_path: Path) -> None:
    def broken() -> Any:
        raise RuntimeError("a secret of the house")

    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            answer = await call(make_app(replace(node.edge, facts=broken)), "GET", "/health")
            assert (answer.status, answer.json["error"]["code"]) == (500, "HTTP 500")
            assert b"secret of the house" not in answer.body

    asyncio.run(run())


def test_nobody_sees_or_cancels_what_is_not_theirs(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            bob, bob_key = node.add_account()
            node.add_service(bob)
            node.add_service(bob, "second")
            eve, eve_key = node.add_account("eve@example.com")
            node.add_service(eve)
            data = {"rest_calls": GOOD, "unique_id": "mine"}
            _, (reference,), _ = await node.ask("POST", "/service_start", headers=SERVICE, data=data)
            strangers = (
                key_login(eve_key, "eve@example.com"),
                service_login(username="eve@example.com"),
                service_login("second"),
            )
            query = f"?service_refs={reference}"
            for headers in strangers:
                _, status, _ = await node.ask("GET", f"/service_status{query}", headers=headers)
                assert status[reference]["status"] == "unknown"
                _, answer, _ = await node.ask("GET", f"/service_cancel{query}", headers=headers)
                assert answer == {reference: "unknown"}
            eves = key_login(eve_key, "eve@example.com")
            assert (await node.ask("GET", "/job_status?unique_id=mine", headers=eves))[0] == 404
            for headers in (key_login(bob_key), SERVICE):
                _, status, _ = await node.ask("GET", f"/service_status{query}", headers=headers)
                assert status[reference]["status"] == "queued"
            _, answer, _ = await node.ask("GET", f"/service_cancel{query}", headers=SERVICE)
            assert answer == {reference: "success"}

    asyncio.run(run())
