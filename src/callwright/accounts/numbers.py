"""What is known of a telephone number from its digits: country, kind, canonical form (docs/reference/accounts.md).

The facts come from the ``phonenumbers`` library, which reads a country's data when its first number is asked for: that
takes some milliseconds, a number of a known country some 50 µs, and one asked for lately well under 1 µs.
``describe`` blocks for as long as that takes, so long lists belong in a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberType, shortnumberinfo

from callwright.values.destination import parse_number
from callwright.values.errors import RequestError

REMEMBERED = 50_000  # numbers; some 20 MB when full
_LONGEST_COUNTRY_CODE = 3
_SHORTEST_INTERNATIONAL = 7  # digits with the country code: no country has subscribers with fewer
_LONGEST_SHORT = 9  # digits, country code included: short codes have at most 6 behind it
_SATELLITE = frozenset({"870", "881", "882", "883", "878"})  # ITU E.164 list: satellite and other worldwide networks
_INTERNATIONAL_PREMIUM = "979"  # ITU E.164.2: international premium rate service


class NumberKind(StrEnum):
    """What a number is for, as far as a caller must know."""

    ORDINARY = "ordinary"
    TOLL_FREE = "toll_free"
    PREMIUM = "premium"
    SHARED_COST = "shared_cost"
    SATELLITE = "satellite"
    UNKNOWN = "unknown"
    """No such country code, or no such number in its country as far as the numbering data knows."""
    SHORT_CODE = "short_code"
    """Reachable inside one country only, such as a directory service."""
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFacts:
    """``number`` is the canonical form: full international digits, of a known number without a trunk 0 after the
    country code.

    ``country`` is the region in ISO 3166 letters, "001" for a worldwide network, "" when there is none.
    """

    number: str
    country: str
    kind: NumberKind


_KINDS = {
    PhoneNumberType.PREMIUM_RATE: NumberKind.PREMIUM,
    PhoneNumberType.SHARED_COST: NumberKind.SHARED_COST,
    PhoneNumberType.TOLL_FREE: NumberKind.TOLL_FREE,
}


@lru_cache(maxsize=REMEMBERED)
def describe(digits: str) -> NumberFacts:
    """Return what is known of a full international number given as digits."""
    try:
        parsed = phonenumbers.parse(f"+{digits}")
        kind = phonenumbers.number_type(parsed)
    except phonenumbers.NumberParseException:
        parsed, kind = None, PhoneNumberType.UNKNOWN
    short = len(digits) <= _LONGEST_SHORT or kind == PhoneNumberType.UNKNOWN
    if short and (hidden := _short(digits)) is not None:
        return NumberFacts(number=digits, country="", kind=hidden)
    if parsed is None:
        return NumberFacts(number=digits, country="", kind=NumberKind.UNKNOWN)
    code = str(parsed.country_code)
    number = code + phonenumbers.national_significant_number(parsed)
    if code in _SATELLITE:
        return NumberFacts(number=number, country="001", kind=NumberKind.SATELLITE)
    if code == _INTERNATIONAL_PREMIUM:
        return NumberFacts(number=number, country="001", kind=NumberKind.PREMIUM)
    country = phonenumbers.region_code_for_number(parsed) or ""
    if kind == PhoneNumberType.UNKNOWN or not country:
        return NumberFacts(number=digits, country=country, kind=NumberKind.UNKNOWN)
    return NumberFacts(number=number, country=country, kind=_KINDS.get(kind, NumberKind.ORDINARY))


def canonical(text: str) -> str:
    """Return the canonical digits of a number as people write it, or raise ``RequestError``.

    With a leading "+" or "00", spaces, dots, dashes, brackets and a trunk "(0)" are understood.
    """
    stripped = "".join(text.split())
    written = "+" + stripped[2:] if stripped.startswith("00") else stripped
    try:
        return describe(parse_number(written)).number
    except RequestError:
        if not written.startswith("+") or any(c.isalpha() for c in written):
            raise
    try:
        parsed = phonenumbers.parse(written)
    except phonenumbers.NumberParseException as error:
        raise RequestError(f"'{text[:40]}' is not a full international telephone number: {error}") from error
    return describe(f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)}").number


def load_all() -> None:
    """Read the data of every country now (some 0.2 s): the first number of a country then costs no more than others."""
    for region in phonenumbers.SUPPORTED_REGIONS:
        PhoneMetadata.metadata_for_region(region)
        PhoneMetadata.short_metadata_for_region(region)


def _short(digits: str) -> NumberKind | None:
    """Return the kind of a number that only works inside a country, dialled alone or behind its country code."""
    if len(digits) < _SHORTEST_INTERNATIONAL and any(
        shortnumberinfo.is_emergency_number(digits, region) for region in phonenumbers.SUPPORTED_REGIONS
    ):
        return NumberKind.EMERGENCY
    for length in range(1, _LONGEST_COUNTRY_CODE + 1):
        rest = digits[length:]
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length]), ()) if rest else ()
        if any(shortnumberinfo.is_emergency_number(rest, region) for region in regions if region != "001"):
            return NumberKind.EMERGENCY
        if any(_is_short_code(rest, region) for region in regions if region != "001"):
            return NumberKind.SHORT_CODE
    return NumberKind.SHORT_CODE if len(digits) < _SHORTEST_INTERNATIONAL else None


def _is_short_code(rest: str, region: str) -> bool:
    code = phonenumbers.country_code_for_region(region)
    parsed = (
        phonenumbers.PhoneNumber(country_code=code, national_number=int(rest)) if not rest.startswith("0") else None
    )
    if parsed is None or phonenumbers.is_valid_number(parsed):
        return False
    return bool(shortnumberinfo.is_valid_short_number_for_region(parsed, region))
