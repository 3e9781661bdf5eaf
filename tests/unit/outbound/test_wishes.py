from __future__ import annotations

from typing import Any

import pytest

from callwright.accounts.account import AccountType
from callwright.outbound.request import RequestProblems, StartRequest, digest, parse_rest_calls
from callwright.outbound.retry import Again, RetryPlan
from callwright.outbound.wishes import NO_WISHES, Wishes

TEL = {"to": "tel:443069990123", "from": "441908273800"}
NINE = 1_893_488_400.0  # 2030-01-01 09:00 UTC
HOURS = {"time_zone": "UTC", "from": "09:00", "to": "20:00"}


def wishes(**members: Any) -> Wishes:
    (start,) = parse_rest_calls(TEL | members, account_type=AccountType.PREMIUM)
    return start.wishes


def test_a_call_without_wishes_has_none() -> None:
    assert wishes() is NO_WISHES
    assert wishes(priority=None, retry=None) == NO_WISHES


def test_all_wishes_are_read() -> None:
    found = wishes(
        start_after=NINE,
        expires_at=NINE + 60,
        ring_timeout=20,
        max_duration=90.5,
        priority=-10,
        calling_hours=HOURS,
        retry={"busy": {"after": 300, "times": 2}},
    )
    assert found.calling_hours is not None
    assert (found.calling_hours.opens, found.calling_hours.closes) == (540, 1200)
    assert found.retry == RetryPlan(busy=Again(after_s=300.0, times=2))
    assert (found.start_after, found.expires_at) == (NINE, NINE + 60)
    assert (found.ring_timeout_s, found.max_duration_s, found.priority) == (20.0, 90.5, -10)


@pytest.mark.parametrize(
    "text",
    ["2030-01-01T09:00:00Z", "2030-01-01T10:00+01:00", "2030-01-01T10:00:00.000+0100", "2030-01-01t04:00:00-05:00"],
)
def test_an_instant_may_be_text_with_a_zone(text: str) -> None:
    assert wishes(start_after=text).start_after == NINE


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("start_after", "2030-01-01T09:00:00", "start_after"),
        ("start_after", "2030-02-30T09:00:00Z", "start_after"),
        ("start_after", "1893488400", "start_after"),
        ("start_after", "tomorrow", "start_after"),
        ("start_after", True, "start_after"),
        ("start_after", NINE * 1000, "start_after"),
        ("expires_at", -1, "expires_at"),
        ("expires_at", float("inf"), "expires_at"),
        ("ring_timeout", 0, "ring_timeout"),
        ("ring_timeout", 601, "ring_timeout"),
        ("ring_timeout", "20", "ring_timeout"),
        ("ring_timeout", float("nan"), "ring_timeout"),
        ("max_duration", 86_401, "max_duration"),
        ("max_duration", False, "max_duration"),
        ("priority", 11, "priority"),
        ("priority", 1.0, "priority"),
        ("priority", True, "priority"),
        ("calling_hours", {**HOURS, "time_zone": "?"}, "calling_hours.time_zone"),
        ("calling_hours", [], "calling_hours"),
        ("retry", {"busy": {"after": -1}}, "retry.busy.after"),
        ("retry", {}, "retry"),
    ],
)
def test_each_mistake_names_its_member(name: str, value: Any, field: str) -> None:
    with pytest.raises(RequestProblems) as caught:
        wishes(**{name: value})
    assert [(problem.kind, problem.field) for problem in caught.value.problems] == [("invalid", f"rest_calls.{field}")]


def test_a_start_cannot_expire_before_it_may_begin() -> None:
    with pytest.raises(RequestProblems, match="expires_at"):
        wishes(start_after=NINE, expires_at=NINE)


def test_the_digest_tells_wishes_apart_and_is_unchanged_without() -> None:
    plain = StartRequest(given_to="tel:443069990123")
    others = [Wishes(priority=1), Wishes(start_after=NINE), Wishes(retry=RetryPlan(busy=Again(after_s=1, times=1)))]
    digests = {digest("s", [plain])} | {digest("s", [StartRequest(given_to=plain.given_to, wishes=w)]) for w in others}
    assert len(digests) == 4
    assert digest("s", [plain]).hex() == "7c967fb1a0a2a83fb9d724d1e13a0abc21909197d76ad44f739970be3476c11f"


def test_a_start_is_due_at_once_or_when_wished_or_at_the_next_opening() -> None:
    early = NINE - 3600.0
    assert NO_WISHES.due_at(early) == early
    assert Wishes(start_after=NINE).due_at(early) == NINE
    assert Wishes(start_after=NINE).due_at(NINE + 5) == NINE + 5
    assert wishes(calling_hours=HOURS, start_after=early).due_at(0.0) == NINE


def test_a_start_waits_its_time_from_when_it_is_due_or_until_it_expires() -> None:
    assert NO_WISHES.wait_until(now=10.0, due_at=50.0, max_wait_s=100.0) == 150.0
    assert Wishes(expires_at=70.0).wait_until(now=10.0, due_at=50.0, max_wait_s=100.0) == 70.0
    assert Wishes(expires_at=5.0).wait_until(now=10.0, due_at=10.0, max_wait_s=100.0) == 10.0
