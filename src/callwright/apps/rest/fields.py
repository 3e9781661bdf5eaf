"""Reading one JSON object of a page's response, field by field, collecting what is wrong and what is unknown.

A field that is null counts as absent. Problems and warnings carry the full path, e.g.
``actions[2].play.play_list[0].text_to_say``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from callwright.accounts.service import NO_PAGE, Method, Page

DIGITS = "0123456789ABCD#*"
MAX_URL_CHARS = 2000
MAX_FINDINGS = 100
METHODS = ("GET", "POST")


@dataclass(slots=True)
class Findings:
    """What was found while a response was read. With a problem, nothing of the response may be used."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether enough mistakes were found: nobody reads more of them."""
        return len(self.problems) > MAX_FINDINGS

    def add_problem(self, text: str) -> None:
        _add(self.problems, text, f"there is more: only the first {MAX_FINDINGS} mistakes are told")

    def add_warning(self, text: str) -> None:
        _add(self.warnings, text, f"there is more: only the first {MAX_FINDINGS} warnings are told")


class Fields:
    """The properties of one JSON object. Every getter names the property it wants, with other names it may have."""

    def __init__(self, value: object, path: str, findings: Findings) -> None:
        self.path = path
        self.findings = findings
        self._read: set[str] = set()
        self._values: dict[str, object] = {}
        self.is_object = isinstance(value, dict)
        if isinstance(value, dict):
            self._values = value
        else:
            self.problem("", f"must be an object, not {_kind(value)}")

    def problem(self, name: str, what: str) -> None:
        self.findings.add_problem(f"{self.at(name)}: {what}")

    def warning(self, name: str, what: str) -> None:
        self.findings.add_warning(f"{self.at(name)}: {what}")

    def at(self, name: str) -> str:
        """Return the full path of a property."""
        if not name or name.startswith("["):
            return f"{self.path}{name}"
        return f"{self.path}.{name}" if self.path else name

    def has(self, *names: str) -> bool:
        """Return whether one of these is given and not null."""
        for name in names:
            if self._values.get(name) is not None:
                return True
        return False

    def text(self, *names: str, default: str | None = None, max_chars: int | None = None) -> str:
        """Return a string; without a default it is required."""
        name, value = self._take(names, required=default is None)
        if value is None:
            return default or ""
        if not isinstance(value, str):
            self.problem(name, f"must be a string, not {_kind(value)}")
            return ""
        if max_chars is not None and len(value) > max_chars:
            self.problem(name, f"has {len(value)} characters, at most {max_chars} are allowed")
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        _, value = self._take((name,), required=False)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(name, f"must be true or false, not {_kind(value)}")
            return default
        return value

    def integer(self, name: str, *, default: int, minimum: int, maximum: int) -> int:
        _, value = self._take((name,), required=False)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            self.problem(name, f"must be an integer, not {_kind(value)}")
            return default
        if not minimum <= value <= maximum:
            self.problem(name, f"is {value}, must be {minimum} to {maximum}")
        return value

    def number(self, *names: str, minimum: float, maximum: float) -> float:
        """Return a required number."""
        name, value = self._take(names, required=True)
        if value is None:
            return minimum
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            self.problem(name, f"must be a number, not {_kind(value)}")
            return minimum
        if not minimum <= value <= maximum:
            self.problem(name, f"is {value}, must be {minimum:g} to {maximum:g}")
        return float(value)

    def digits(self, *names: str, default: str | None = None) -> str:
        """Return a string of keypad characters; without a default it is required."""
        given = next((name for name in names if self.has(name)), names[0])
        value = self.text(*names, default=default)
        strange = sorted({key for key in value if key not in DIGITS})
        if strange:
            self.problem(given, f"has {', '.join(repr(key) for key in strange)}, only {DIGITS} are allowed")
        return value

    def one_digit(self, name: str, *, default: str | None = None) -> str:
        """Return one keypad character; with a default, an empty string means none."""
        value = self.digits(name, default=default)
        if len(value) > 1 or (default is None and not value and self.has(name)):
            self.problem(name, f"must be one of {DIGITS}")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """Return one of a few words, or None when it is not given."""
        if not self.has(name):
            self._read.add(name)
            return None
        value = self.text(name)
        if value not in choices:
            self.problem(name, f"must be one of {', '.join(choices)}")
        return value

    def nested(self, name: str) -> Fields | None:
        """Return a nested object, or None when it is not given."""
        _, value = self._take((name,), required=False)
        return None if value is None else Fields(value, self.at(name), self.findings)

    def objects(self, name: str, *, required: bool) -> list[Fields] | None:
        """Return an array of objects, or None when it is not given."""
        _, value = self._take((name,), required=required)
        if value is None:
            return None
        if not isinstance(value, list):
            self.problem(name, f"must be an array, not {_kind(value)}")
            return None
        return [Fields(one, f"{self.at(name)}[{index}]", self.findings) for index, one in enumerate(value)]

    def page(self, *names: str) -> Page | None:
        """Return a page, or None when it is not given."""
        name, value = self._take(names, required=False)
        return None if value is None else read_page(Fields(value, self.at(name), self.findings))

    def required_page(self, *names: str) -> Page:
        page = self.page(*names)
        if page is None:
            self.problem(names[0], "is missing")
        return page or NO_PAGE

    def string_or_object(self, name: str) -> str | Fields:
        """Return a required value that is either a string or an object."""
        _, value = self._take((name,), required=True)
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            return Fields(value, self.at(name), self.findings)
        if value is not None:
            self.problem(name, f"must be a string or an object, not {_kind(value)}")
        return ""

    def not_available(self, *names: str) -> None:
        """Refuse properties of the documented interface that this version does not offer."""
        for name in names:
            if self.has(name):
                self.problem(name, "is known, but not available in this version")
            self._read.add(name)

    def ignored(self, *names: str) -> None:
        """Pass over properties that this version does not offer and that an application can do without."""
        for name in names:
            if self.has(name):
                self.warning(name, "is not available in this version and is ignored")
            self._read.add(name)

    def finish(self) -> None:
        """Warn of the properties that nobody asked for."""
        for name in self._values:
            if name not in self._read:
                self.warning(name, "is unknown and is ignored")

    def names(self) -> Iterator[str]:
        return iter(self._values)

    def value(self, name: str) -> object:
        """Return a property as it is."""
        self._read.add(name)
        return self._values.get(name)

    def _take(self, names: tuple[str, ...], *, required: bool) -> tuple[str, object]:
        self._read.update(names)
        for name in names:
            if self._values.get(name) is not None:
                return name, self._values[name]
        if required:
            self.problem(names[0], "is missing")
        return names[0], None


def _add(findings: list[str], text: str, last: str) -> None:
    if len(findings) < MAX_FINDINGS:
        findings.append(text)
    elif len(findings) == MAX_FINDINGS:
        findings.append(last)


def read_page(fields: Fields) -> Page:
    """Read a ``web_page_request``: where it is and how to ask for it."""
    url = fields.text("url", max_chars=MAX_URL_CHARS)
    method: Method = "GET" if fields.choice("method", METHODS) == "GET" else "POST"
    fields.finish()
    fault = url_fault(url) if url or fields.has("url") else None
    if fault:
        fields.problem("url", fault)
    return Page(url=url, method=method)


def url_fault(url: str) -> str | None:
    """Return what is wrong with the text of an absolute or relative page URL, or None."""
    if not url.strip():
        return "is empty"
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in url):
        return "has control characters"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if parts.scheme and parts.scheme not in ("http", "https"):
        return f"has the scheme '{parts.scheme}', only http and https are allowed"
    if parts.scheme and not parts.hostname:
        return "names no host"
    if any(character.isspace() for character in parts.netloc):
        return "has a space in its host"
    return None


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number" if not isinstance(value, float) else "a fraction"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
