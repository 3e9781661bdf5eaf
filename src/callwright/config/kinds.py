"""The kinds of value a setting takes: what is expected, in words, and how it is read."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a setting takes: ``expects`` in words, ``read`` from a TOML value or from text (raises ``ValueError``)."""

    expects: str
    read: Callable[[object], object]


def integer(low: int, high: int) -> Kind:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError
        number = int(value)
        if not low <= number <= high:
            raise ValueError
        return number

    return Kind(expects=f"a whole number from {low} to {high}", read=read)


def number(low: float, high: float) -> Kind:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not low <= number <= high:
            raise ValueError
        return number

    return Kind(expects=f"a number from {low:g} to {high:g}", read=read)


def boolean() -> Kind:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

    def read(value: object) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        raise ValueError

    return Kind(expects="true or false", read=read)


def text(pattern: str, expects: str) -> Kind:
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError
        return value

    return Kind(expects=expects, read=read)


def choice(*names: str) -> Kind:
    def read(value: object) -> str:
        if not isinstance(value, str) or value.lower() not in names:
            raise ValueError
        return value.lower()

    return Kind(expects="one of " + ", ".join(names), read=read)


def money() -> Kind:
    def read(value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        try:
            amount = Decimal(str(value))
        except InvalidOperation as error:
            raise ValueError from error
        if not (amount.is_finite() and 0 <= amount <= 1000 and amount == round(amount, 6)):
            raise ValueError
        return amount

    return Kind(expects="an amount in dollars such as 0.0072, with at most 6 decimals", read=read)


def networks() -> Kind:
    def read(value: object) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(item)) for item in _items(value))

    return Kind(expects='a list of networks such as ["10.1.0.0/16"] (as text: separated by commas)', read=read)


def prefixes() -> Kind:
    def read(value: object) -> tuple[str, ...]:
        items = _items(value)
        if not all(item.isascii() and item.isdigit() for item in items):
            raise ValueError
        return tuple(items)

    return Kind(expects='a list of digits such as ["1800", "44800"] (as text: separated by commas)', read=read)


def folder() -> Kind:
    def read(value: object) -> Path:
        if isinstance(value, Path):
            return value.expanduser()
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError
        return Path(value).expanduser()

    return Kind(expects="the path of a folder", read=read)


def file_or_none() -> Kind:
    def read(value: object) -> Path | None:
        if isinstance(value, Path):
            return value.expanduser()
        if not isinstance(value, str) or "\0" in value:
            raise ValueError
        return Path(value).expanduser() if value else None

    return Kind(expects="the path of a file, or empty", read=read)


def _items(value: object) -> list[str]:
    items = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError
    return items
