"""``/openapi.json`` and ``/docs``: the web services described for programs and for people."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from callwright.web.edge import Edge
from callwright.web.errors import JSON
from callwright.web.page import page, table, text

Document = dict[str, Any]


class Description:
    """The document as it is sent, and its page. ``of`` is called once, before the first request."""

    def of(self, document: Document) -> None:
        """Take over the document, which describes also how to get it."""
        self._json = Response(
            msgspec.json.encode(document), headers={"Content-Type": JSON, "Access-Control-Allow-Origin": "*"}
        )
        self._page = docs_page(document)

    async def openapi_json(self, _request: Request, _edge: Edge) -> Response:
        """Describe the web services as an OpenAPI 3.1 document."""
        return self._json

    async def docs(self, _request: Request, _edge: Edge) -> Response:
        """Describe the web services as a page for people."""
        return self._page


def docs_page(document: Document) -> Response:
    """Return the page of a document: every operation, then every schema."""
    info = document["info"]
    parts = [
        f"<p>{text(info['summary'])} Version {text(info['version'])}. "
        '<a href="/openapi.json">OpenAPI document</a> · <a href="/errors">Errors</a></p>',
        "<ul>" + "".join(_entry(path, methods) for path, methods in document["paths"].items()) + "</ul>",
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation, document))
    parts.append('<h2 id="schemas">Schemas</h2>')
    parts += [_schema_block(name, schema) for name, schema in document["components"]["schemas"].items()]
    return page(info["title"], *parts)


def _entry(path: str, methods: Document) -> str:
    links = " ".join(f'<a href="#{each["operationId"]}">{method.upper()}</a>' for method, each in methods.items())
    return f"<li><code>{text(path)}</code> {links}</li>"


def _operation(path: str, method: str, operation: Document, document: Document) -> str:
    heading = f'<h2 id="{operation["operationId"]}">{method.upper()} <code>{text(path)}</code></h2>'
    parts = [heading, f"<p>{text(operation['summary'])}</p>", _credentials(operation, document)]
    if operation.get("parameters"):
        rows = [
            (
                f"<code>{text(each['name'])}</code>",
                each["in"] + (", required" if each["required"] else ""),
                _schema(each["schema"]),
                text(each.get("description") or _described(each["schema"])),
            )
            for each in operation["parameters"]
        ]
        parts.append(table(("parameter", "where", "type", "what"), rows))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        kinds = [(f"<code>{text(kind)}</code>", _schema(each["schema"])) for kind, each in content.items()]
        parts.append(table(("body", "schema"), kinds))
        parts.append(_example("Example", next(iter(content.values()))["example"]))
    for kind, answer in operation["responses"]["200"]["content"].items():
        parts.append(f"<p>Answer, <code>{text(kind)}</code>: {_schema(answer['schema'])}</p>")
        if "example" in answer:
            parts.append(_example("Example answer", answer["example"]))
    errors = [
        (f'<a href="/errors/{status}">{status}</a>', text(each["description"]))
        for status, each in operation["responses"].items()
        if status != "200"
    ]
    parts.append(f"<details><summary>Errors</summary>{table(('status', 'when'), errors)}</details>")
    return "".join(parts)


def _credentials(operation: Document, document: Document) -> str:
    schemes = document["components"]["securitySchemes"]
    texts = [schemes[name]["description"] for each in operation["security"] for name in each]
    return f"<p>Credentials (HTTP Basic): {text(' Or: '.join(texts))}</p>" if texts else "<p>No credentials.</p>"


def _example(heading: str, value: object) -> str:
    shown = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f"<details><summary>{heading}</summary><pre>{text(shown)}</pre></details>"


def _schema_block(name: str, schema: Document) -> str:
    required = schema.get("required", [])
    rows = [
        (f"<code>{text(member)}</code>", _schema(each), "yes" if member in required else "", text(_described(each)))
        for member, each in schema.get("properties", {}).items()
    ]
    heading = f'<h3 id="schema-{text(name)}"><code>{text(name)}</code></h3><p>{text(schema.get("description", ""))}</p>'
    return heading + table(("member", "type", "required", "what"), rows)


def _schema(schema: Document) -> str:
    """Return a schema in a few words, with links to the named ones."""
    match schema:
        case {"$ref": str(reference)}:
            name = text(reference.rpartition("/")[2])
            return f'<a href="#schema-{name}">{name}</a>'
        case {"anyOf": list(several)}:
            return " or ".join(map(_schema, several))
        case {"enum": list(values)}:
            return " or ".join(f"<code>{text(repr(value))}</code>" for value in values)
        case {"type": "array", "items": dict(items)}:
            return f"list of {_schema(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"object of {_schema(values)}"
        case _:
            return text(str(schema.get("type", "anything")))


def _described(schema: Document) -> str:
    return str(schema.get("description", ""))
