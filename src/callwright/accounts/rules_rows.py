"""The rules of an account, to and from their row."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select

from callwright.accounts.rules import NO_RULES, Rules
from callwright.accounts.tables import account_rules
from callwright.db.prepared import Prepared, Row
from callwright.values.ids import AccountId

_rules_for = Prepared(select(account_rules).where(account_rules.c.account_id == bindparam("of")))


def rules_for(c: Connection, account_id: AccountId) -> Rules:
    """Return the rules of an account."""
    row = _rules_for.first(c, {"of": account_id})
    return NO_RULES if row is None else rules_of(row)


def rules_of(row: RowMapping | Row) -> Rules:
    """Return the rules in the row of an account joined to its rules, the default ones when it has none."""
    if row["account_id"] is None:
        return NO_RULES
    return Rules(
        allow_premium=row["allow_premium"],
        allow_unknown=row["allow_unknown"],
        allowed_prefixes=_prefixes(row["allowed_prefixes"]),
        blocked_prefixes=_prefixes(row["blocked_prefixes"]),
        daily_cap=row["daily_cap"],
        credit=row["credit"],
        max_price=row["max_price"],
    )


def store_rules(c: Connection, account_id: AccountId, rules: Rules) -> None:
    """Keep a row exactly for accounts whose rules are not the default ones."""
    c.execute(delete(account_rules).where(account_rules.c.account_id == account_id))
    if rules == NO_RULES:
        return
    values = {
        "account_id": account_id,
        "allow_premium": rules.allow_premium,
        "allow_unknown": rules.allow_unknown,
        "allowed_prefixes": _text(rules.allowed_prefixes),
        "blocked_prefixes": _text(rules.blocked_prefixes),
        "daily_cap": rules.daily_cap,
        "credit": rules.credit,
        "max_price": rules.max_price,
    }
    c.execute(insert(account_rules), values)


def _text(prefixes: tuple[str, ...]) -> str:
    return msgspec.json.encode(prefixes).decode()


def _prefixes(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])
