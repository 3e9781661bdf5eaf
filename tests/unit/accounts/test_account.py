from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.accounts.account import (
    ANY,
    Account,
    AccountType,
    check_caller_ids,
    check_cloud_id,
    check_limits,
    check_username,
    user_key,
)
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId


def account(caller_ids: object = ()) -> Account:
    return Account(
        id=AccountId(1),
        username="bob@example.com",
        cloud_id="0-0-0",
        type=AccountType.DEVELOPER,
        max_cps=1.0,
        min_cps=0.0,
        max_running=None,
        caller_ids=caller_ids,  # type: ignore[arg-type] # both members of the union come through here
        created_at=0.0,
    )


def test_an_account_shows_only_its_own_caller_ids() -> None:
    assert account(("443069990123",)).may_show("443069990123")
    assert account(("443069990123",)).may_show("+443069990123")
    assert not account(("443069990123",)).may_show("443069990124")
    assert not account().may_show("")
    assert account(ANY).may_show("anything")


@pytest.mark.parametrize(
    ("type", "many"), [(AccountType.DEVELOPER, False), (AccountType.PRODUCTION, True), (AccountType.PREMIUM, True)]
)
def test_only_a_developer_starts_one_at_a_time(type: AccountType, many: bool) -> None:
    assert type.may_start_many is many


def test_caller_ids_are_digits_in_order_without_repeats() -> None:
    assert check_caller_ids(["+44-306-9990123", "15550100", "443069990123"]) == ("443069990123", "15550100")
    assert check_caller_ids(ANY) is ANY


@pytest.mark.parametrize("text", ["", "bob", "0441908", "44 1908"])
def test_a_caller_id_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="caller id") as refused:
        check_caller_ids([text])
    assert refused.value.field == "caller_ids"


@pytest.mark.parametrize("name", ["", "bob/x", "bob:x", "bob smith", "bob\n", "b" * 255])
def test_a_user_name_that_basic_authorisation_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_username(name)
    assert refused.value.field == "username"


@pytest.mark.parametrize("cloud_id", ["", "0-0", "0-0-0-0", "a-b-c", "0-0-0 "])
def test_a_cloud_id_is_three_numbers(cloud_id: str) -> None:
    with pytest.raises(RequestError):
        check_cloud_id(cloud_id)
    assert check_cloud_id("1-2-0") == "1-2-0"


@pytest.mark.parametrize(
    ("max_cps", "min_cps", "max_running", "field"),
    [
        (0.0, None, None, "max_cps"),
        (-1.0, None, None, "max_cps"),
        (float("nan"), None, None, "max_cps"),
        (10_001.0, None, None, "max_cps"),
        (1.0, -0.5, None, "min_cps"),
        (None, float("nan"), None, "min_cps"),
        (1.0, 2.0, None, "min_cps"),
        (1.0, 0.5, 0, "max_running"),
    ],
)
def test_impossible_limits_are_refused_by_name(
    max_cps: float | None, min_cps: float | None, max_running: int | None, field: str
) -> None:
    with pytest.raises(RequestError) as refused:
        check_limits(max_cps=max_cps, min_cps=min_cps, max_running=max_running)
    assert refused.value.field == field


def test_limits_may_be_left_to_the_account() -> None:
    check_limits(max_cps=None, min_cps=None, max_running=None)
    check_limits(max_cps=0.5, min_cps=0.5, max_running=1)


@given(st.emails())
def test_user_names_are_compared_without_regard_to_case(name: str) -> None:
    assert user_key(name.upper()) == user_key(name.lower())
