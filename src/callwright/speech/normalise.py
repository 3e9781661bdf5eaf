"""Our own reading of what is written: numbers, codes, dates, money and addresses as English words.

Engines disagree on these, and read a telephone number as a subtraction and a PIN as a quantity; a caller who is told a
number must be able to write it down. English only: texts in other languages reach their engine unchanged, which knows
its own numbers. Pure; never raises; its output holds no digit, and reading that again changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial

from callwright.speech.rules import RULES, Rule

_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8"}


def normalise(text: str, *, language: str = "en", region: str = "") -> str:
    """Return the text as it is to be spoken, without digits. ``language`` other than "en": the text itself."""
    if language != "en":
        return text
    spoken, before = _folded(text), ""
    # A number read as a word may complete an address ("3.com"). Without digits each further round takes signs away, so
    # this ends; nearly always after the second.
    while spoken != before:
        before = spoken
        for rule in RULES:
            spoken = rule.pattern.sub(partial(_read, rule, region), spoken)
        spoken = spoken.strip()
    return spoken


def _read(rule: Rule, region: str, match: re.Match[str]) -> str:
    return rule.read(match, region)


def _folded(text: str) -> str:
    """Bring exotic digits, spaces and dashes to the plain ones the rules are written for."""
    folded = []
    for char in text:
        if char in _VULGAR:
            folded.append(" " + _VULGAR[char])
        elif char in "²³":
            folded.append("^2" if char == "²" else "^3")
        elif char.isdigit() and not char.isascii():
            folded.append(str(unicodedata.digit(char)))
        elif char in "\u2010\u2011\u2212":
            folded.append("-")
        elif char != "\n" and char.isspace():
            folded.append(" ")
        else:
            folded.append(char)
    return re.sub(r" {2,}", " ", "".join(folded))
