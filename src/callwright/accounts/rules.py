"""What an account may call and spend (docs/reference/accounts.md, rules)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from callwright.values.errors import RequestError
from callwright.values.money import Money

MAX_PREFIXES = 1000
_LONGEST_PREFIX = 15
_MAX_DECIMALS = 6  # what the database stores exactly
_MAX_AMOUNT = Decimal(10) ** 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """``allowed_prefixes`` empty allows every number that is not blocked; of both lists the longest fitting prefix
    decides. Amounts are US dollars, None is no limit: ``daily_cap`` is for one day (UTC), ``credit`` everything the
    account was ever given to spend, ``max_price`` the dearest minute of a call it may place.
    """

    allow_premium: bool = False
    allow_unknown: bool = False
    allowed_prefixes: tuple[str, ...] = ()
    blocked_prefixes: tuple[str, ...] = ()
    daily_cap: Money | None = None
    credit: Money | None = None
    max_price: Money | None = None

    def may_call(self, number: str) -> bool:
        """Return whether the lists of prefixes allow a number, given as digits; a tie is blocked."""
        blocked = _longest(number, self.blocked_prefixes)
        if not self.allowed_prefixes:
            return blocked == 0
        return _longest(number, self.allowed_prefixes) > blocked


NO_RULES: Final = Rules()


def check_rules(rules: Rules) -> Rules:
    """Return ``rules`` with prefixes as digits, sorted; raise ``RequestError`` naming what is impossible."""
    for field in ("daily_cap", "credit", "max_price"):
        _check_amount(getattr(rules, field), field)
    return Rules(
        allow_premium=rules.allow_premium,
        allow_unknown=rules.allow_unknown,
        allowed_prefixes=_prefixes(rules.allowed_prefixes, "allowed_prefixes"),
        blocked_prefixes=_prefixes(rules.blocked_prefixes, "blocked_prefixes"),
        daily_cap=rules.daily_cap,
        credit=rules.credit,
        max_price=rules.max_price,
    )


def _longest(number: str, prefixes: tuple[str, ...]) -> int:
    return max((len(prefix) for prefix in prefixes if number.startswith(prefix)), default=0)


def _prefixes(given: tuple[str, ...], field: str) -> tuple[str, ...]:
    if len(given) > MAX_PREFIXES:
        raise RequestError(f"{field} has {len(given)} prefixes: at most {MAX_PREFIXES} are allowed", field=field)
    digits = {prefix.removeprefix("+") for prefix in given}
    for prefix in digits:
        if not (prefix.isascii() and prefix.isdecimal() and len(prefix) <= _LONGEST_PREFIX and prefix[0] != "0"):
            raise RequestError(
                f"{field}: '{prefix[:20]}' is not the beginning of a full international number", field=field
            )
    return tuple(sorted(digits))


def _check_amount(amount: Money | None, field: str) -> None:
    if amount is None:
        return
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_MAX_DECIMALS or not 0 <= amount <= _MAX_AMOUNT:
        raise RequestError(
            f"{field} is {amount}: it must be 0 to {_MAX_AMOUNT:,f} dollars with at most {_MAX_DECIMALS} decimals",
            field=field,
        )
