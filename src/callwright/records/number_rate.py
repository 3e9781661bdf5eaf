"""What calls to one range of telephone numbers cost (docs/reference/records.md, rates)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from callwright.values.errors import RequestError
from callwright.values.money import ZERO, Money, part

MAX_RATE_DECIMALS = 6  # what the ledger stores exactly
MAX_RATE = Decimal(10_000)
MAX_STEP_S = 3600
LONGEST_PREFIX = 15  # digits of the longest number there is (E.164)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRate:
    """Prices in US dollars: ``price`` is for a minute, ``fee`` for each call with a duration, ``minimum`` the least
    such a call costs.

    A call is charged for its first ``first_s`` seconds at once and then in steps of ``next_s``. ``prefix`` is the
    beginning of the numbers it is for, "" for all others. ``tollfree`` says under which cost a call is counted.
    """

    prefix: str = ""
    price: Money = ZERO
    first_s: int = 60
    next_s: int = 60
    minimum: Money = ZERO
    fee: Money = ZERO
    tollfree: bool = False

    def __post_init__(self) -> None:
        check_prefix(self.prefix)
        for name in ("price", "minimum", "fee"):
            check_rate(getattr(self, name), name)
        for name in ("first_s", "next_s"):
            if not 1 <= (seconds := getattr(self, name)) <= MAX_STEP_S:
                raise RequestError(f"{name} is {seconds}: it must be 1 to {MAX_STEP_S} seconds", field=name)

    def charged_s(self, duration_s: float) -> int:
        """Return the seconds a call of this shown duration (hundredths) is charged for."""
        if duration_s <= 0:
            return 0
        further = max(Decimal(0), Decimal(str(duration_s)) - self.first_s)
        return self.first_s + math.ceil(further / self.next_s) * self.next_s

    def cost(self, duration_s: float) -> Money:
        """Return what an answered call of this shown duration costs; one that lasted no time at all costs nothing."""
        seconds = self.charged_s(duration_s)
        return ZERO if seconds == 0 else part(max(self.minimum, self.fee + seconds * self.price / 60))


def check_rate(amount: Decimal, field: str) -> None:
    """Raise ``RequestError`` unless ``amount`` can be a rate."""
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_RATE_DECIMALS or not 0 <= amount <= MAX_RATE:
        raise RequestError(
            f"the rate {field} is {amount}: it must be 0 to {MAX_RATE} with at most {MAX_RATE_DECIMALS} decimals",
            field=field,
        )


def check_prefix(prefix: str) -> str:
    """Return ``prefix``, or raise ``RequestError`` unless it can begin a full international number (or is "")."""
    digits = prefix.isascii() and prefix.isdecimal() and prefix[0] != "0" and len(prefix) <= LONGEST_PREFIX
    if prefix and not digits:
        raise RequestError(
            f"'{prefix[:20]}' is not the beginning of a full international number: 1 to {LONGEST_PREFIX} digits, "
            "country code first",
            field="prefix",
        )
    return prefix
