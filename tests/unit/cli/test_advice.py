from __future__ import annotations

import re

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from callwright.cli.main import app
from callwright.web.error_catalogue import CATALOGUE
from callwright.web.explain_words import REASONS, RETURN_CODES, advice_on_reason

ADVICE = [
    *(text for advice in REASONS.values() for text in advice),
    *RETURN_CODES.values(),
    *(text for reason in ("No route", "Fax is not available", "new") for text in advice_on_reason(reason)),
    *(text for entry in CATALOGUE.values() for text in (entry.cause, entry.cure)),
]


@pytest.mark.parametrize("text", [text for text in ADVICE if "callwright " in text or "--" in text])
def test_advice_names_only_commands_and_options_that_exist(text: str) -> None:
    assert options_named(text) <= options_that_exist(text), text


def options_named(text: str) -> set[str]:
    return set(re.findall(r"--[a-z-]+", text))


def options_that_exist(text: str) -> set[str]:
    """Return the options of all commands that a text names; fail when it names one that does not exist."""
    found: set[str] = set()
    for words in re.findall(r"(?<!of )(?<!so )callwright ((?:[a-z]+ ?)+)", text):
        command = get_command(app)
        for word in words.split():
            if not isinstance(command, TyperGroup):
                break  # the rest is the sentence
            assert word in command.commands, f"there is no command {word} in: {text}"
            command = command.commands[word]
        found.update(option for parameter in command.params for option in parameter.opts)
    return found
