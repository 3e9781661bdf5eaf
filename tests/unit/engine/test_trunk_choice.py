"""Which trunk comes first, and when the next one may try."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from callwright.engine.trunk_choice import in_order, may_try_next
from callwright.engine.trunk_setup import Trunk, TrunkPrefix, parse_prefix


def trunk(name: str, *prefixes: str, enabled: bool = True) -> Trunk:
    return Trunk(
        name=name, host="192.0.2.9", enabled=enabled, prefixes=tuple(map(parse_prefix, prefixes)) or (TrunkPrefix(),)
    )


def names(trunks: list[Trunk], digits: str) -> list[str]:
    return [each.name for each in in_order(trunks, digits, lambda: 0.5)]


def test_the_longest_prefix_comes_first_then_the_lowest_priority() -> None:
    trunks = [
        trunk("all"),
        trunk("uk-second", "44:2"),
        trunk("uk-first", "44:1"),
        trunk("mobile", "447:9"),
        trunk("ireland", "353"),
    ]
    assert names(trunks, "447700900123") == ["mobile", "uk-first", "uk-second", "all"]
    assert names(trunks, "441908273800") == ["uk-first", "uk-second", "all"]
    assert names(trunks, "353861234567") == ["ireland", "all"]
    assert names(trunks, "12125550100") == ["all"]


def test_a_trunk_counts_once_with_its_longest_matching_prefix() -> None:
    assert names([trunk("a", "*:1", "44:5"), trunk("b", "44:2")], "441908273800") == ["b", "a"]


def test_disabled_trunks_carry_nothing() -> None:
    assert names([trunk("off", enabled=False), trunk("on")], "441908273800") == ["on"]


def test_no_trunk_for_a_number_is_no_trunk() -> None:
    assert names([trunk("uk", "44")], "353861234567") == []


def test_equals_come_first_in_the_proportion_of_their_weights() -> None:
    dice = random.Random(4)
    trunks = [trunk("three", "*:1:3"), trunk("one", "*:1:1"), trunk("spare", "*:1:0")]
    first = Counter(in_order(trunks, "441908273800", dice.random)[0].name for _ in range(4000))
    assert first["spare"] == 0
    assert 2850 < first["three"] < 3150
    last = {in_order(trunks, "441908273800", dice.random)[-1].name for _ in range(100)}
    assert last == {"spare"}


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504, 580])
def test_a_trunk_that_cannot_carry_the_call_leaves_it_to_the_next(code: int) -> None:
    assert may_try_next(code, local=False, rang=False, trunk_is_down=False)
    assert not may_try_next(code, local=False, rang=True, trunk_is_down=False)


@pytest.mark.parametrize("code", [302, 400, 401, 403, 404, 407, 410, 480, 484, 486, 487, 488, 600, 603, 604, 607])
def test_what_speaks_of_the_person_called_or_of_our_account_is_final(code: int) -> None:
    assert not may_try_next(code, local=False, rang=False, trunk_is_down=True)


def test_an_invite_that_could_not_be_delivered_is_left_to_the_next() -> None:
    assert may_try_next(503, local=True, rang=False, trunk_is_down=False)


def test_silence_counts_only_when_the_trunk_is_known_to_be_down() -> None:
    assert not may_try_next(408, local=True, rang=False, trunk_is_down=False)
    assert may_try_next(408, local=True, rang=False, trunk_is_down=True)
    assert not may_try_next(408, local=True, rang=True, trunk_is_down=True)


@pytest.mark.parametrize(
    ("strip", "add", "digits", "carried"),
    [
        ("49", "0", "49301234567", True),
        ("49", "0", "490449098790123", False),  # would be 00449098790123, a number of another country
        ("49", "0", "4900449098790123", False),
        ("49", "", "4900449098790123", False),
        ("1", "", "1011449098790123", False),  # 011 is what North America dials before a country
        ("39", "", "390612345678", True),  # Italian numbers keep their zero
        ("353", "00", "490449098790123", True),  # not stripped: a full number behind 00, whatever its digits
        ("", "00", "449098790123", True),
    ],
)
def test_no_trunk_carries_a_number_that_its_rewriting_would_turn_into_another(
    strip: str, add: str, digits: str, carried: bool
) -> None:
    rewriting = Trunk(name="a", host="192.0.2.9", strip=strip, add=add)
    assert bool(names([rewriting], digits)) is carried
