"""The running web services do what their OpenAPI document says, whatever is sent to them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.json_schema import faults
from tests.support.node_outside import LoopThread
from tests.support.web_caller import basic
from tests.support.web_node import WebNode, key_login, service_login, web_node

from callwright.accounts.service import ApplicationKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A node with a REST and a UAS service, its document, and the logins that fit."""

    port: int
    key: str
    document: dict[str, Any]

    def ask(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("described")
    with LoopThread() as outside:
        opened = web_node(folder)
        node: WebNode = outside.run(opened.__aenter__())
        try:
            account, key = node.add_account()
            node.add_service(account)
            node.add_service(account, "uas", kind=ApplicationKind.UAS)
            port = int(node.base.rpartition(":")[2])
            _, _, body = Running(port=port, key=key, document={}).ask("GET", "/openapi.json", {}, b"")
            yield Running(port=port, key=key, document=json.loads(body))
        finally:
            outside.run(opened.__aexit__(None, None, None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request made from the document, and the responses it may get."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    responses: dict[str, Any]


_ODD = st.text(max_size=30) | st.sampled_from(
    ["", "\0", "/", "'", "\r\n", "🕿", "null", "[]", "0", "9" * 40, "a" * 5001]
)


@st.composite
def _value(draw: st.DrawFn, schema: dict[str, Any], example: str | None) -> str:
    choices = [_ODD]
    if example is not None:
        choices += [st.just(example)] * 3
    if "pattern" in schema:
        choices.append(st.from_regex(schema["pattern"], fullmatch=True))
    if "contentSchema" in schema:
        member = st.sampled_from(["to", "from", "token", "outbound_parameters", "extra_sip_headers", "other"])
        thing = st.none() | st.integers() | _ODD | st.sampled_from(["sip:a@b", "tel:443069990123", "443069999876"])
        calls = st.dictionaries(member, thing | st.lists(st.dictionaries(st.sampled_from(["name", "value"]), _ODD)))
        choices.append((calls | st.lists(calls, max_size=4)).map(json.dumps))
    value: str = draw(st.one_of(choices))
    return value


@st.composite
def _pairs(draw: st.DrawFn, described: list[tuple[str, dict[str, Any], str | None]]) -> list[tuple[str, str]]:
    pairs = []
    for name, schema, example in described:
        for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2]))):
            pairs.append((name, draw(_value(schema, example))))
    return pairs


@st.composite
def _asked(draw: st.DrawFn, running: Running) -> Asked:
    document = running.document
    path = draw(st.sampled_from(sorted(document["paths"])))
    method = draw(st.sampled_from(sorted(document["paths"][path])))
    operation = document["paths"][path][method]
    parameters = operation.get("parameters", [])
    target = path
    for parameter in parameters:
        if parameter["in"] == "path":
            filled = draw(st.sampled_from(["outbound_test", "uas", "0001", "401"]) | st.text(min_size=1, max_size=9))
            target = target.replace(f"{{{parameter['name']}}}", quote(filled.replace("/", "_"), safe="") or "x")
    in_query = [(p["name"], p["schema"], p.get("example")) for p in parameters if p["in"] == "query"]
    query = urlencode(draw(_pairs(in_query)), errors="replace")
    headers = dict(draw(st.sampled_from(_logins(running, operation["security"]))))
    body = b""
    if "requestBody" in operation:
        kind, content = draw(st.sampled_from(sorted(operation["requestBody"]["content"].items(), key=str)))
        schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        example = content["example"]
        pairs = draw(_pairs([(n, each, example.get(n)) for n, each in schema["properties"].items()]))
        headers["Content-Type"] = kind + ("; boundary=x" if kind.startswith("multipart") else "")
        body = draw(st.sampled_from([_encoded(kind, pairs)] * 4 + [b"", b"\xff\xfe", b"{", b"[1]", b"--x\r\n"]))
    if draw(st.booleans()):
        headers["Accept"] = "application/json"
    return Asked(
        method=method.upper(),
        target=f"{target}?{query}" if query else target,
        headers=headers,
        body=body,
        responses=operation["responses"],
    )


def _logins(running: Running, security: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return logins to choose from: mostly those that the operation says it takes."""
    by_scheme = {"service": [service_login(), service_login("uas")], "account": [key_login(running.key)]}
    right = [login for one in security for scheme in one for login in by_scheme[scheme]]
    wrong = [{"Authorization": "Basic %%%"}, basic("1-2-3/bob@example.com", "x"), basic("x", "y"), {}]
    return [*right * 6, *wrong, service_login(), key_login(running.key)]


def _encoded(kind: str, pairs: list[tuple[str, str]]) -> bytes:
    match kind:
        case "application/json":
            return json.dumps(dict(pairs)).encode()
        case "multipart/form-data":
            parts = [f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in pairs]
            return ("".join(parts) + "--x--\r\n").encode(errors="replace")
        case _:
            return urlencode(pairs, errors="replace").encode()


def _check(running: Running, asked: Asked) -> str:
    status, content_type, body = running.ask(asked.method, asked.target, asked.headers, asked.body)
    assert status != 500, body
    assert str(status) in asked.responses, f"{status} is not described: {body[:500]!r}"
    content = asked.responses[str(status)]["content"]
    kind = content_type.partition(";")[0]
    assert kind in content, f"{status} is described as {set(content)}, not {kind}"
    if kind == "application/json":
        schemas = running.document["components"]["schemas"]
        wrong = list(faults(json.loads(body), content[kind]["schema"], schemas))
        assert not wrong, (wrong, body[:500])
    return str(status)


def test_whatever_is_sent_the_answer_is_one_that_is_described(running: Running) -> None:
    seen: set[str] = set()

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        seen.add(_check(running, data.draw(_asked(running))))

    fuzz()
    assert {"200", "400", "401"} <= seen


def test_every_example_of_the_document_is_understood(running: Running) -> None:
    """Examples name things of an invented account: what is not there is 404, and nothing is called malformed."""
    for path, methods in running.document["paths"].items():
        for method, operation in methods.items():
            target, query = path, []
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    target = target.replace(f"{{{parameter['name']}}}", parameter["example"])
                elif "example" in parameter:
                    query.append((parameter["name"], parameter["example"]))
            schemes = {name for one in operation["security"] for name in one}
            login = key_login(running.key) if "account" in schemes else service_login() if schemes else {}
            bodies: list[tuple[dict[str, str], bytes]] = [({}, b"")]
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                sent = kind + ("; boundary=x" if kind.startswith("multipart") else "")
                bodies.append(({"Content-Type": sent}, _encoded(kind, [*content["example"].items()])))
            for extra, body in bodies[1:] or bodies:
                asked = Asked(
                    method=method.upper(),
                    target=f"{target}?{urlencode(query)}" if query else target,
                    headers={**login, **extra},
                    body=body,
                    responses=operation["responses"],
                )
                assert _check(running, asked) in ("200", "404"), (method, path)
