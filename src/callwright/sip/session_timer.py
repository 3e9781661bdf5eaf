"""Session timers (RFC 4028): who refreshes a call how often, and when a call that nobody refreshes is dead."""

from __future__ import annotations

from dataclasses import dataclass

from callwright.sip.errors import SipParseError
from callwright.sip.headers import Headers, parse_params
from callwright.sip.reliable import has_option

OPTION = "timer"
MIN_SE_S = 90
DEFAULT_S = 1800
_LONGEST_S = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionExpires:
    """A Session-Expires value. ``refresher`` is "uac", "uas" or "" for undecided, as seen by one transaction."""

    seconds: int
    refresher: str = ""

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


def session_expires(headers: Headers) -> SessionExpires | None:
    """Read Session-Expires, None without one; raises SipParseError."""
    value = headers.get("session-expires")
    if value is None:
        return None
    number, semicolon, rest = value.partition(";")
    refresher = (parse_params(semicolon + rest).get("refresher") or "").lower() if semicolon else ""
    return SessionExpires(seconds=_seconds(number), refresher=refresher if refresher in ("uac", "uas") else "")


def min_se(headers: Headers) -> int:
    """Read Min-SE, 90 without one (section 5); raises SipParseError."""
    value = headers.get("min-se")
    return MIN_SE_S if value is None else max(_seconds(value.partition(";")[0]), MIN_SE_S)


def is_too_short(headers: Headers) -> bool:
    """Tell whether a request wants more refreshes than we allow, from a peer that understands 422 (section 9)."""
    wanted = session_expires(headers)
    return wanted is not None and wanted.seconds < MIN_SE_S and has_option(headers, "supported", OPTION)


def answer_to(headers: Headers) -> SessionExpires | None:
    """Return what our 2xx to an INVITE or UPDATE says, None when the request asks for no timer (section 9, table 2)."""
    wanted = session_expires(headers)
    if wanted is None:
        return None
    able = has_option(headers, "supported", OPTION)
    return SessionExpires(
        seconds=max(wanted.seconds, MIN_SE_S), refresher=(wanted.refresher or "uac") if able else "uas"
    )


def answer_headers(agreed: SessionExpires | None) -> list[tuple[str, str]]:
    """Return the headers of a 2xx that agrees."""
    if agreed is None:
        return []
    required = [("Require", OPTION)] if agreed.refresher == "uac" else []
    return [*required, ("Session-Expires", str(agreed))]


@dataclass(slots=True)
class SessionTimer:
    """The running timer of one dialog. ``we_refresh`` says who refreshes."""

    seconds: int
    we_refresh: bool
    refresh_at: float | None
    end_at: float

    def wake_at(self) -> float:
        return self.end_at if self.refresh_at is None else min(self.refresh_at, self.end_at)


def running(agreed: SessionExpires, *, we_refresh: bool, now: float) -> SessionTimer:
    """Start anew: refresh after half the time; hang up a little before the end (section 10)."""
    seconds = min(max(agreed.seconds, MIN_SE_S), _LONGEST_S)
    end_at = now + seconds - min(32.0, seconds / 3)
    return SessionTimer(seconds, we_refresh, now + seconds / 2 if we_refresh else None, end_at)


def _seconds(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise SipParseError(f"{text[:20]!r} is not a number of seconds")
    return int(text)
