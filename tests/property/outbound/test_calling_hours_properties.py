"""Nothing is ever dialled outside its calling hours, in any zone, on any day on which clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.outbound.calling_hours import CallingHours

ZONES = sorted(available_timezones())
MINUTE_S = 60.0
SINCE, UNTIL = 946_684_800, 2_145_916_800  # 2000 to 2037

windows = st.tuples(
    st.integers(0, 1439), st.integers(1, 1440), st.sets(st.integers(0, 6), min_size=1).map(sorted).map(tuple)
).filter(lambda window: window[0] != window[1])


def is_open_by_the_wall(hours: CallingHours, at: float) -> bool:
    """Read the clock on the wall another way: from the offset, by minutes of the week."""
    instant = datetime.fromtimestamp(at, UTC)
    offset = instant.astimezone(ZoneInfo(hours.time_zone)).utcoffset()
    assert offset is not None
    wall = instant.replace(tzinfo=None) + offset
    minute = (wall.weekday() * 1440 + wall.hour * 60 + wall.minute) % 10_080
    length = (hours.closes - hours.opens) % 1440 or 1440
    return any((minute - (day * 1440 + hours.opens)) % 10_080 < length for day in hours.days)


def put_forward_or_back(zone: str) -> list[float]:
    """Return instants of the years around now at which the clock of a zone is changed, to the minute."""
    found = []
    tz = ZoneInfo(zone)
    at = datetime(2024, 1, 1, tzinfo=UTC)
    while at.year < 2028:
        later = at + timedelta(days=1)
        if at.astimezone(tz).utcoffset() != later.astimezone(tz).utcoffset():
            low, high = at, later
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                changed = at.astimezone(tz).utcoffset() != middle.astimezone(tz).utcoffset()
                low, high = (low, middle) if changed else (middle, high)
            found.append(high.timestamp())
        at = later
    return found


def check(hours: CallingHours, at: float, chosen: list[float]) -> None:
    opens = hours.next_opening(at)
    assert opens >= at
    assert hours.is_open(opens)
    assert is_open_by_the_wall(hours, opens)
    assert hours.is_open(at) == is_open_by_the_wall(hours, at) == (opens == at)
    for part in (*chosen, 0.999999):  # the first opening: at no instant before it may anybody be dialled
        before = at + part * (opens - at)
        assert before == opens or not is_open_by_the_wall(hours, before)


@settings(max_examples=1500, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    window=windows,
    at=st.floats(SINCE, UNTIL),
    chosen=st.lists(st.floats(0, 0.9999), min_size=4, max_size=4),
)
def test_the_next_opening_is_open_and_is_the_first(
    zone: str, window: tuple[int, int, tuple[int, ...]], at: float, chosen: list[float]
) -> None:
    opens, closes, days = window
    check(CallingHours(time_zone=zone, days=days, opens=opens, closes=closes), at, chosen)


@pytest.mark.parametrize("part", range(6))
def test_in_every_zone_windows_are_right_around_each_change_of_its_clock(part: int) -> None:
    for zone in ZONES[part::6]:
        changes = put_forward_or_back(zone)[:4]
        for change in changes:
            for opens, closes in ((0, 1440), (30, 90), (120, 180), (150, 540), (1380, 120)):
                hours = CallingHours(time_zone=zone, days=tuple(range(7)), opens=opens, closes=closes)
                for minutes in (-150, -61, -1, 0, 1, 59, 61):
                    check(hours, change + minutes * MINUTE_S, [0.25, 0.5, 0.75])
