"""From a text to what engines are asked: utterances and pauses, normalised, and cut into pieces an engine can take.

Pure. Everything that decides how a prompt sounds, but for the engine itself, is in a ``Script``; so its parts are what
a cached sound is found by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from callwright.speech import ssml
from callwright.speech.normalise import normalise
from callwright.speech.say_as import say_as
from callwright.speech.ssml import Pause, Words
from callwright.speech.synthesiser import MAX_SOUND_S, TextTooLong

MAX_CHARACTERS = 3000
"""Of what is spoken, tags not counted (docs/reference/speech.md, "Limits")."""
MAX_WITH_TAGS = 2 * MAX_CHARACTERS

_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s*$")
_CUTS = (re.compile(r"[.!?…][\"'”’)\]]*\s+"), re.compile(r"[,;:–—]\s+"), re.compile(r"\s+"))
_BLANK_LINE = re.compile(r"(?<=[^\s.,;:!?…])\s*\n\s*\n\s*")
_BETWEEN_SENTENCES_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Words an engine speaks in one breath."""

    text: str
    rate: float
    gain_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A prompt ready for an engine; ``warnings`` are sentences for the log that quote nothing of the text."""

    parts: tuple[Utterance | Pause, ...]
    warnings: tuple[str, ...] = ()


def write_script(text: str, *, language: str, region: str = "") -> Script:
    """Turn a text, with or without SSML, into a script in the given language and region (codes of ISO 639 and 3166).

    Raises ``TextTooLong``.
    """
    if len(text) > MAX_WITH_TAGS:
        raise TextTooLong(f"The text has {len(text)} characters with its tags; the limit is {MAX_WITH_TAGS}.")
    markup = ssml.parse(text)
    if markup.characters > MAX_CHARACTERS:
        raise TextTooLong(f"The text has {markup.characters} characters to speak; the limit is {MAX_CHARACTERS}.")
    pauses = sum(item.seconds for item in markup.items if isinstance(item, Pause))
    if pauses > MAX_SOUND_S:
        raise TextTooLong(f"The breaks of the text last {pauses:.0f} s; the limit of a prompt is {MAX_SOUND_S:.0f} s.")
    parts: list[Utterance | Pause] = []
    for item in _joined(markup.items, language, region):
        if isinstance(item, Pause):
            parts.append(item)
            continue
        last = parts[-1] if parts else None
        if isinstance(last, Utterance) and _SENTENCE_END.search(last.text):
            parts.append(Pause(seconds=_BETWEEN_SENTENCES_S, asked=False))
        parts.append(item)
    return Script(parts=tuple(parts), warnings=markup.warnings)


def pieces(text: str, longest: int) -> list[str]:
    """Cut a text into pieces of at most ``longest`` characters: at sentence ends, else at commas, else between words,
    else anywhere.
    """
    found: list[str] = []
    rest = text.strip()
    while len(rest) > longest:
        cut = 0
        for boundary in _CUTS:
            # One more character is looked at: the space after a piece that just fits.
            cut = max((match.end() for match in boundary.finditer(rest, 0, longest + 1)), default=0)
            if cut > longest // 3:
                break
        cut = cut or longest
        found.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    found.append(rest)
    return [piece for piece in found if piece]


def _joined(items: tuple[Words | Pause, ...], language: str, region: str) -> list[Utterance | Pause]:
    """Normalise each run of words; put neighbours in the same manner together, as an engine phrases what it sees."""
    joined: list[Utterance | Pause] = []
    for item in items:
        if isinstance(item, Pause):
            joined.append(item)
            continue
        if item.interpret_as:
            spoken = say_as(item.text, item.interpret_as, item.format, language=language, region=region)
        else:
            spoken = normalise(item.text, language=language, region=region)
        # Spaces at the edges are what keeps two joined runs apart.
        edged = f"{item.text[:1] if item.text[:1].isspace() else ''}{spoken}{' ' if item.text[-1:].isspace() else ''}"
        last = joined[-1] if joined else None
        if isinstance(last, Utterance) and (last.rate, last.gain_db) == (item.rate, item.gain_db):
            joined[-1] = Utterance(text=last.text + edged, rate=item.rate, gain_db=item.gain_db)
        else:
            joined.append(Utterance(text=edged, rate=item.rate, gain_db=item.gain_db))
    tidy = [part if isinstance(part, Pause) else replace(part, text=_one_line(part.text)) for part in joined]
    return [part for part in tidy if isinstance(part, Pause) or part.text]


def _one_line(text: str) -> str:
    """A blank line ends a sentence; any other line end is a space."""
    return " ".join(_BLANK_LINE.sub(". ", text.strip()).split())
