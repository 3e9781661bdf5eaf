"""The rules of our reading: what is recognised in a text, how it is read, and why that way. Pure.

They are tried in the order of ``RULES``, each on what the ones before it left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from callwright.speech.numerals import (
    cardinal,
    digit_words,
    number,
    ordinal,
    spelt,
    spelt_digits,
    spelt_groups,
    year,
)
from callwright.speech.readings import MONTHS, read_date, spoken_date, spoken_money, spoken_time

Read = Callable[[re.Match[str], str], str]
"""What a match sounds like, in the region given: a country code, "" for the United States."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is recognised, how it is read, and why that way."""

    pattern: re.Pattern[str]
    read: Read
    reason: str


_NUM = r"\d{1,15}(?:,\d{3}){0,5}"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)"
)
_TOP_LEVEL = "com|org|net|edu|gov|info|io|co|uk|de|eu|ca|au|nz|ie|fr|es|nl|biz|app|dev"
_SYMBOLS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "?": "question mark", "=": "equals",
    "&": "and", "#": "hash", "+": "plus", "%": "percent", "~": "tilde", ":": "colon",
}  # fmt: skip
_SCALES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}
_UNITS = {
    "km/h": ("kilometre per hour", "kilometres per hour"), "mph": ("mile per hour", "miles per hour"),
    "km^2": ("square kilometre", "square kilometres"), "m^2": ("square metre", "square metres"),
    "m^3": ("cubic metre", "cubic metres"), "km": ("kilometre", "kilometres"), "cm": ("centimetre", "centimetres"),
    "mm": ("millimetre", "millimetres"), "m": ("metre", "metres"), "mi": ("mile", "miles"), "ft": ("foot", "feet"),
    "yd": ("yard", "yards"), "kg": ("kilogram", "kilograms"), "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"), "lbs": ("pound", "pounds"), "lb": ("pound", "pounds"), "oz": ("ounce", "ounces"),
    "ml": ("millilitre", "millilitres"), "l": ("litre", "litres"), "kWh": ("kilowatt hour", "kilowatt hours"),
    "kW": ("kilowatt", "kilowatts"), "W": ("watt", "watts"), "kB": ("kilobyte", "kilobytes"),
    "KB": ("kilobyte", "kilobytes"), "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"), "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"), "Hz": ("hertz", "hertz"), "ms": ("millisecond", "milliseconds"),
    "sec": ("second", "seconds"), "secs": ("second", "seconds"), "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "h": ("hour", "hours"),
}  # fmt: skip
_ABBREVIATIONS = {
    "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is", "vs.": "versus", "approx.": "approximately",
    "appt.": "appointment", "dept.": "department", "Dept.": "Department", "Ave.": "Avenue", "Blvd.": "Boulevard",
    "Rd.": "Road", "ext.": "extension", "Ext.": "Extension", "tel.": "telephone", "Tel.": "Telephone",
}  # fmt: skip
_TITLES = {"Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "St": "Saint"}
_FRACTION_NAMES = {2: ("half", "halves"), 4: ("quarter", "quarters")}


def _set_apart(match: re.Match[str], words: str) -> str:
    """The words, with a space where the match touched a letter or digit that stays."""
    before = match.string[match.start() - 1 : match.start()] if match.start() else ""
    after = match.string[match.end() : match.end() + 1]
    return (" " if before.isalnum() else "") + words + (" " if after.isalnum() else "")


def _address(match: re.Match[str], _region: str) -> str:
    text = re.sub(r"^[a-z]+://", "", match[0], flags=re.IGNORECASE).rstrip("/")
    parts = []
    for run in re.findall(r"[0-9]+|[^\W\d_]+|[^\w]|_", text):
        if run.isdigit():
            parts.append(digit_words(run))
        elif run.lower() == "www":
            parts.append("double-u double-u double-u")
        else:
            parts.append(_SYMBOLS.get(run, run))
    return " ".join(part for part in parts if part.strip())


def _iso_date(match: re.Match[str], _region: str) -> str:
    date = spoken_date(int(match[2]), int(match[3]), match[1])
    return match[0] if date is None else date + (", " if match[4] else "")


def _numeric_date(match: re.Match[str], region: str) -> str:
    return read_date(match[1], match[3], match[4], region) or match[0]


def _month(name: str) -> int:
    return next(index for index, month in enumerate(MONTHS, 1) if month.startswith(name[:3]))


def _month_day(match: re.Match[str], _region: str) -> str:
    return spoken_date(_month(match[1]), int(match[2]), match[3] or "") or match[0]


def _day_month(match: re.Match[str], _region: str) -> str:
    if not 1 <= int(match[2]) <= 31:
        return match[0]
    words = f"{match[1] or 'the '}{ordinal(str(int(match[2])))} of {MONTHS[_month(match[3]) - 1]}"
    return words + (f", {year(match[4])}" if match[4] else "")


def _month_year(match: re.Match[str], _region: str) -> str:
    return f"{MONTHS[_month(match[1]) - 1]} {year(match[2])}"


def _time(match: re.Match[str], _region: str) -> str:
    words = spoken_time(match["hour"], match["minute"] or "", match["second"] or "", (match["half"] or "")[:1])
    if words is None:
        return match[0]
    # The full stop of "p.m." and the one that ends a sentence are one and the same.
    return words[:-1] if words.endswith(".") and match.string[match.end() : match.end() + 1] == "." else words


def _telephone(match: re.Match[str], _region: str) -> str:
    return spelt_groups(match[0])


def _named_number(match: re.Match[str], _region: str) -> str:
    digits = match["digits"]
    short = len(digits) <= 2 and not digits.startswith("0")
    return match["name"] + (cardinal(digits) if short else spelt_groups(digits))


def _money(match: re.Match[str], _region: str) -> str:
    scale = match["scale"] or ""
    words = spoken_money(
        match["sign"].upper(), match["whole"], match["decimals"] or "", _SCALES.get(scale.lower(), scale.lower())
    )
    return _set_apart(match, ("minus " if match["minus"] else "") + words)


def _unit(match: re.Match[str], _region: str) -> str:
    one, many = _UNITS[match["unit"]]
    single = match["whole"] == "1" and not match["decimals"]
    return f"{_signed(match)} {one if single else many}"


def _degrees(match: re.Match[str], _region: str) -> str:
    scale = {"C": " Celsius", "F": " Fahrenheit", None: ""}[match["scale"]]
    single = match["whole"] == "1" and not match["decimals"]
    return _set_apart(match, f"{_signed(match)} degree{'' if single else 's'}{scale}")


def _percent(match: re.Match[str], _region: str) -> str:
    return _set_apart(match, f"{_signed(match)} percent")


def _signed(match: re.Match[str]) -> str:
    return ("minus " if match["minus"] else "") + number(match["whole"], match["decimals"] or "")


def _range(match: re.Match[str], _region: str) -> str:
    if re.fullmatch(r"(?:1[1-9]|20)\d\d", match[1]) and re.fullmatch(r"(?:1[1-9]|20)\d\d", match[2]):
        return f"{year(match[1])} to {year(match[2])}"
    return f"{match[1]} to {match[2]}"


def _fraction(match: re.Match[str], _region: str) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    whole = f"{cardinal(match['and'])} and " if match["and"] else ""
    if (top, bottom) == (24, 7) and not whole:
        return "twenty-four seven"
    if not 0 < top < bottom or not 2 <= bottom <= 20:
        return f"{cardinal(match['and'] or '')} {cardinal(str(top))} slash {cardinal(str(bottom))}".lstrip()
    name = _FRACTION_NAMES.get(bottom) or (ordinal(str(bottom)), ordinal(str(bottom)) + "s")
    return f"{whole}{cardinal(str(top))} {name[top > 1]}"


def _decade(match: re.Match[str], _region: str) -> str:
    words = year(match[1])
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def _code(match: re.Match[str], _region: str) -> str:
    runs = re.findall(r"[A-Za-z0-9]+", match[0])
    # COVID-19 is a word and a number, AB12 is neither.
    if any(len(run) > 3 and run.isalpha() and re.search("[AEIOU]", run) for run in runs):
        return " ".join(cardinal(run) if run.isdigit() else run if run.isalpha() else spelt(run) for run in runs)
    return ", ".join(spelt(run) for run in runs)


def _mixed_word(match: re.Match[str], _region: str) -> str:
    runs = re.findall(r"[0-9]+|[^\W\d_]+", match[0])
    return " ".join(digit_words(run) if run.isdigit() else run for run in runs)


def _plain_number(match: re.Match[str], _region: str) -> str:
    whole, decimals = match["whole"] or "", match["decimals"] or ""
    if not decimals and len(whole) > 6 and "," not in whole:
        return _set_apart(match, spelt_digits(whole))
    return _set_apart(match, ("minus " if match["minus"] else "") + number(whole, decimals))


def _dotted(match: re.Match[str], _region: str) -> str:
    return _set_apart(match, " dot ".join(cardinal(part) for part in match[0].split(".")))


def _key_sign(match: re.Match[str], region: str) -> str:
    if match[1] == "*":
        return "star"
    return "pound" if region in ("", "US", "CA") else "hash"


def _words(words: str) -> Read:
    return lambda match, _region: words


def _abbreviation(match: re.Match[str], _region: str) -> str:
    return _ABBREVIATIONS[match[0]]


def _alternatives(words: dict[str, tuple[str, str]] | dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _rule(pattern: str, read: Read, reason: str, flags: re.RegexFlag = re.NOFLAG) -> Rule:
    return Rule(pattern=re.compile(pattern, flags), read=read, reason=reason)


_MINUS = r"(?P<minus>(?<![\w.,)-])-)?"
_AMOUNT = rf"(?P<whole>{_NUM})(?:\.(?P<decimals>\d{{1,12}}))?"
_HALF_DAY = r"(?P<half>[AaPp])\.?[Mm](?:\.(?=\s|$|[,;:!?)])|\b)"
_SCALE = r"(?: ?(?P<scale>thousand|million|billion|trillion|[kKmM]|bn|[bB])(?!\w))?"

RULES: tuple[Rule, ...] = (
    _rule(
        r"(?<![\w@.+-])[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?![\w@]|[.-]\w)",
        _address,
        "an e-mail address is dictated: at, dot, dash",
        re.ASCII,
    ),
    _rule(
        r"(?<![\w/])(?:https?://|www\.)[A-Za-z0-9](?:[\w.~:/?#@&=%+-]{0,200}[\w/])?",
        _address,
        "the scheme of a web address is never dictated, the rest is",
        re.ASCII | re.IGNORECASE,
    ),
    _rule(
        rf"(?<![\w@.-])[A-Za-z0-9][A-Za-z0-9-]{{0,62}}(?:\.[A-Za-z0-9-]{{1,63}}){{0,3}}\.(?:{_TOP_LEVEL})(?![\w@]|[.-]\w)"
        r"(?:/[\w/-]{1,100})?",
        _address,
        "a bare domain is known by its ending; a missing space after a full stop is not one",
        re.ASCII,
    ),
    _rule(
        r"(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?:([T ])(?=\d\d:\d\d)|(?![\d-]))",
        _iso_date,
        "ISO 8601 is the one unambiguous date of numbers",
    ),
    _rule(
        r"(?<![\w./-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]|\.\d)",
        _numeric_date,
        "day or month first as the voice's region writes it, unless only one order makes a date",
    ),
    _rule(
        rf"(?<!\w)({_MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?(?![\w:/%-]|[.,]\d)(?:,? (\d{{4}})(?![\w-]|[.,:]\d))?",
        _month_day,
        "after a month a number is a day",
    ),
    _rule(
        rf"(?<![\w./:-])(the )?(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?({_MONTH})(?!\w)(?:\.(?=,? (?:\d{{4}}|[a-z])))?"
        r"(?:,? (\d{4})(?![\w-]|[.,:]\d))?",
        _day_month,
        "before a month a number is a day",
    ),
    _rule(
        rf"(?<!\w)({_MONTH})\.? ((?:1[1-9]|20)\d\d)(?![\w-]|[.,:]\d)",
        _month_year,
        "after a month four digits are a year",
    ),
    _rule(
        r"(?<![\w.:/-])(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
        rf"(?: ?{_HALF_DAY})?(?![\w:]|\.\d)",
        _time,
        "the zero of 9:05 is spoken as oh, and 9:00 has an hour",
    ),
    _rule(
        rf"(?<![\w.:/-])(?P<hour>\d{{1,2}})(?P<minute>)(?P<second>) ?{_HALF_DAY}(?!\w)",
        _time,
        "am and pm make any number an hour",
    ),
    _rule(
        r"(?<![\w.+-])\+\d[\d ().-]{5,20}\d(?!\w|[.-]\d)",
        _telephone,
        "a number with its country code is written with +",
    ),
    _rule(
        r"(?<![\w.+-])(?:1[-. ])?\(\d{2,5}\)[ -]?\d{2,4}(?:[ -]?\d{2,5}){1,3}(?!\w|[.-]\d)",
        _telephone,
        "an area code stands in brackets",
    ),
    _rule(
        r"(?<![\w.,+/-])(?:1[-. ])?\d{3}([-. ])\d{3}\1\d{4}(?!\w|[.-]\d)", _telephone, "North American numbers go 3-3-4"
    ),
    _rule(r"(?<![\w.,+/-])\d{3}-\d{4}(?!\w|[.-]\d)", _telephone, "local North American numbers go 3-4"),
    _rule(
        r"(?<![\w.,+/-])0\d{2,4}[ -]\d{3,4}[ -]?\d{3,4}(?!\w|[.-]\d)",
        _telephone,
        "no quantity begins with zero: this is a national number",
    ),
    _rule(
        r"(?<!\w)(?P<name>(?:dial|ring|call|phone|text|fax|telephone|tel\.?|mobile)(?: (?:us|me|him|her|them))?"
        r"(?: (?:number|no\.))?(?: (?:is|on|at))?:? )(?P<digits>\d[\d -]{1,18}\d)(?!\w|[.,:/-]\d)",
        _named_number,
        "what one dials is digits, also when it is short",
        re.IGNORECASE,
    ),
    _rule(
        r"(?<!\w)(?P<name>(?:PIN|(?:pass|post|zip|area|access|security)? ?code|password|reference|ref\.?|account|card"
        r"|number|ID|extension|ext\.?|flight|room|suite|booking|ticket|confirmation|tracking|serial|membership|customer|invoice"
        r"|policy|(?:order|case)(?= (?:number|no\.|id|is|code|#)|:|#| #))(?: (?:number|no\.|code|id))?"
        r"(?: (?:is|was))?(?: ?[:=])?(?: ?#)? ?)(?P<digits>\d(?:[\d -]{0,38}\d)?)(?!\w|[.,:/-]\d|%| ?%)",
        _named_number,
        "a PIN, an account or an extension is no quantity",
        re.IGNORECASE,
    ),
    _rule(
        rf"{_MINUS}(?<![\w.])(?:US)?(?P<sign>[$£€¥]|(?<!\w)(?:USD|GBP|EUR)) ?{_AMOUNT}{_SCALE}(?!\d)",
        _money,
        "the sign is written first and spoken last, hundredths have names of their own",
    ),
    _rule(
        rf"{_MINUS}(?<![\w.,]){_AMOUNT}{_SCALE} ?(?P<sign>[£€]|(?:USD|GBP|EUR)(?!\w))",
        _money,
        "much of Europe writes the sign last",
    ),
    _rule(
        r"(?<![\w.,/-])(\d{1,4}) ?[-–] ?(\d{1,4})(?![\w/-]|[.,:]\d)",
        _range,
        "a dash between two numbers is to; the numbers are read by the rules below",
    ),
    _rule(rf"{_MINUS}(?<![\w.,]){_AMOUNT} ?%", _percent, "engines differ on the word"),
    _rule(rf"{_MINUS}(?<![\w.,]){_AMOUNT} ?°(?: ?(?P<scale>[CF])(?!\w))?", _degrees, "degrees, with their scale"),
    _rule(
        rf"{_MINUS}(?<![\w.,]){_AMOUNT} ?(?P<unit>{_alternatives(_UNITS)})(?![\w^'’-])",
        _unit,
        "units are spoken in full; those that are also words, such as in, are left alone",
    ),
    _rule(
        r"(?<![\w./-])(?:(?P<and>\d{1,3}) )?(?P<top>\d{1,2})/(?P<bottom>\d{1,2})(?![\w/-]|\.\d)",
        _fraction,
        "small fractions have names",
    ),
    _rule(
        r"(?<![\w.,-])(\d{1,6})(?:st|nd|rd|th)(?!\w)",
        lambda match, _region: ordinal(match[1]),
        "an ordinal says so itself",
    ),
    _rule(r"(?<![\w.,-])((?:1[1-9]|20)\d0)['’]?s(?!\w)", _decade, "1990s is a decade"),
    _rule(r"(?<=\d) ?[x×] ?(?=\d)", _words(" by "), "a size"),
    _rule(
        r"(?<![\w.-])(?=[A-Z0-9-]{0,30}\d)(?=[A-Z0-9-]{0,30}[A-Z])[A-Z0-9]{1,30}(?:-[A-Z0-9]{1,30}){0,8}(?![\w])",
        _code,
        "capitals and digits together are a code: letter by letter, with pauses where its writer put dashes",
    ),
    _rule(
        r"(?<!\w)(?:[^\W\d_]{1,40}\d{1,15}|\d{1,15}[^\W\d_]{1,40})(?:[^\W_]{0,40})(?!\w)",
        _mixed_word,
        "a word with digits in it is no quantity either",
    ),
    _rule(
        r"(?<!\w)(?P<when>(?:[Ii]n|[Ss]ince|[Uu]ntil|[Tt]ill|[Dd]uring|[Yy]ear|[Cc]irca|©|[Cc]opyright) )"
        r"((?:1[89]|20)\d\d)(?![\w%-]|[.,:/]\d)",
        lambda match, _region: match["when"] + year(match[2]),
        "after these words four digits are a year",
    ),
    _rule(r"(?<!\w)[Nn]os?\. ?(?=\d)", _words("number "), "No. is number only before one"),
    _rule(r"(?<![\w&#])# ?(?=\d)", _words("number "), "a number sign before a number is just that"),
    _rule(r"(?<=\d) ?\+ ?(?=\d)", _words(" plus "), "a sum"),
    _rule(r"(?<![\w+.-])\+(?=\d)", _words("plus "), "a sign"),
    _rule(r"(?<=\d) ?= ?(?=\d)", _words(" equals "), "a sum"),
    _rule(r"(?<![\w.])\d{1,9}(?:\.\d{1,9}){2,8}(?!\w)", _dotted, "versions and network addresses"),
    _rule(
        rf"{_MINUS}(?:(?P<whole>\d{{1,3}}(?:,\d{{3}}){{1,5}}(?!\d|,\d)|\d+)(?:\.(?P<decimals>\d+))?)",
        _plain_number,
        "everything else; more than six digits in a row are nobody's quantity, so they are spelt",
    ),
    _rule(r"(?<=\w)\^2|\^two", _words(" squared"), "powers"),
    _rule(r"(?<=\w)\^3|\^three", _words(" cubed"), "powers"),
    _rule(
        rf"(?<!\w)(?P<title>{_alternatives(_TITLES)})\. ?(?=[A-Z])",
        lambda match, _region: _TITLES[match["title"]] + " ",
        "only before a name: Dr. at the end of an address is a drive",
    ),
    _rule(
        r"(?<=[a-z] )St\.(?= ?(?:[,;:!?)]|[a-z]|\n|$))",
        _words("Street"),
        "after a name, with nothing capitalised behind it, St. is a street",
    ),
    _rule(
        rf"(?<![\w.])(?:{_alternatives(_ABBREVIATIONS)})(?!\w)", _abbreviation, "engines end the sentence at the dot"
    ),
    _rule(r"(?<![\w*#])([*#])(?![\w*#])", _key_sign, "keys of a telephone; # has two names"),
    _rule(r" ?& ?", _words(" and "), "the sign is silent in some engines"),
    _rule(r" {2,}", _words(" "), "rules may leave two spaces"),
)
