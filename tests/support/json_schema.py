"""Holds JSON values against the part of JSON Schema (2020-12) that our OpenAPI document uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

KNOWN = frozenset(
    "$ref anyOf enum type properties required items additionalProperties pattern minLength maxLength minimum maximum "
    "minItems maxItems description title examples default contentMediaType contentSchema".split()
)
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def faults(value: object, schema: dict[str, Any], components: dict[str, Any], path: str = "$") -> Iterator[str]:
    """Yield what is wrong with ``value``, nothing when it fits."""
    assert set(schema) <= KNOWN, f"the checker does not know {set(schema) - KNOWN}"
    if "$ref" in schema:
        yield from faults(value, components[schema["$ref"].rpartition("/")[2]], components, path)
        return
    if "anyOf" in schema and all(any(faults(value, each, components)) for each in schema["anyOf"]):
        yield f"{path}: fits none of {len(schema['anyOf'])} schemas"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not one of {schema['enum']}"
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path}: {value!r} is not of type {kind}"
        return
    match value:
        case str():
            yield from _text_faults(value, schema, path)
        case dict():
            yield from _object_faults(value, schema, components, path)
        case list():
            if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
                yield f"{path}: {len(value)} items"
            for n, item in enumerate(value):
                yield from faults(item, schema.get("items", {}), components, f"{path}[{n}]")
        case int() | float():
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                yield f"{path}: {value} is out of range"


def _text_faults(value: str, schema: dict[str, Any], path: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{path}: {len(value)} characters"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"


def _object_faults(
    value: dict[str, Any], schema: dict[str, Any], components: dict[str, Any], path: str
) -> Iterator[str]:
    yield from (f"{path}: lacks {name}" for name in schema.get("required", ()) if name not in value)
    properties = schema.get("properties", {})
    for name, member in value.items():
        if name in properties:
            yield from faults(member, properties[name], components, f"{path}.{name}")
        elif isinstance(more := schema.get("additionalProperties"), dict):
            yield from faults(member, more, components, f"{path}.{name}")
        elif properties:
            yield f"{path}: has {name}, which is not described"
