"""What ``say-as`` asks for, in words. Pure; never raises: a text that does not fit is read as if nothing were asked.

Names and formats are Amazon Polly's and those of the W3C note on say-as (docs/reference/speech.md, "SSML").
"""

from __future__ import annotations

import re
from collections.abc import Callable

from callwright.speech.normalise import normalise
from callwright.speech.numerals import number, ordinal, spelt, spelt_groups, year
from callwright.speech.readings import MONTHS, spoken_date, spoken_money, spoken_time

_AMOUNT = re.compile(r"\s*([+-]?)\s*(\d{1,3}(?:,\d{3}){1,5}|\d{1,300})?(?:\.(\d{1,300}))?\s*", re.ASCII)
_MONEY = re.compile(r"\s*([$£€¥]|USD|GBP|EUR)\s?(\d{1,15}(?:,\d{3}){0,5})(?:\.(\d{1,12}))?\s*", re.ASCII)
_CLOCK = re.compile(r"\s*(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*(?:([ap])\.?m\.?)?\s*", re.ASCII | re.IGNORECASE)
_MINUTES = re.compile(r"\s*(?:(\d{1,5})')?\s*(?:(\d{1,5})(?:\"|''))?\s*", re.ASCII)
_DATE_ORDERS = {"mdy", "dmy", "ymd", "md", "dm", "ym", "my", "d", "m", "y"}


def say_as(text: str, interpret_as: str, format: str = "", *, language: str = "en", region: str = "") -> str:
    """Read a text the way it is asked to be read.

    In languages other than English only spelling is ours: the engine knows its own numbers.
    """
    if interpret_as in ("characters", "spell-out", "verbatim", "letters"):
        return _spelt(text) if language == "en" else _apart(text)
    if interpret_as in ("digits", "telephone"):
        if language != "en":
            return _apart(text)
        return spelt_groups(text) if re.fullmatch(r"[\d\s()+./-]*\d[\d\s()+./-]*", text, re.ASCII) else _spelt(text)
    if language != "en":
        return text
    read = _READERS.get(interpret_as)
    spoken = read(text, format, region) if read else None
    return normalise(text, region=region) if spoken is None else spoken


def _spelt(text: str) -> str:
    """Letters and digits are spelt; what is neither is left to the usual rules when it stands alone."""
    return spelt(text) or normalise(text)


def _apart(text: str) -> str:
    return ", ".join(char for char in text if char.isalnum())


def _cardinal(text: str, _format: str, _region: str) -> str | None:
    match = _AMOUNT.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    return {"-": "minus ", "+": "plus ", "": ""}[match[1]] + number(match[2] or "0", match[3] or "")


def _ordinal(text: str, _format: str, _region: str) -> str | None:
    match = re.fullmatch(r"\s*(\d{1,15})(?:st|nd|rd|th)?\s*", text, re.ASCII)
    return ordinal(match[1].lstrip("0") or "0") if match else None


def _date(text: str, format: str, region: str) -> str | None:
    if format not in _DATE_ORDERS:
        return None
    digits = re.findall(r"\d+", text, re.ASCII)
    if len(digits) == 1 and len(digits[0]) == 8 and format == "ymd":
        digits = [digits[0][:4], digits[0][4:6], digits[0][6:]]
    if len(digits) != len(format) or any(len(part) > 4 for part in digits):
        return None
    named = dict(zip(format, digits, strict=True))
    if "m" in named and not 1 <= int(named["m"]) <= 12:
        return None
    match format:
        case "y":
            return year(named["y"])
        case "d":
            return ordinal(str(int(named["d"])))
        case "m":
            return MONTHS[int(named["m"]) - 1]
        case "ym" | "my":
            return f"{MONTHS[int(named['m']) - 1]} {year(named['y'])}"
        case _:
            return spoken_date(int(named["m"]), int(named["d"]), named.get("y", ""))


def _time(text: str, _format: str, _region: str) -> str | None:
    if (match := _MINUTES.fullmatch(text)) and (match[1] or match[2]):
        parts = [
            f"{number(amount)} {name}{'' if amount == '1' else 's'}"
            for amount, name in ((match[1], "minute"), (match[2], "second"))
            if amount
        ]
        return " and ".join(parts)
    if match := _CLOCK.fullmatch(text):
        return spoken_time(match[1], match[2] or "", match[3] or "", match[4] or "")
    return None


def _currency(text: str, _format: str, _region: str) -> str | None:
    match = _MONEY.fullmatch(text)
    return spoken_money(match[1], match[2], match[3] or "", "") if match else None


_READERS: dict[str, Callable[[str, str, str], str | None]] = {
    "cardinal": _cardinal,
    "number": _cardinal,
    "ordinal": _ordinal,
    "date": _date,
    "time": _time,
    "currency": _currency,
}
