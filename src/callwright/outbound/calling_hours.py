"""When somebody may be called: days and hours of the clock on the wall where the telephone is.

Openness is decided by that wall clock alone, read at the moment in question, so it is right on days on which clocks are
changed: an hour that is skipped opens nothing, an hour that comes twice is open twice. Times are epoch seconds.
(docs/reference/queue.md, calling hours)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from callwright.values.errors import RequestError

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
_LOOK_AHEAD_DAYS = (4, 18)  # most windows open within a day; a zone has been known to skip a whole weekday
_SAMPLE_S = 6 * 3600.0  # closer together than any two changes of one clock
_MEMBERS = ("time_zone", "days", "from", "to")
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingHours:
    """A window of minutes of the day, on days counted from Monday (0). One that closes at or before it opens
    goes on after midnight, and belongs to the day on which it opened.
    """

    time_zone: str
    days: tuple[int, ...]
    opens: int
    closes: int

    def is_open(self, at: float) -> bool:
        """Return whether the window is open at an instant."""
        wall = datetime.fromtimestamp(at, _zone(self.time_zone))
        minute = wall.hour * 60 + wall.minute
        today = wall.weekday()
        if self.opens < self.closes:
            return today in self.days and self.opens <= minute < self.closes
        return (today in self.days and minute >= self.opens) or ((today - 1) % 7 in self.days and minute < self.closes)

    def next_opening(self, at: float) -> float:
        """Return the first instant from ``at`` on at which the window is open: ``at`` itself when it is open then."""
        if self.is_open(at):
            return at
        for days in _LOOK_AHEAD_DAYS:
            for candidate in _possible_openings(self, at, days):
                if self.is_open(candidate):
                    return candidate
        return at + 86400.0  # no zone closes a window for so long; were one to, look again then

    def as_text(self) -> str:
        """Return the form in which the hours are stored."""
        return msgspec.json.encode(self).decode()


@lru_cache(maxsize=4096)
def stored_hours(text: str) -> CallingHours:
    """Return the hours that ``as_text`` wrote."""
    return msgspec.json.decode(text, type=CallingHours)


def parse_calling_hours(value: object) -> CallingHours:
    """Parse the ``calling_hours`` of a call; raise ``RequestError`` whose field names the member at fault ("": all)."""
    if not isinstance(value, dict):
        raise RequestError("must be an object with time_zone, from and to", field="")
    if unknown := sorted(str(name) for name in value.keys() - set(_MEMBERS)):
        raise RequestError(f"is not known: the members are {', '.join(_MEMBERS)}", field=unknown[0][:40])
    opens, closes = _minute(value.get("from"), "from"), _minute(value.get("to"), "to")
    if opens == MINUTES_A_DAY:
        raise RequestError("must be before 24:00", field="from")
    if opens == closes:
        raise RequestError("is the same as from: the window would never be open", field="to")
    return CallingHours(
        time_zone=_time_zone(value.get("time_zone")),
        days=_days(value.get("days", "mon-sun")),
        opens=opens,
        closes=closes,
    )


def _time_zone(value: object) -> str:
    if value is None:
        raise RequestError("is missing: a name such as Europe/London", field="time_zone")
    if not isinstance(value, str) or len(value) > 80 or not _ZONE.fullmatch(value):
        raise RequestError("must be a name such as Europe/London", field="time_zone")
    try:
        _zone(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise RequestError(f"'{value}' is not a time zone this machine knows", field="time_zone") from error
    return value


def _days(value: object) -> tuple[int, ...]:
    problem = RequestError('must be days such as "mon-fri" or "mon,wed,sat-sun"', field="days")
    if not isinstance(value, str):
        raise problem
    found: set[int] = set()
    for part in value.lower().split(","):
        first, dash, last = part.strip().partition("-")
        if first not in DAY_NAMES or (dash and last not in DAY_NAMES):
            raise problem
        begin = DAY_NAMES.index(first)
        length = (DAY_NAMES.index(last) - begin) % 7 + 1 if dash else 1
        found.update((begin + n) % 7 for n in range(length))
    return tuple(sorted(found))


def _minute(value: object, field: str) -> int:
    if value is None:
        raise RequestError("is missing: a time such as 09:00", field=field)
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None or (minute := int(found[1]) * 60 + int(found[2])) > MINUTES_A_DAY:
        raise RequestError("must be a time such as 09:00, at most 24:00", field=field)
    return minute


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _possible_openings(hours: CallingHours, at: float, days: int) -> list[float]:
    """Return, in order, every instant of the coming ``days`` (but the last, of which some may lack) at which the window
    can open: where the wall clock shows its beginning, and where that clock is changed.
    """
    zone = _zone(hours.time_zone)
    first = datetime.fromtimestamp(at, zone).date() - timedelta(days=1)
    found: set[float] = set()
    for number in range(days):
        day = first + timedelta(days=number)
        found.update(_beginnings(zone, day, hours.opens), _changes(zone, day))
    return sorted(candidate for candidate in found if at < candidate < at + (days - 3) * 86400.0)


def _beginnings(zone: ZoneInfo, day: date, minute: int) -> set[float]:
    begins = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)
    return {begins.replace(fold=fold).timestamp() for fold in (0, 1)}  # in an hour that comes twice, both


def _changes(zone: ZoneInfo, day: date) -> Iterator[float]:
    """Yield the instants on a day, as UTC counts it, at which a zone's clock is put forward or back."""
    begin = (day - date(1970, 1, 1)) / timedelta(seconds=1)
    for quarter in range(4):
        low = begin + quarter * _SAMPLE_S
        high = low + _SAMPLE_S
        before = _offset(zone, low)
        if before == _offset(zone, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
        yield high


def _offset(zone: ZoneInfo, at: float) -> timedelta | None:
    return datetime.fromtimestamp(at, zone).utcoffset()
