"""What an account has spent, and whether it may spend more (docs/reference/records.md, caps).

Spent is what its closed instances came to, kept by day and written in the transaction that closes them. What open
instances may come to is set aside: it is always the sum over the open records themselves, so nothing can leak, whatever
kills the node. ``authorise`` runs in the transaction that opens a record; transactions run one after the other, so no
number of starts at the same time gets past a cap together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import BigInteger, Connection, bindparam, case, cast, func, insert, select, type_coerce, update

from callwright.db.prepared import Prepared
from callwright.records.rating import Reservation
from callwright.records.tables import adrs, spending
from callwright.values.ids import AccountId
from callwright.values.money import ZERO, Money

DAY_S = 86400

_minutes_after_first = (bindparam("now") - adrs.c.started_at - 60.0) / 60.0
_set_aside = select(
    func.coalesce(func.sum(type_coerce(adrs.c.reserved, BigInteger)), 0),
    func.coalesce(
        func.sum(
            type_coerce(adrs.c.reserved_per_minute, BigInteger)
            * case((_minutes_after_first > 0.0, _minutes_after_first), else_=0.0)
        ),
        0.0,
    ),
).where(adrs.c.account_id == bindparam("of"), adrs.c.stopped_at.is_(None))
_spent_on = Prepared(
    select(spending.c.amount).where(spending.c.account_id == bindparam("of"), spending.c.day == bindparam("on"))
)
_spent_ever = select(cast(func.sum(type_coerce(spending.c.amount, BigInteger)), BigInteger)).where(
    spending.c.account_id == bindparam("of")
)
_begin = Prepared(insert(spending))
_add = Prepared(
    update(spending)
    .where(spending.c.account_id == bindparam("of"), spending.c.day == bindparam("on"))
    .values(amount=spending.c.amount + bindparam("more", type_=spending.c.amount.type))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """``daily`` is for one day (UTC), ``credit`` for all time; None is no limit."""

    daily: Money | None = None
    credit: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where an account stands at a moment: spent on this day and ever, and set aside for what is running."""

    today: Money
    ever: Money
    set_aside: Money


def position(c: Connection, account_id: AccountId, *, now: float) -> Position:
    """Return where an account stands. What runs counts with what it has come to by now at its fixed prices, at least
    with what was set aside when it began.
    """
    at_start, since = c.execute(_set_aside, {"of": account_id, "now": now}).one()
    return Position(
        today=_spent_on.scalar(c, {"of": account_id, "on": day_of(now)}) or ZERO,
        ever=_money(c.scalar(_spent_ever, {"of": account_id}) or 0),
        set_aside=_money(int(at_start) + math.ceil(since)),
    )


def authorise(c: Connection, account_id: AccountId, caps: Caps, wanted: Reservation, *, now: float) -> bool:
    """Return whether an instance may begin for which ``wanted`` would be set aside."""
    if caps.daily is None and caps.credit is None:
        return True
    stands = position(c, account_id, now=now)
    committed = stands.set_aside + wanted.at_start
    if caps.daily is not None and stands.today + committed > caps.daily:
        return False
    return caps.credit is None or stands.ever + committed <= caps.credit


def add(c: Connection, account_id: AccountId, amount: Money, *, at: float) -> None:
    """Count what a closed instance came to."""
    if amount == 0:
        return
    day = day_of(at)
    if _add.change(c, {"of": account_id, "on": day, "more": amount}) == 0:
        _begin.change(c, {"account_id": account_id, "day": day, "amount": amount})


def day_of(at: float) -> int:
    """Return the day of an epoch time, counted from 1970-01-01 UTC."""
    return math.floor(at / DAY_S)


def _money(micro: int) -> Money:
    return Money(Decimal(micro).scaleb(-6))
