from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.json_schema import KNOWN, faults

from callwright.web.api.openapi_page import docs_page
from callwright.web.app import described
from callwright.web.error_catalogue import CATALOGUE
from callwright.web.openapi import openapi
from callwright.web.operations import OPERATIONS

REFERENCE = Path(__file__).parents[3] / "docs/reference/web-services.md"
OPERATIONS_ALL = described(OPERATIONS)
DOCUMENT = json.loads(json.dumps(openapi(OPERATIONS_ALL)))
COMPONENTS = DOCUMENT["components"]["schemas"]


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _examples() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield a name, a value and its schema for every example of the document."""
    for path, method, operation in _operations():
        where = f"{method} {path}"
        for parameter in operation.get("parameters", ()):
            if "example" in parameter:
                yield f"{where} {parameter['name']}", parameter["example"], parameter["schema"]
        contents = [*operation.get("requestBody", {}).get("content", {}).items()]
        for response in operation["responses"].values():
            contents += response["content"].items()
        for kind, content in contents:
            if "example" in content:
                yield f"{where} {kind}", content["example"], content["schema"]
    for name, component in COMPONENTS.items():
        for member, schema in component["properties"].items():
            for example in schema.get("examples", ()):
                yield f"{name}.{member}", example, schema


def _nested(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _nested(each)
    elif isinstance(value, list):
        for each in value:
            yield from _nested(each)


def test_the_document_has_what_openapi_3_1_requires() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert set(DOCUMENT) == {"openapi", "info", "servers", "paths", "components"}
    assert {"title", "version"} <= set(DOCUMENT["info"])
    identifiers = [operation["operationId"] for _, _, operation in _operations()]
    assert len(identifiers) == len(set(identifiers))
    for path, method, operation in _operations():
        assert path.startswith("/")
        assert method in ("get", "post", "put", "patch", "delete")
        assert operation["summary"].endswith((".", ".)"))
        assert all(
            scheme in DOCUMENT["components"]["securitySchemes"] for one in operation["security"] for scheme in one
        )
        assert all(response["description"] for response in operation["responses"].values())
        placed = [parameter for parameter in operation.get("parameters", ()) if parameter["in"] == "path"]
        assert [parameter["name"] for parameter in placed] == re.findall(r"{(\w+)}", path)
        assert all(parameter["required"] for parameter in placed)
        names = [(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", ())]
        assert len(names) == len(set(names))


def test_every_reference_leads_to_a_component_and_every_component_is_used() -> None:
    references = {each["$ref"] for each in _nested(DOCUMENT) if "$ref" in each}
    assert references == {f"#/components/schemas/{name}" for name in COMPONENTS}


def test_every_schema_uses_only_what_the_tests_can_check() -> None:
    for component in COMPONENTS.values():
        assert set(component) <= KNOWN
        assert component["description"]


def test_every_route_and_method_is_described_and_nothing_else() -> None:
    served = {(each.path, method.lower()) for each in OPERATIONS_ALL for method in each.methods if method != "HEAD"}
    assert {(path, method) for path, method, _ in _operations()} == served


@pytest.mark.parametrize(
    ("where", "value", "schema"), list(_examples()), ids=lambda each: each if isinstance(each, str) else ""
)
def test_every_example_fits_its_schema(where: str, value: object, schema: dict[str, Any]) -> None:
    assert list(faults(value, schema, COMPONENTS)) == []
    if "contentSchema" in schema:
        assert isinstance(value, str)
        assert list(faults(json.loads(value), schema["contentSchema"], COMPONENTS)) == []


def test_every_error_a_description_names_is_in_the_catalogue() -> None:
    for _, _, operation in _operations():
        for status, response in operation["responses"].items():
            numbers = re.findall(r"(?:^|\. )(?:HTTP )?(\d{3,4}): ", response["description"])
            assert bool(numbers) is (status != "200")
            assert all(CATALOGUE[number].status == int(status) for number in numbers)


def test_the_page_needs_no_network_and_no_script_and_names_every_operation_and_schema() -> None:
    response = docs_page(DOCUMENT)
    page = bytes(response.body).decode()
    assert not re.search(r"<script|<link|<img|src=|url\(|https?://", page)
    for path, method, operation in _operations():
        assert f'<h2 id="{operation["operationId"]}">{method.upper()} <code>{path}</code></h2>' in page
    for name in COMPONENTS:
        assert f'id="schema-{name}"' in page
    linked = set(re.findall(r'href="#([^"]+)"', page))
    assert linked <= set(re.findall(r'id="([^"]+)"', page))


def test_the_checker_finds_what_is_wrong() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}}, "required": ["a"]}
    assert list(faults({"a": 1}, schema, {})) == []
    several: tuple[object, ...] = ({}, {"a": -1}, {"a": "1"}, {"a": True}, {"a": 1, "b": 2}, [], None)
    for wrong in several:
        assert list(faults(wrong, schema, {})) != []


def test_every_path_is_in_the_reference_page() -> None:
    page = REFERENCE.read_text()
    for path in DOCUMENT["paths"]:
        shown = path.replace("{service_name}", "<ServiceName>").replace("{number}", "NNNN")
        assert f"`{shown}`" in page, path
