"""Dates, times and amounts of money as English words: shared by the rules and by ``say-as``. Pure."""

from __future__ import annotations

from callwright.speech.numerals import cardinal, number, ordinal, year

MONTHS = ("January February March April May June July August September October November December").split()

# A sign, its names for one and many, and those of its hundredth part.
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "", ""),
    "USD": ("dollar", "dollars", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "EUR": ("euro", "euros", "cent", "cents"),
}


def read_date(first: str, second: str, year_digits: str, region: str) -> str | None:
    """Read a date of numbers, in the order the region writes them, or the only one that makes sense; None: no date."""
    a, b = int(first), int(second)
    month_first = region in ("", "US")
    month, day = (a, b) if month_first else (b, a)
    if month > 12 and day <= 12:
        month, day = day, month
    return spoken_date(month, day, year_digits)


def spoken_date(month: int, day: int, year_digits: str) -> str | None:
    """ "March fifth, twenty twenty-four"; ``year_digits`` may be "" or two digits. None when there is no such day."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    if len(year_digits) == 2:
        year_digits = ("19" if int(year_digits) > 50 else "20") + year_digits
    return f"{MONTHS[month - 1]} {ordinal(str(day))}" + (f", {year(year_digits)}" if year_digits else "")


def spoken_time(hour: str, minute: str, second: str = "", half: str = "") -> str | None:
    """ "nine oh five p.m."; ``half`` is "a", "p" or "". None when there is no such time."""
    if int(hour) > 24 or int(minute or "0") > 59 or int(second or "0") > 59:
        return None
    words = cardinal(str(int(hour)))
    if minute and int(minute):
        words += f" oh {cardinal(minute[1])}" if minute[0] == "0" else f" {cardinal(minute)}"
    elif not half:
        words += " o'clock" if 1 <= int(hour) <= 12 else " hundred hours"
    if second and int(second):
        words += f" and {cardinal(str(int(second)))} second" + ("" if int(second) == 1 else "s")
    return words + (f" {half.lower()}.m." if half else "")


def spoken_money(sign: str, whole: str, decimals: str, scale: str) -> str:
    """ "$", "12", "50", "" as "twelve dollars and fifty cents"."""
    one, many, part, parts = _CURRENCIES[sign]
    if scale:
        return f"{number(whole, decimals)} {scale} {many}"
    if decimals and (len(decimals) != 2 or not part):
        return f"{number(whole, decimals)} {many}"
    big, small = whole.replace(",", "").lstrip("0"), decimals.lstrip("0")
    words = [f"{cardinal(whole)} {one if big == '1' else many}"] if big or not small else []
    if small:
        words.append(f"{cardinal(small)} {part if small == '1' else parts}")
    return " and ".join(words)
