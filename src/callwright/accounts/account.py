"""An account: who owns services, numbers, records and bills (docs/reference/accounts.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from callwright.accounts.rules import NO_RULES, Rules
from callwright.values.destination import parse_number
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId

DEFAULT_MAX_CPS = 1.0  # our choice, docs/reference/accounts.md: new accounts start one service a second


class AccountType(StrEnum):
    DEVELOPER = "developer"
    PRODUCTION = "production"
    PREMIUM = "premium"

    @property
    def may_start_many(self) -> bool:
        """Whether one request may start more than one service."""
        return self is not AccountType.DEVELOPER


class AnyCallerId(Enum):
    """The account may show any number: for the demo, the sandbox and trusted operators."""

    ANY = "any"


ANY: Final = AnyCallerId.ANY

CallerIds = tuple[str, ...] | AnyCallerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as the rest of the product sees it: without its secrets.

    ``caller_ids`` are full international numbers, digits only. ``max_running`` None means no limit of its own.
    """

    id: AccountId
    username: str
    cloud_id: str
    type: AccountType
    max_cps: float
    min_cps: float
    max_running: int | None
    caller_ids: CallerIds
    created_at: float
    rules: Rules = NO_RULES

    def may_show(self, caller_id: str) -> bool:
        """Return whether this account has validated ``caller_id``, given as digits with or without a leading '+'."""
        return isinstance(self.caller_ids, AnyCallerId) or caller_id.removeprefix("+") in self.caller_ids


_CLOUD_ID = re.compile(r"\d+-\d+-\d+")
_USERNAME = re.compile(r"[^\s/:\x00-\x1f\x7f]{1,254}")


def user_key(username: str) -> str:
    """Return the form in which user names are compared: without regard to case."""
    return username.casefold()


def check_cloud_id(cloud_id: str) -> str:
    """Return ``cloud_id``, or raise ``RequestError`` unless it is three numbers such as ``0-0-0``."""
    if not _CLOUD_ID.fullmatch(cloud_id):
        raise RequestError(f"the cloud id '{cloud_id[:40]}' is not three numbers such as 0-0-0", field="cloud_id")
    return cloud_id


def check_username(username: str) -> str:
    """Return ``username``, or raise ``RequestError`` unless Basic authorisation can carry it.

    "/" separates it from the cloud id and the service, ":" from the password (RFC 7617 section 2).
    """
    if not _USERNAME.fullmatch(username):
        raise RequestError(
            f"the user name '{username[:60]}' must have 1 to 254 characters without spaces, '/' and ':'",
            field="username",
        )
    return username


def check_limits(*, max_cps: float | None, min_cps: float | None, max_running: int | None) -> None:
    """Raise ``RequestError`` unless the limits are possible; None means not limited here."""
    if max_cps is not None and not 0 < max_cps <= 10_000:
        raise RequestError(
            f"max_cps is {max_cps}: it must be above 0 and at most 10000 starts a second", field="max_cps"
        )
    if min_cps is not None and not min_cps >= 0:  # said so that it refuses a NaN too
        raise RequestError(f"min_cps is {min_cps}: it cannot be negative", field="min_cps")
    if max_cps is not None and min_cps is not None and min_cps > max_cps:
        raise RequestError(f"min_cps {min_cps} is above max_cps {max_cps}", field="min_cps")
    if max_running is not None and max_running < 1:
        raise RequestError(
            f"max_running is {max_running}: at least 1 instance must be able to run", field="max_running"
        )


def check_caller_ids(given: Iterable[str] | AnyCallerId) -> CallerIds:
    """Return caller ids as digits, in order and without repeats; raise ``RequestError`` for one that is no number."""
    if isinstance(given, AnyCallerId):
        return given
    numbers: dict[str, None] = {}
    for text in given:
        try:
            numbers[parse_number(text)] = None
        except RequestError as error:
            raise RequestError(f"caller id: {error}", field="caller_ids") from error
    return tuple(numbers)
