"""Rate cards in the database: one default, and one of its own for each account that has other prices
(docs/reference/records.md, rates).

A card is whole: an account with a card of its own pays nothing by the default one. Without any card the node's
settings have the prices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, ScalarSelect, bindparam, delete, func, insert, select, update

from callwright.db.prepared import Prepared
from callwright.records.number_rate import LONGEST_PREFIX, NumberRate
from callwright.records.settings import RateCard
from callwright.records.tables import number_rates, rate_cards
from callwright.values.ids import AccountId

_CHUNK = 1000  # rates in one statement
_DEFAULT = 0  # the id of the default card; those of accounts have the account's, which are greater

_in_force = Prepared(
    select(rate_cards.c.id, rate_cards.c.rates)
    .where(rate_cards.c.id.in_((bindparam("of"), _DEFAULT)))
    .order_by(rate_cards.c.id.desc())
    .limit(1)
)
_PREFIX_LENGTHS = range(LONGEST_PREFIX + 1)
_longest_prefix = Prepared(
    select(number_rates)
    .where(
        number_rates.c.card_id == bindparam("of"),
        number_rates.c.prefix.in_([bindparam(f"p{length}") for length in _PREFIX_LENGTHS]),
    )
    .order_by(func.length(number_rates.c.prefix).desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The prices of an instance that begins now: its card (None: the node's settings) and the rate of the number it
    calls (None: that of the card).
    """

    card: RateCard | None = None
    number: NumberRate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What storing a list of number rates does to a card."""

    added: int
    changed: int
    unchanged: int
    removed: int


def prices(c: Connection, account_id: AccountId, number: str | None) -> Prices:
    """Return the prices in force for an account and a telephone number (digits), or for no number."""
    found = _in_force.first(c, {"of": account_id})
    return Prices() if found is None else prices_of(c, found["id"], found["rates"], number)


def prices_of(c: Connection, card_id: int, rates: str, number: str | None) -> Prices:
    """Return the prices of a card, given its row, as ``prices`` does."""
    card = msgspec.json.decode(rates, type=RateCard)
    return Prices(card=card, number=None if number is None else _number_rate(c, card_id, number) or card.number(number))


def card_in_force(account_id: ColumnElement[Any]) -> ScalarSelect[int]:
    """Return the id of the card in force for an account, for a statement to join it by; NULL when there is none."""
    card = rate_cards.alias()
    return select(func.max(card.c.id)).where(card.c.id.in_((account_id, _DEFAULT))).scalar_subquery()


def card_of(c: Connection, account_id: AccountId | None) -> RateCard | None:
    """Return the card of an account, or (None) the default one; None when there is none."""
    text: str | None = c.scalar(select(rate_cards.c.rates).where(_of(account_id)))
    return None if text is None else msgspec.json.decode(text, type=RateCard)


def store_card(c: Connection, account_id: AccountId | None, rates: RateCard, *, now: float) -> None:
    """Store the card of an account, or the default one; its number rates stay. Calls that are up keep their prices."""
    text = msgspec.json.encode(rates).decode()
    if c.execute(update(rate_cards).where(_of(account_id)).values(rates=text, changed_at=now)).rowcount == 0:
        card = {"id": account_id or _DEFAULT, "account_id": account_id, "rates": text, "changed_at": now}
        c.execute(insert(rate_cards), card)


def drop_card(c: Connection, account_id: AccountId | None) -> bool:
    """Remove a card with its number rates; return False when there was none."""
    c.execute(delete(number_rates).where(number_rates.c.card_id == (account_id or _DEFAULT)))
    return bool(c.execute(delete(rate_cards).where(_of(account_id))).rowcount)


def number_rates_of(c: Connection, account_id: AccountId | None) -> dict[str, NumberRate]:
    """Return the number rates of a card by their prefixes, in order."""
    wanted = select(number_rates).join(rate_cards).where(_of(account_id)).order_by(number_rates.c.prefix)
    return {row["prefix"]: _rate(row) for row in c.execute(wanted).mappings()}


def count_number_rates(c: Connection, account_id: AccountId | None) -> int:
    return c.scalar(select(func.count()).select_from(number_rates).join(rate_cards).where(_of(account_id))) or 0


def change(before: Mapping[str, NumberRate], rates: Iterable[NumberRate], *, replace: bool) -> Change:
    """Return what storing ``rates`` would do to a card that has ``before``; ``replace`` removes all others."""
    wanted = {rate.prefix: rate for rate in rates}
    return Change(
        added=len(wanted.keys() - before.keys()),
        changed=sum(prefix in before and before[prefix] != rate for prefix, rate in wanted.items()),
        unchanged=sum(before.get(prefix) == rate for prefix, rate in wanted.items()),
        removed=len(before.keys() - wanted.keys()) if replace else 0,
    )


def store_number_rates(
    c: Connection,
    account_id: AccountId | None,
    rates: Collection[NumberRate],
    *,
    now: float,
    replace: bool = False,
    card: RateCard | None = None,
) -> Change:
    """Store number rates on a card, making the card (like ``card``) when there is none; return what that changed."""
    if card_of(c, account_id) is None:
        store_card(c, account_id, card or RateCard(), now=now)
    before = number_rates_of(c, account_id)
    done = change(before, rates, replace=replace)
    wanted = {rate.prefix: rate for rate in rates}
    stale = [prefix for prefix in before if (wanted.get(prefix, before[prefix]) != before[prefix])]
    remove_number_rates(c, account_id, stale if not replace else [*stale, *(before.keys() - wanted.keys())])
    rows = [
        {
            "card_id": account_id or _DEFAULT,
            "prefix": rate.prefix,
            "price": rate.price,
            "first_s": rate.first_s,
            "next_s": rate.next_s,
            "minimum": rate.minimum,
            "fee": rate.fee,
            "tollfree": rate.tollfree,
        }
        for prefix, rate in wanted.items()
        if before.get(prefix) != rate
    ]
    if rows:
        c.execute(insert(number_rates), rows)
    return done


def remove_number_rates(c: Connection, account_id: AccountId | None, prefixes: Sequence[str]) -> int:
    """Remove number rates from a card; return how many there were."""
    removed = 0
    for at in range(0, len(prefixes), _CHUNK):
        some = list(prefixes[at : at + _CHUNK])
        gone = delete(number_rates).where(
            number_rates.c.card_id == (account_id or _DEFAULT), number_rates.c.prefix.in_(some)
        )
        removed += c.execute(gone).rowcount
    return removed


def _number_rate(c: Connection, card_id: int, number: str) -> NumberRate | None:
    beginnings = {f"p{length}": number[:length] for length in _PREFIX_LENGTHS}  # a short number comes several times
    row = _longest_prefix.first(c, {"of": card_id, **beginnings})
    return None if row is None else _rate(row)


def _rate(row: Mapping[Any, Any]) -> NumberRate:
    fields = dict(row)
    del fields["card_id"]
    return NumberRate(**fields)


def _of(account_id: AccountId | None) -> ColumnElement[bool]:
    return rate_cards.c.id == (account_id or _DEFAULT)
