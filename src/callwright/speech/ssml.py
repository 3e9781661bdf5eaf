"""SSML: the supported tags of a text to be said, as runs of words and pauses (docs/reference/speech.md, "SSML").

A text without markup is one run of words. Markup is read by a real XML parser that is given no chance to define or
fetch entities. What it cannot read is spoken with its tags taken out, and a warning says so. Pure; never raises.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass, field, replace
from xml.parsers import expat

MAX_PAUSE_S = 10.0

_SENTENCE_PAUSE_S, _PARAGRAPH_PAUSE_S = 0.2, 0.5
_BREAKS = {"none": 0.0, "x-weak": 0.0, "weak": 0.15, "medium": 0.3, "strong": 0.5, "x-strong": 0.9}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
_GAINS = {"silent": -96.0, "x-soft": -12.0, "soft": -6.0, "medium": 0.0, "default": 0.0, "loud": 6.0, "x-loud": 10.0}
_SLOWEST, _FASTEST = 0.5, 2.0
_QUIETEST_DB, _LOUDEST_DB = -96.0, 12.0
_EMPHASIS = {"strong": (0.85, 3.0), "moderate": (0.92, 1.5), "reduced": (1.08, -3.0), "none": (1.0, 0.0)}

_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")
_LOOKS_LIKE_MARKUP = re.compile(r"</?[A-Za-z!?]|&(?:amp|lt|gt|quot|apos|#\d|#x[0-9a-fA-F])")
_TAG = re.compile(r"<[/!?]?[A-Za-z\[-][^<>]*>")
_SECONDS = re.compile(r"\+?(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})\s*(ms|s)")
_PERCENT = re.compile(r"([+-]?)(\d{1,4}(?:\.\d{1,4})?)%")
_DECIBELS = re.compile(r"([+-]?\d{1,3}(?:\.\d{1,4})?)dB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Text in one manner of speaking: ``rate`` times the usual pace, ``gain_db`` louder; ``interpret_as`` and
    ``format`` are those of ``say-as``, "" outside it.
    """

    text: str
    rate: float = 1.0
    gain_db: float = 0.0
    interpret_as: str = ""
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Silence of so many seconds; ``asked`` is False for the one between sentences, which a ``break`` replaces."""

    seconds: float
    asked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Markup:
    """A text taken apart. ``characters`` counts what is spoken, without tags; ``warnings`` quote nothing of it."""

    items: tuple[Words | Pause, ...]
    characters: int
    warnings: tuple[str, ...] = ()


def parse(text: str) -> Markup:
    """Take a text apart, with or without markup."""
    clean = _speakable(text)
    if not _LOOKS_LIKE_MARKUP.search(clean):
        return _plain(clean)
    try:
        return _Reader().read(_BARE_AMPERSAND.sub("&amp;", clean))
    except expat.ExpatError as problem:
        why = f"it is no well-formed XML ({expat.errors.messages.get(problem.code, 'syntax')}, line {problem.lineno})"
    stripped = _plain(_speakable(html.unescape(_without_tags(clean))))
    return replace(stripped, warnings=(f"The SSML was spoken as plain text, because {why}.",))


def _plain(text: str) -> Markup:
    items = (Words(text=text),) if text.strip() else ()
    return Markup(items=items, characters=len(text))


def _speakable(text: str) -> str:
    # Control characters and lone halves of UTF-16 pairs are no XML, and nothing an engine should get.
    kept = (char if char in "\t\n\r" or unicodedata.category(char) not in ("Cc", "Cs") else " " for char in text)
    return "".join(kept).replace("\ufffe", " ").replace("\uffff", " ")


def _without_tags(text: str) -> str:
    for _ in range(4):  # a document type holds declarations inside its own brackets
        text, count = _TAG.subn(" ", text)
        if not count:
            break
    return text


@dataclass(slots=True)
class _Reader:
    """Collects runs of words while the parser goes through the elements. ``stack`` holds the manner around each."""

    items: list[Words | Pause] = field(default_factory=list)
    stack: list[tuple[str, Words]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    replaced: int = 0
    characters: int = 0

    def read(self, text: str) -> Markup:
        """Parse a text, wrapped in an element: it may hold several side by side, and inside an element XML allows no
        document type declaration, so that no entity can be defined.
        """
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._words
        body = re.sub(r"^\s*<\?xml[^<>]*\?>", "", text)
        parser.Parse(f"<said>{body}</said>", True)
        if self.items and isinstance(last := self.items[-1], Pause) and not last.asked:
            self.items.pop()
        names = ", ".join(sorted(set(self.unknown))[:5])
        warnings = (f"Tags that are not supported were left out, their text is spoken: {names}.",) if names else ()
        return Markup(items=tuple(self.items), characters=self.characters, warnings=warnings)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.lower()
        manner = self.stack[-1][1] if self.stack else Words(text="")
        match name:
            case "break":
                self._pause(_break_seconds(attributes))
            case "prosody":
                manner = _prosody(manner, attributes)
            case "emphasis":
                rate, gain = _EMPHASIS.get(attributes.get("level", "moderate"), _EMPHASIS["moderate"])
                manner = _limited(manner, manner.rate * rate, manner.gain_db + gain)
            case "say-as":
                manner = replace(
                    manner,
                    interpret_as=attributes.get("interpret-as", "").lower().strip(),
                    format=attributes.get("format", "").lower().strip(),
                )
            case "sub":
                self._words(attributes.get("alias", ""))
                self.replaced += 1  # until its end: what the alias stands for is not spoken
            case "p" | "s":
                self._edge(_PARAGRAPH_PAUSE_S if name == "p" else _SENTENCE_PAUSE_S)
            case "said" | "speak" | "phoneme":
                pass  # the pronunciation of a phoneme element is for engines we do not have: its text is spoken
            case _:
                self.unknown.append(re.sub(r"[^a-z0-9:._-]", "?", name)[:30])
        self.stack.append((name, manner))

    def _end(self, tag: str) -> None:
        name, _ = self.stack.pop()
        if name == "sub":
            self.replaced -= 1
        elif name in ("p", "s"):
            self._edge(_PARAGRAPH_PAUSE_S if name == "p" else _SENTENCE_PAUSE_S)

    def _words(self, text: str) -> None:
        if self.replaced:
            return
        self.characters += len(text)
        manner = self.stack[-1][1] if self.stack else Words(text="")
        last = self.items[-1] if self.items else None
        if isinstance(last, Words) and not last.interpret_as and replace(last, text="") == manner:
            self.items[-1] = replace(last, text=last.text + text)
        elif text.strip() or (isinstance(last, Words) and text):
            self.items.append(replace(manner, text=text))

    def _pause(self, seconds: float) -> None:
        if self.items and isinstance(last := self.items[-1], Pause) and not last.asked:
            self.items.pop()
        if seconds > 0:
            self.items.append(Pause(seconds=seconds))

    def _edge(self, seconds: float) -> None:
        """A sentence or paragraph begins or ends here: pause once, not before the first word."""
        while self.items and isinstance(self.items[-1], Words) and not self.items[-1].text.strip():
            self.items.pop()
        last = self.items[-1] if self.items else None
        if isinstance(last, Words):
            self.items.append(Pause(seconds=seconds, asked=False))
        elif isinstance(last, Pause) and not last.asked:
            self.items[-1] = Pause(seconds=max(last.seconds, seconds), asked=False)


def _break_seconds(attributes: dict[str, str]) -> float:
    if found := _SECONDS.fullmatch(attributes.get("time", "").strip().lower()):
        return min(MAX_PAUSE_S, float(found[1]) / (1000 if found[2] == "ms" else 1))
    return _BREAKS.get(attributes.get("strength", "medium").strip().lower(), _BREAKS["medium"])


def _prosody(manner: Words, attributes: dict[str, str]) -> Words:
    rate, gain = manner.rate, manner.gain_db
    wanted = attributes.get("rate", "").strip().lower()
    if wanted in _RATES:
        rate *= _RATES[wanted]
    elif found := _PERCENT.fullmatch(wanted):
        amount = float(found[2]) / 100
        rate *= 1 + amount if found[1] == "+" else 1 - amount if found[1] == "-" else amount
    loudness = attributes.get("volume", "").strip()
    if loudness.lower() in _GAINS:
        gain += _GAINS[loudness.lower()]
    elif found := _DECIBELS.fullmatch(loudness):
        gain += float(found[1])
    return _limited(manner, rate, gain)


def _limited(manner: Words, rate: float, gain_db: float) -> Words:
    return replace(
        manner,
        rate=round(min(_FASTEST, max(_SLOWEST, rate)), 3),
        gain_db=round(min(_LOUDEST_DB, max(_QUIETEST_DB, gain_db)), 2),
    )
