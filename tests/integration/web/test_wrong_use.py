"""Wrong use of the web services, over real HTTP: each has its status, its code and words that say what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from tests.support.web_caller import basic, call
from tests.support.web_node import PASSWORD, WebNode, key_login, service_login, web_node

from callwright.accounts.account import AccountType
from callwright.accounts.service import ApplicationKind
from callwright.outbound.tables import starts
from callwright.web.app import make_app

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
