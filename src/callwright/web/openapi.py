"""The OpenAPI 3.1 document, made of the table of operations and the msgspec types, and its page.

Both are made once, when the application is; the page needs no script and no network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from callwright import __version__
from callwright.web import answers as wire
from callwright.web.error_catalogue import CATALOGUE
from callwright.web.errors import REALM
from callwright.web.operations import Credential, Operation

_REF = "#/components/schemas/{name}"
_SECURITY: dict[Credential, list[dict[str, list[str]]]] = {
    Credential.NONE: [],
    Credential.ACCOUNT: [{"account": []}],
    Credential.SERVICE: [{"service": []}],
    Credential.EITHER: [{"account": []}, {"service": []}],
}
_LOGIN_ERRORS = ("401", "403")
_ANY_ERRORS = ("400", "405", "408", "429", "431", "500", "503")
_PATH_PARAMETERS = {
    "service_name": ("The name of an outbound service, percent-encoded.", "my_service"),
    "number": ("An error number: four digits, or an HTTP status.", "0001"),
}
FORM = "application/x-www-form-urlencoded"

Document = dict[str, Any]


def openapi(operations: Sequence[Operation]) -> Document:
    """Return the document; it can be written as JSON as it is."""
    schemas = _Schemas(operations)
    paths: dict[str, Document] = {}
    for operation in operations:
        for method in operation.methods:
            if method != "HEAD":  # the same without a body
                paths.setdefault(operation.path, {})[method.lower()] = _operation(operation, method, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "callwright web services",
            "version": __version__,
            "summary": "Programmable outbound calling, wire-compatible with Aculab Cloud's web services.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This node."}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "account": {
                    "type": "http",
                    "scheme": "basic",
                    "description": f"User name cloudID/username, password the API Access Key; realm {REALM}.",
                },
                "service": {
                    "type": "http",
                    "scheme": "basic",
                    "description": f"User name cloudID/username/service_name, password of that service; realm {REALM}.",
                },
            },
        },
    }


def documented_statuses(operation: Operation) -> dict[int, list[str]]:
    """Return the HTTP statuses an operation can answer instead of 200, each with its error numbers."""
    login = () if operation.opened_by is Credential.NONE else _LOGIN_ERRORS
    found: dict[int, list[str]] = {}
    for number in sorted({*operation.errors, *login, *_ANY_ERRORS}, key=lambda number: (len(number) == 3, number)):
        status = CATALOGUE[number].status
        assert status is not None, f"{number} is for records only"
        found.setdefault(status, []).append(number)
    return dict(sorted(found.items()))


class _Schemas:
    """The JSON schemas of every type of the table, with one component for each named type."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        types: list[object] = [wire.ErrorAnswer]
        for operation in operations:
            types += [each for each in (operation.answer, operation.parameters, operation.body) if each is not None]
        self._types = types
        self._schemas, self.components = msgspec.json.schema_components(types, ref_template=_REF)

    def of(self, kind: object) -> Document:
        return self._schemas[next(n for n, each in enumerate(self._types) if each is kind)]

    def members(self, kind: type[msgspec.Struct]) -> list[tuple[str, Document, bool]]:
        """Return name, schema and whether it is required, of each member of a Struct."""
        schema = self.components[kind.__name__]
        return [(name, each, name in schema["required"]) for name, each in schema["properties"].items()]


def _operation(operation: Operation, method: str, schemas: _Schemas) -> Document:
    several = sum(each != "HEAD" for each in operation.methods) > 1
    said: Document = {
        "operationId": f"{operation.name}_{method.lower()}" if several else operation.name,
        "summary": summary(operation),
        "security": _SECURITY[operation.opened_by],
    }
    parameters = [_path_parameter(name) for name in re.findall(r"{(\w+)}", operation.path)]
    if operation.parameters is not None and method == "POST":
        said["requestBody"] = _body(operation, operation.parameters, schemas)
    elif operation.parameters is not None:
        for name, schema, required in schemas.members(operation.parameters):
            example = {"example": operation.asks[name]} if name in operation.asks else {}
            parameters.append({"name": name, "in": "query", "required": required, "schema": schema, **example})
    if parameters:
        said["parameters"] = parameters
    content: Document = {}
    if operation.answer is not str:
        content["application/json"] = {"schema": schemas.of(operation.answer), "example": operation.answers}
    if operation.is_page:
        content["text/html"] = {"schema": {"type": "string"}}
    said["responses"] = {"200": {"description": "Done.", "content": content}} | {
        str(status): _error(numbers, schemas) for status, numbers in documented_statuses(operation).items()
    }
    return said


def _path_parameter(name: str) -> Document:
    description, example = _PATH_PARAMETERS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1},
        "example": example,
    }


def _body(operation: Operation, parameters: type[msgspec.Struct], schemas: _Schemas) -> Document:
    schema, example = schemas.of(parameters), dict(operation.asks)
    return {
        "required": any(required for _, _, required in schemas.members(parameters)),
        "description": "Parameters may stand in the query as well; each at one place only.",
        "content": {
            FORM: {"schema": schema, "example": example},
            "multipart/form-data": {"schema": schema, "example": example},
            "application/json": {"schema": schemas.of(operation.body or parameters), "example": example},
        },
    }


def _error(numbers: Sequence[str], schemas: _Schemas) -> Document:
    entries = [CATALOGUE[number] for number in numbers]
    said: Document = {
        "description": " ".join(f"{entry.code}: {entry.text}. {entry.cause}" for entry in entries),
        "content": {"application/json": {"schema": schemas.of(wire.ErrorAnswer)}},
    }
    headers = {"401": "WWW-Authenticate", "405": "Allow", "429": "Retry-After"}
    if (name := headers.get(str(entries[0].status))) is not None:
        said["headers"] = {name: {"schema": {"type": "string"}}}
    return said


def summary(operation: Operation) -> str:
    """Return the first sentence of the handler's docstring, as plain text."""
    doc = operation.handler.__doc__ or ""
    return " ".join(doc.split("\n\n")[0].split()).replace("``", "")
