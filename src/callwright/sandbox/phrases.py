"""The texts the simulated telephones speak, so that whoever has a voice can render them beforehand.

The sandbox has no voice of its own. `wanted` lists what to render; each phrase becomes one WAV file, 8 kHz, mono,
16 bit, named `file_name(text)`, in the folder given to the sandbox as `--phrases`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from callwright.sandbox.persona import Persona, Say
from callwright.sandbox.personas import BUILT_IN, DIGIT_WORDS

_SLUG_CHARS = 40
_HASH_CHARS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A text and the name of the file it is rendered to."""

    text: str
    file_name: str


def file_name(text: str) -> str:
    """Return the WAV name of a text: its first words, and a hash so that long texts do not collide."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_SLUG_CHARS].rstrip("-")
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]
    return f"{slug or 'phrase'}-{digest}.wav"


def wanted(personas: Iterable[Persona] = BUILT_IN) -> list[Phrase]:
    """Return every phrase the personas may speak, each once, in order of first use."""
    texts: dict[str, None] = {}
    for persona in personas:
        for step in (*persona.early_steps, *persona.steps, *persona.repeat):
            if isinstance(step, Say):
                texts[step.text] = None
        if persona.says_keys:
            texts.update(dict.fromkeys(DIGIT_WORDS.values()))
    return [Phrase(text=text, file_name=file_name(text)) for text in texts]


def missing(directory: Path, personas: Iterable[Persona] = BUILT_IN) -> list[Phrase]:
    """Return the wanted phrases that have no file in a folder yet."""
    return [phrase for phrase in wanted(personas) if not (directory / phrase.file_name).is_file()]
