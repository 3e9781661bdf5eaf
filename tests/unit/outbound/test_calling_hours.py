from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from callwright.outbound.calling_hours import CallingHours, parse_calling_hours, stored_hours
from callwright.values.errors import RequestError


def hours(
    zone: str = "Europe/London", days: str = "mon-sun", opens: str = "09:00", closes: str = "20:00"
) -> CallingHours:
    return parse_calling_hours({"time_zone": zone, "days": days, "from": opens, "to": closes})


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def opening(window: CallingHours, since: str) -> str:
    moment = datetime.fromisoformat(since)
    return datetime.fromtimestamp(window.next_opening(moment.timestamp()), moment.tzinfo).isoformat()


def test_the_window_is_open_from_its_beginning_until_just_before_its_end() -> None:
    window = hours()
    assert [
        window.is_open(at(f"2026-01-14T{time}+00:00")) for time in ("08:59:59.9", "09:00", "19:59:59.9", "20:00")
    ] == [
        False,
        True,
        True,
        False,
    ]


def test_an_open_window_opens_now() -> None:
    assert hours().next_opening(at("2026-01-14T10:00:00.25+00:00")) == at("2026-01-14T10:00:00.25+00:00")


@pytest.mark.parametrize(
    ("since", "opens"),
    [
        ("2026-01-14T08:00:00+00:00", "2026-01-14T09:00:00+00:00"),
        ("2026-01-14T20:00:00+00:00", "2026-01-15T09:00:00+00:00"),
        ("2026-01-16T20:00:00+00:00", "2026-01-19T09:00:00+00:00"),
        ("2026-07-14T07:30:00+00:00", "2026-07-14T08:00:00+00:00"),
    ],
)
def test_a_closed_window_opens_at_its_next_beginning(since: str, opens: str) -> None:
    assert opening(hours(days="mon-fri"), since) == opens


def test_a_window_over_midnight_belongs_to_the_day_it_opened_on() -> None:
    window = hours(days="fri", opens="22:00", closes="02:00")
    assert window.is_open(at("2026-01-17T01:59:00+00:00"))
    assert not window.is_open(at("2026-01-16T01:59:00+00:00"))
    assert opening(window, "2026-01-17T02:00:00+00:00") == "2026-01-23T22:00:00+00:00"


def test_a_whole_day_is_written_as_0_to_24() -> None:
    window = hours(days="sat-mon", opens="00:00", closes="24:00")
    assert window.days == (0, 5, 6)
    assert window.is_open(at("2026-01-17T23:59:59+00:00"))
    assert opening(window, "2026-01-20T00:00:00+00:00") == "2026-01-24T00:00:00+00:00"


def test_a_beginning_in_an_hour_that_is_skipped_opens_when_the_clock_has_been_put_forward() -> None:
    """New York, 8 March 2026: 02:00 becomes 03:00."""
    window = hours("America/New_York", opens="02:30", closes="12:00")
    assert opening(window, "2026-03-08T01:59:00-05:00") == "2026-03-08T02:00:00-05:00"


def test_a_window_inside_an_hour_that_is_skipped_does_not_open_that_day() -> None:
    window = hours("America/New_York", opens="02:10", closes="02:50")
    assert opening(window, "2026-03-08T01:59:00-05:00") == "2026-03-09T01:10:00-05:00"


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    """New York, 1 November 2026: 02:00 becomes 01:00."""
    window = hours("America/New_York", opens="01:10", closes="01:20")
    assert opening(window, "2026-11-01T01:20:00-04:00") == "2026-11-01T02:10:00-04:00"


def test_a_clock_put_back_into_the_window_opens_it_at_that_instant() -> None:
    window = hours("America/New_York", opens="00:30", closes="01:30")
    assert opening(window, "2026-11-01T01:45:00-04:00") == "2026-11-01T02:00:00-04:00"


def test_a_weekday_that_never_came_is_waited_for_another_week() -> None:
    """Samoa went from Thursday 29 to Saturday 31 December 2011."""
    window = hours("Pacific/Apia", days="fri", opens="09:00", closes="10:00")
    assert opening(window, "2011-12-29T12:00:00-10:00") == "2012-01-05T09:00:00-10:00"


def test_what_is_stored_is_what_was_parsed() -> None:
    window = hours(days="tue,sat-sun")
    assert stored_hours(window.as_text()) == window


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"time_zone": None}, "time_zone"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "/etc/localtime"}, "time_zone"),
        ({"time_zone": "Europe"}, "time_zone"),
        ({"time_zone": 1}, "time_zone"),
        ({"days": ""}, "days"),
        ({"days": "mon-fun"}, "days"),
        ({"days": ["mon"]}, "days"),
        ({"days": "mon-tue-wed"}, "days"),
        ({"from": None}, "from"),
        ({"from": "9:00"}, "from"),
        ({"from": "24:00"}, "from"),
        ({"from": 9}, "from"),
        ({"to": "24:01"}, "to"),
        ({"to": "09:60"}, "to"),
        ({"to": "09:00"}, "to"),
        ({"timezone": "Europe/London"}, "timezone"),
    ],
)
def test_each_mistake_names_its_member(change: dict[str, Any], field: str) -> None:
    good = {"time_zone": "Europe/London", "days": "mon-fri", "from": "09:00", "to": "20:00"}
    with pytest.raises(RequestError) as caught:
        parse_calling_hours(good | change)
    assert caught.value.field == field


@pytest.mark.parametrize("value", [[], "mon-fri", 7, True])
def test_hours_are_an_object(value: object) -> None:
    with pytest.raises(RequestError) as caught:
        parse_calling_hours(value)
    assert caught.value.field == ""
