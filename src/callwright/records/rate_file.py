"""Number rates as a CSV file, as carriers send them (docs/reference/records.md, rate files)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from io import StringIO

from callwright.records.number_rate import NumberRate
from callwright.values.errors import RequestError
from callwright.values.money import ZERO, Money

COLUMNS = ("prefix", "price", "first", "next", "minimum", "fee", "tollfree")
MAX_PROBLEMS = 100

_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class RateFile:
    """What a file says: ``rates`` in its order, and ``problems``, each a sentence that begins with its line."""

    rates: tuple[NumberRate, ...]
    problems: tuple[str, ...]


def read_rate_file(text: str) -> RateFile:
    """Read a CSV file with a heading: ``prefix`` and ``price`` are needed, the other columns may be left out or empty.

    Further columns are ignored. A prefix that comes twice is a problem; at most ``MAX_PROBLEMS`` are told.
    """
    reader = csv.DictReader(StringIO(text.removeprefix("\ufeff")), strict=True)
    problems: list[str] = []
    rates: dict[str, tuple[int, NumberRate]] = {}
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if missing := [name for name in COLUMNS[:2] if name not in reader.fieldnames]:
            return RateFile(
                rates=(),
                problems=(
                    f"line 1: the heading has no column {' and no '.join(missing)}: it may have {', '.join(COLUMNS)}",
                ),
            )
        for row in reader:
            if len(problems) >= MAX_PROBLEMS:
                problems.append("there are more problems: mend these first")
                break
            try:
                rate = _rate(row)
                if rate.prefix in rates:
                    raise RequestError(f"the prefix '{rate.prefix}' came before, in line {rates[rate.prefix][0]}")
            except RequestError as error:
                problems.append(f"line {reader.line_num}: {error}")
            else:
                rates[rate.prefix] = reader.line_num, rate
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: this is not CSV: {error}")
    if not rates and not problems:
        problems.append("the file has no rates")
    return RateFile(rates=tuple(rate for _, rate in rates.values()), problems=tuple(problems))


def write_rate_file(rates: Iterable[NumberRate]) -> str:
    """Return number rates as the text of a file that ``read_rate_file`` understands."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rate in rates:
        writer.writerow(
            (
                rate.prefix,
                f"{rate.price:f}",
                rate.first_s,
                rate.next_s,
                f"{rate.minimum:f}",
                f"{rate.fee:f}",
                "true" if rate.tollfree else "false",
            )
        )
    return out.getvalue()


def _rate(row: Mapping[str, str | None]) -> NumberRate:
    given = {name: (row.get(name) or "").strip() for name in COLUMNS}
    prefix = given["prefix"].removeprefix("+").replace(" ", "").replace("-", "")
    if not prefix:
        raise RequestError("the prefix is empty", field="prefix")
    if not given["price"]:
        raise RequestError("the price is empty", field="price")
    if given["tollfree"].lower() not in _TRUTHS:
        raise RequestError(f"tollfree is '{given['tollfree'][:20]}': it must be true or false", field="tollfree")
    return NumberRate(
        prefix=prefix,
        price=_amount(given["price"], "price"),
        first_s=_seconds(given["first"], "first"),
        next_s=_seconds(given["next"], "next"),
        minimum=_amount(given["minimum"], "minimum"),
        fee=_amount(given["fee"], "fee"),
        tollfree=_TRUTHS[given["tollfree"].lower()],
    )


def _amount(text: str, field: str) -> Money:
    if not text:
        return ZERO
    try:
        return Money(Decimal(text))
    except InvalidOperation as error:
        raise RequestError(f"{field} is '{text[:20]}': it must be an amount such as 0.0125", field=field) from error


def _seconds(text: str, field: str) -> int:
    if not text:
        return 60
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise RequestError(f"{field} is '{text[:20]}': it must be whole seconds", field=field)
    return int(text)
