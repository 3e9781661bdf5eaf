"""Numbers as English words. Pure; every function takes ASCII digits as text and returns no digit.

Nothing here turns a text into an ``int`` before its length is known to be small.
"""

from __future__ import annotations

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_THOUSANDS = ("", " thousand", " million", " billion", " trillion")
_IRREGULAR_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_LONGEST_NUMBER = 15
_RUNS = re.compile(r"[0-9]+|[A-Za-z]")


def cardinal(digits: str) -> str:
    """ "1,234" as "one thousand two hundred thirty-four"; spelt when it begins with 0 or has more than 15 digits."""
    plain = digits.replace(",", "")
    if not plain:
        return ""
    if len(plain) > _LONGEST_NUMBER or (len(plain) > 1 and plain[0] == "0"):
        return spelt_digits(plain)
    groups = [plain[max(0, end - 3) : end] for end in range(len(plain), 0, -3)]
    words = [
        _below_thousand(int(group)) + _THOUSANDS[power]
        for power, group in reversed(list(enumerate(groups)))
        if int(group)
    ]
    return " ".join(words) or "zero"


def number(digits: str, decimals: str = "") -> str:
    """ "3", "14" as "three point one four"."""
    return f"{cardinal(digits or '0')} point {digit_words(decimals)}" if decimals else cardinal(digits)


def ordinal(digits: str) -> str:
    """ "21" as "twenty-first"."""
    words = cardinal(digits)
    head, last = re.fullmatch(r"(.*?)([a-z]+)", words, re.DOTALL).groups()  # type: ignore[union-attr]
    if last in _IRREGULAR_ORDINALS:
        return head + _IRREGULAR_ORDINALS[last]
    return head + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def year(digits: str) -> str:
    """ "1999" as "nineteen ninety-nine", "2004" as "two thousand four"; other lengths as a number."""
    if len(digits) != 4 or digits[0] == "0" or digits[1:3] == "00":
        return cardinal(digits)
    century, rest = cardinal(digits[:2]), digits[2:]
    if rest == "00":
        return f"{century} hundred"
    return f"{century} oh {cardinal(rest[1])}" if rest[0] == "0" else f"{century} {cardinal(rest)}"


def digit_words(digits: str) -> str:
    """ "407" as "four zero seven"."""
    return " ".join(_ONES[int(digit)] for digit in digits)


def spelt_digits(digits: str) -> str:
    """Digit by digit, in groups a listener can write down: "8005550199" in threes and a four."""
    return ", ".join(digit_words(group) for group in _groups(digits))


def spelt_groups(text: str) -> str:
    """Digit by digit, in the groups the writer made: anything that is no digit parts them, + is spoken."""
    spoken = ", ".join(spelt_digits(group) for group in re.findall(r"[0-9]+", text))
    return f"plus {spoken}" if text.lstrip().startswith("+") else spoken


def spelt(text: str) -> str:
    """Letters by their names and digits one by one: "AB12-C9" as "A, B, one two, C, nine".

    The commas are what makes every engine say the name of the letter A instead of the article.
    """
    parts = [spelt_digits(run) if run.isdigit() else run.upper() for run in _RUNS.findall(text)]
    return ", ".join(parts)


def _groups(digits: str) -> list[str]:
    length = len(digits)
    if length <= 4:
        return [digits] if digits else []
    if length % 4 == 0:
        sizes = [4] * (length // 4)
    elif length % 3 == 0:
        sizes = [3] * (length // 3)
    elif length % 3 == 1:
        sizes = [3] * (length // 3 - 1) + [4]
    else:
        sizes = [3] * (length // 3 - 2) + [4, 4] if length > 5 else [3, 2]
    found, at = [], 0
    for size in sizes:
        found.append(digits[at : at + size])
        at += size
    return found


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        words.append(_TENS[tens] + (f"-{_ONES[ones]}" if ones else ""))
    elif rest:
        words.append(_ONES[rest])
    return " ".join(words)
