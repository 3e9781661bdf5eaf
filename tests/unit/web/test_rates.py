from __future__ import annotations

import pytest

from callwright.web import rates
from callwright.web.rates import RateLimit, address_key


def test_a_seconds_worth_may_come_at_once_and_then_no_more_than_the_rate() -> None:
    limit = RateLimit(4.0)
    assert [limit.wait_s("a", 100.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, pytest.approx(0.25)]
    assert limit.wait_s("a", 100.25) == 0.0
    assert limit.wait_s("a", 100.25) == pytest.approx(0.25)


def test_in_any_second_after_the_first_no_more_than_the_rate_is_taken() -> None:
    limit = RateLimit(10.0)
    taken = [n / 100 for n in range(500) if limit.wait_s("a", n / 100) == 0.0]
    for start in taken:
        assert sum(start + 1 < at <= start + 2 for at in taken) <= 11


def test_who_waits_as_told_is_served_and_being_held_back_costs_nothing() -> None:
    limit = RateLimit(0.5)
    assert limit.wait_s("a", 0.0) == 0.0
    waits = [limit.wait_s("a", 0.5) for _ in range(10)]
    assert waits == [pytest.approx(1.5)] * 10
    assert limit.wait_s("a", 0.5 + waits[0]) == 0.0


def test_keys_do_not_share_and_zero_is_no_limit() -> None:
    limit = RateLimit(1.0)
    assert limit.wait_s("a", 0.0) == limit.wait_s("b", 0.0) == 0.0
    assert limit.wait_s("a", 0.0) > 0
    off = RateLimit(0.0)
    assert not off.is_on
    assert [off.wait_s("a", 0.0) for _ in range(1000)] == [0.0] * 1000


def test_only_the_keys_seen_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_REMEMBERED", 2)
    limit = RateLimit(1.0)
    for key in ("a", "b", "c"):
        assert limit.wait_s(key, 0.0) == 0.0
    assert limit.wait_s("a", 0.0) == 0.0, "only the keys seen last are remembered"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_address_of_ipv6_stands_for_its_64(address: str, key: str) -> None:
    assert address_key(address) == key
