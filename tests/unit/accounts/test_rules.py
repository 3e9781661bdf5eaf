from __future__ import annotations

from dataclasses import replace

import pytest

from callwright.accounts.rules import NO_RULES, Rules, check_rules
from callwright.values.errors import RequestError
from callwright.values.money import money


def test_without_lists_every_number_may_be_called() -> None:
    assert NO_RULES.may_call("441908273800")


@pytest.mark.parametrize(
    ("allowed", "blocked", "may"),
    [
        (("44",), (), True),
        (("33",), (), False),
        ((), ("44",), False),
        ((), ("33",), True),
        (("44",), ("441",), False),
        (("4419",), ("441",), True),
        (("441",), ("441",), False),
        (("441", "33"), ("44",), True),
    ],
)
def test_the_longest_fitting_prefix_decides(allowed: tuple[str, ...], blocked: tuple[str, ...], may: bool) -> None:
    assert Rules(allowed_prefixes=allowed, blocked_prefixes=blocked).may_call("441908273800") is may


def test_prefixes_are_kept_as_sorted_digits() -> None:
    rules = check_rules(Rules(allowed_prefixes=("+44", "1", "44"), blocked_prefixes=("+44190",)))
    assert (rules.allowed_prefixes, rules.blocked_prefixes) == (("1", "44"), ("44190",))


@pytest.mark.parametrize("prefix", ["", "+", "044", "4a", "44 1", "٤٤", "1" * 16])
def test_a_prefix_that_begins_no_number_is_refused(prefix: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_rules(Rules(blocked_prefixes=(prefix,)))
    assert refused.value.field == "blocked_prefixes"


def test_too_many_prefixes_are_refused() -> None:
    with pytest.raises(RequestError, match="at most 1000"):
        check_rules(Rules(allowed_prefixes=tuple(str(n) for n in range(1, 1002))))


@pytest.mark.parametrize("field", ["daily_cap", "credit", "max_price"])
@pytest.mark.parametrize("amount", ["-0.01", "0.0000001", "NaN", "Infinity", "1000000001"])
def test_an_impossible_amount_is_refused_by_name(field: str, amount: str) -> None:
    with pytest.raises(RequestError, match=field) as refused:
        check_rules(replace(NO_RULES, **{field: money(amount)}))  # type: ignore[arg-type]
    assert refused.value.field == field
