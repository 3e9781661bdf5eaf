"""What people are told when the fields they wrote do not fit: which one is at fault, and what it may be."""

from __future__ import annotations

import re

import msgspec
from msgspec import inspect

_PATH = re.compile(r"\.([a-z_]+)[^`]*`")
_ENUM = "Invalid enum value "


def misfit(error: msgspec.DecodeError | UnicodeDecodeError, kind: type) -> tuple[str, str]:
    """Return the field of the struct ``kind`` that ``error`` is about, "" for none in particular, and what is wrong.

    A value that is none of a field's choices is told with the choices.
    """
    reason, _, path = str(error).rpartition(" - at `$")
    found = _PATH.fullmatch(path)
    if found is None:
        return "", str(error)
    field = found[1]
    if path == f".{field}`" and reason.startswith(_ENUM) and (choices := _choices(kind, field)):
        reason = f"{reason.removeprefix(_ENUM)} is none of {', '.join(choices)}"
    return field, reason


def _choices(kind: type, name: str) -> list[str]:
    struct = inspect.type_info(kind)
    assert isinstance(struct, inspect.StructType), "bodies and tables are read as structs"
    kinds = {field.encode_name: field.type for field in struct.fields}
    wanted = kinds[name]
    return [str(each.value) for each in wanted.cls] if isinstance(wanted, inspect.EnumType) else []
