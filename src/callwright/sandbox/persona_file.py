"""Personas of one's own, from a YAML file (docs/reference/sandbox.md): read whole, or refused by line and field."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml

from callwright.media.dtmf import KEYS
from callwright.sandbox.persona import (
    Cue,
    Digest,
    HangUp,
    Listen,
    Persona,
    PlayTone,
    Press,
    Reject,
    Say,
    Step,
    Wait,
)
from callwright.values.errors import RequestError

T = TypeVar("T")
D = TypeVar("D")

_LONGEST_S = 24 * 3600.0
_LONGEST_TONE_MS = 60_000
_ONLY_ANSWERED = frozenset(
    ("answer_after", "early", "script", "repeat", "says_keys", "patience", "hang_up_after", "on_hold")
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")


class PersonaFileError(RequestError):
    """A persona file cannot be used; the text names the file, the line and the field."""


def read_persona_file(path: Path) -> tuple[Persona, ...]:
    """Return the personas of a file; raise `PersonaFileError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise PersonaFileError(f"{path} cannot be read: {problem}") from problem
    return parse_personas(text, name=str(path))


def parse_personas(text: str, *, name: str = "personas") -> tuple[Persona, ...]:
    """Return the personas of a YAML text; raise `PersonaFileError`, in which `name` stands for the file."""
    return _Reader(name).personas(text)


class _Reader:
    """Walks the nodes of one file; nodes know their lines, which plain values would have lost."""

    def __init__(self, name: str) -> None:
        self._name = name

    def personas(self, text: str) -> tuple[Persona, ...]:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as problem:
            mark = getattr(problem, "problem_mark", None)
            where = f" line {mark.line + 1}" if mark is not None else ""
            raise PersonaFileError(
                f"{self._name}{where}: not YAML: {getattr(problem, 'problem', None) or problem}"
            ) from problem
        if root is None:
            raise PersonaFileError(f"{self._name}: the file is empty; it must begin with 'personas:'")
        fields = self._fields(root, "the file", {"personas"}, {"personas"})
        found: dict[str, Persona] = {}
        for node in self._list(fields["personas"], "personas"):
            persona = self._persona(node)
            if persona.number in found:
                self._refuse(node, "number", f"{persona.number} is given twice")
            found[persona.number] = persona
        return tuple(found.values())

    def _persona(self, node: yaml.Node) -> Persona:
        fields = self._fields(
            node,
            "a persona",
            {"number", "name", "ring_after", "reject", "digest"} | _ONLY_ANSWERED,
            {"number"},
        )
        optional = _Optional(fields)
        number = self._matching(fields["number"], "number", r"\+?\d{1,18}", 'digits, such as "0021"')
        reject = optional.get("reject", self._reject, None)
        final_after = optional.get("answer_after", self._seconds, None)
        rejection = None
        if reject is not None:
            unused = _ONLY_ANSWERED & set(fields)
            if unused:
                self._refuse(node, min(unused), "a persona that rejects calls never answers them; leave it out")
            final_after, rejection = reject
        return Persona(
            number=number.lstrip("+"),
            name=optional.get("name", self._text, None) or f"from {Path(self._name).name}",
            ring_after_s=None
            if self._is_null(fields.get("ring_after"))
            else optional.get("ring_after", self._seconds, 0.0),
            final_after_s=final_after,
            reject=rejection,
            early_steps=optional.get("early", self._steps, ()),
            steps=optional.get("script", self._steps, ()),
            repeat=optional.get("repeat", self._repeat, ()),
            says_keys=optional.get("says_keys", self._flag, False),
            patience_s=optional.get("patience", self._seconds, None),
            hang_up_after_s=optional.get("hang_up_after", self._seconds, None),
            digest=optional.get("digest", self._digest, None),
            on_hold=optional.get("on_hold", self._flag, False),
        )

    def _reject(self, node: yaml.Node, field: str) -> tuple[float, Reject]:
        fields = self._fields(node, field, {"code", "reason", "headers", "after", "redirect_to"}, {"code"})
        optional = _Optional(fields)
        code = self._whole(fields["code"], "code", 300, 699)
        redirect_to = optional.get("redirect_to", self._digits, "")
        if redirect_to and code >= 400:
            self._refuse(node, "redirect_to", "only a code from 300 to 399 redirects")
        reject = Reject(
            code=code,
            reason=optional.get("reason", self._text, ""),
            headers=optional.get("headers", self._headers, ()),
            redirect_to=redirect_to,
        )
        return optional.get("after", self._seconds, 0.0), reject

    def _headers(self, node: yaml.Node, field: str) -> tuple[tuple[str, str], ...]:
        headers = []
        for name, value in self._pairs(node, field):
            if not _HEADER_NAME.fullmatch(name):
                self._refuse(value, field, f"'{name[:60]}' is not the name of a SIP header")
            headers.append((name, self._text(value, name)))
        return tuple(headers)

    def _digest(self, node: yaml.Node, field: str) -> Digest:
        fields = self._fields(node, field, {"user", "password"}, {"user", "password"})
        return Digest(user=self._text(fields["user"], "user"), password=self._text(fields["password"], "password"))

    def _repeat(self, node: yaml.Node, field: str) -> tuple[Step, ...]:
        steps = self._steps(node, field)
        if not any(isinstance(step, Listen | Wait) for step in steps):
            self._refuse(node, field, "steps that repeat need a 'listen' or a 'wait' among them")
        return steps

    def _steps(self, node: yaml.Node, field: str) -> tuple[Step, ...]:
        return tuple(self._step(item, field) for item in self._list(node, field))

    def _step(self, node: yaml.Node, field: str) -> Step:
        if isinstance(node, yaml.ScalarNode) and node.value == "hang_up":
            return HangUp()
        pairs = self._pairs(node, field)
        if len(pairs) != 1:
            self._refuse(node, field, "a step has one word: say, press, tone, wait, listen or hang_up")
        word, value = pairs[0]
        match word:
            case "say":
                return Say(text=self._text(value, word))
            case "press":
                return Press(keys=self._matching(value, word, f"[{re.escape(KEYS)}]{{1,64}}", f"keys out of {KEYS}"))
            case "wait":
                return Wait(seconds=self._seconds(value, word))
            case "tone":
                return self._tone(value, word)
            case "listen":
                return self._listen(value, word)
        self._refuse(node, word, "there is no such step; there are say, press, tone, wait, listen and hang_up")

    def _tone(self, node: yaml.Node, field: str) -> PlayTone:
        fields = self._fields(node, field, {"frequencies", "ms"}, {"frequencies", "ms"})
        frequencies = tuple(
            self._number(item, "frequencies", 20.0, 3999.0) for item in self._list(fields["frequencies"], "frequencies")
        )
        if not 1 <= len(frequencies) <= 4:
            self._refuse(node, "frequencies", "a tone has one to four frequencies")
        return PlayTone(frequencies=frequencies, ms=self._whole(fields["ms"], "ms", 20, _LONGEST_TONE_MS))

    def _listen(self, node: yaml.Node, field: str) -> Listen:
        if isinstance(node, yaml.ScalarNode):
            return Listen(cue=self._cue(node, field))
        fields = self._fields(node, field, {"for", "silence", "timeout"}, {"for"})
        optional = _Optional(fields)
        return Listen(
            cue=self._cue(fields["for"], "for"),
            silence_s=optional.get("silence", self._seconds, 1.0),
            timeout_s=optional.get("timeout", self._seconds, None),
        )

    def _cue(self, node: yaml.Node, field: str) -> Cue:
        text = self._text(node, field)
        if text not in Cue._value2member_map_:
            self._refuse(node, field, f"'{text[:40]}' is nothing to listen for; there are {', '.join(Cue)}")
        return Cue(text)

    def _fields(self, node: yaml.Node, what: str, allowed: set[str], required: set[str]) -> dict[str, yaml.Node]:
        fields: dict[str, yaml.Node] = {}
        for name, value in self._pairs(node, what):
            if name not in allowed:
                self._refuse(value, name, f"{what} has no such field; there are {', '.join(sorted(allowed))}")
            if name in fields:
                self._refuse(value, name, "is given twice")
            fields[name] = value
        for name in sorted(required - set(fields)):
            self._refuse(node, name, f"{what} needs this field")
        return fields

    def _pairs(self, node: yaml.Node, field: str) -> list[tuple[str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, field, "must be fields with values (name: value)")
        return [(self._text(key, field), value) for key, value in node.value]

    def _list(self, node: yaml.Node, field: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._refuse(node, field, "must be a list (lines that begin with '- ')")
        return list(node.value)

    def _text(self, node: yaml.Node, field: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value or not str(node.value).isprintable():
            self._refuse(node, field, "must be one line of text")
        return str(node.value)

    def _matching(self, node: yaml.Node, field: str, pattern: str, what: str) -> str:
        text = self._text(node, field)
        # The node keeps the digits as written; YAML's own reading of a bare 0021 would be the number 17.
        if not re.fullmatch(pattern, text):
            self._refuse(node, field, f"must be {what}, not {text[:40]}")
        return text

    def _digits(self, node: yaml.Node, field: str) -> str:
        return self._matching(node, field, r"\d{1,18}", 'digits, such as "0001"')

    def _seconds(self, node: yaml.Node, field: str) -> float:
        return self._number(node, field, 0.0, _LONGEST_S, "a number of seconds")

    def _whole(self, node: yaml.Node, field: str, low: int, high: int) -> int:
        value = self._number(node, field, low, high, "a whole number")
        if value != int(value):
            self._refuse(node, field, "must be a whole number")
        return int(value)

    def _number(self, node: yaml.Node, field: str, low: float, high: float, what: str = "a number") -> float:
        text = self._text(node, field)
        try:
            value = float(text)
        except ValueError:
            self._refuse(node, field, f"must be {what}, not '{text[:40]}'")
        if not math.isfinite(value) or not low <= value <= high:
            self._refuse(node, field, f"must be {what} from {low:g} to {high:g}, not {text[:40]}")
        return value

    def _flag(self, node: yaml.Node, field: str) -> bool:
        text = self._text(node, field)
        if text not in ("true", "false"):
            self._refuse(node, field, f"must be true or false, not '{text[:40]}'")
        return text == "true"

    def _is_null(self, node: yaml.Node | None) -> bool:
        return node is not None and node.tag == "tag:yaml.org,2002:null"

    def _refuse(self, node: yaml.Node, field: str, why: str) -> NoReturn:
        line = node.start_mark.line + 1
        raise PersonaFileError(f"{self._name} line {line}: {field}: {why}", field=field)


class _Optional:
    """Reads a field when it is there."""

    def __init__(self, fields: dict[str, yaml.Node]) -> None:
        self._fields = fields

    def get(self, name: str, read: Callable[[yaml.Node, str], T], default: D) -> T | D:
        return read(self._fields[name], name) if name in self._fields else default
