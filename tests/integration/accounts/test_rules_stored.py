from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.support.ledger import open_ledger

from callwright.accounts import store
from callwright.accounts.rules import NO_RULES, Rules
from callwright.accounts.rules_rows import rules_for
from callwright.accounts.tables import account_rules
from callwright.values.errors import RequestError
from callwright.values.money import money

RULES = Rules(
    allow_premium=True,
    allow_unknown=True,
    allowed_prefixes=("1", "44"),
    blocked_prefixes=("44190",),
    daily_cap=money("10"),
    credit=money("100.5"),
    max_price=money("0.000001"),
)


def test_rules_come_back_with_the_account_however_it_is_read(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        assert at.account.rules == NO_RULES
        changed = at.db.write_now(lambda c: store.update_account(c, replace(at.account, rules=RULES)))
        assert changed.rules == RULES
        assert at.db.read_now(lambda c: rules_for(c, at.account.id)) == RULES
        assert at.db.read_now(store.list_accounts) == [changed]
        assert at.db.read_now(lambda c: store.find_account(c, "0-0-0", "BOB@example.com")) == changed


def test_default_rules_leave_no_row(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        at.db.write_now(lambda c: store.update_account(c, replace(at.account, rules=RULES)))
        at.db.write_now(lambda c: store.update_account(c, at.account))
        assert at.db.read_now(lambda c: c.scalar(select(func.count()).select_from(account_rules))) == 0
        assert at.db.read_now(lambda c: rules_for(c, at.account.id)) == NO_RULES


def test_impossible_rules_change_nothing(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        wrong = replace(at.account, max_cps=7.0, rules=Rules(daily_cap=money("-1")))
        with pytest.raises(RequestError, match="daily_cap"):
            at.db.write_now(lambda c: store.update_account(c, wrong))
        assert at.db.read_now(lambda c: store.get_account(c, at.account.id)) == at.account
