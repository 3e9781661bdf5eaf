"""Keeps one registration alive (RFC 3261 section 10.2): a timed machine that says when to send REGISTER and what with.

registering   -> registered    2xx: refreshed a margin before it expires
              -> registering   423 with a larger Min-Expires: asked again at once with that
              -> waiting       anything else, or no answer: tried again after a growing pause (RFC 5626 section 4.5)
registered    -> registering   its time came
waiting       -> registering   its time came
any           -> unregistering -> over    told to stop: REGISTER with Expires 0 when there is something to remove

One REGISTER is open at a time (section 10.2); challenges are answered below, by the Asker that carries it. A
registration outlives failed refreshes until it expires.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from callwright.sip.errors import SipParseError
from callwright.sip.event import Pairs
from callwright.sip.headers import header_value, parse_address, plain_name, split_commas
from callwright.sip.uri import SipUri, parse_uri

MARGIN_S = 60.0  # a long registration is refreshed this long before it expires
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
LONGEST_EXPIRES_S = 86_400


class RegistrationState(StrEnum):
    REGISTERING = "registering"
    REGISTERED = "registered"
    WAITING = "waiting"
    UNREGISTERING = "unregistering"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRegister:
    """A REGISTER to send, asking for so many seconds; 0 removes the registration."""

    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The registrar has us until ``until``."""

    at: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationFailed:
    """It did not work; the next try is at ``retry_at``. ``code`` 408 with ``local`` is silence."""

    at: float
    code: int
    reason: str
    local: bool
    retry_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unregistered:
    """Nothing is registered any more, and nothing more is tried."""

    at: float


RegistrationEvent = Registered | RegistrationFailed | Unregistered


class Registration:
    """One registration of ``contact`` (a SIP URI). ``chance`` gives numbers from 0 up to 1."""

    def __init__(self, *, contact: str, expires_s: int, chance: Callable[[], float], now: float) -> None:
        self.state = RegistrationState.WAITING
        self.until: float | None = None
        self._contact = contact
        self._expires_s = expires_s
        self._chance = chance
        self._failures = 0
        self._stopping = False
        self._next_at: float | None = now
        self._sends: list[SendRegister] = []
        self._events: list[RegistrationEvent] = []

    def is_registered(self, now: float) -> bool:
        return self.until is not None and now < self.until

    # --- the timed machine

    def receive(self, *, code: int, reason: str, headers: Pairs, local: bool, now: float) -> None:
        """Take what the open REGISTER ended with."""
        if self.state is RegistrationState.UNREGISTERING:
            self._end(now)
        elif self.state is RegistrationState.REGISTERING:
            if 200 <= code < 300:
                self._accepted(headers, now)
            elif code == 423 and not local and self._may_ask_longer(headers):
                self._send(RegistrationState.REGISTERING, self._expires_s)
            else:
                self._failed(code, reason, headers, local, now)
            if self._stopping:
                self._unregister(now)

    def wake(self, now: float) -> None:
        """Register, or refresh."""
        if self._next_at is not None and self._next_at <= now:
            self._send(RegistrationState.REGISTERING, self._expires_s)

    def wake_at(self) -> float | None:
        return self._next_at

    def take_sends(self) -> list[SendRegister]:
        sends, self._sends = self._sends, []
        return sends

    def take_events(self) -> list[RegistrationEvent]:
        events, self._events = self._events, []
        return events

    def stop(self, now: float) -> None:
        """Remove the registration and be over; asked twice, it does nothing more."""
        if self._stopping:
            return
        self._stopping = True
        if self.state is not RegistrationState.REGISTERING:
            self._unregister(now)

    # --- inside

    def _send(self, state: RegistrationState, expires_s: int) -> None:
        self.state = state
        self._next_at = None
        self._sends.append(SendRegister(expires_s=expires_s))

    def _accepted(self, headers: Pairs, now: float) -> None:
        granted = granted_expires(headers, self._contact)
        expires_s = self._expires_s if granted is None else granted
        if expires_s == 0:
            self._failed(200, "the registrar keeps no registration", headers, False, now)
            return
        self._failures = 0
        self.state = RegistrationState.REGISTERED
        self.until = now + expires_s
        self._next_at = self.until - margin(expires_s)
        self._events.append(Registered(at=now, until=self.until))

    def _may_ask_longer(self, headers: Pairs) -> bool:
        wanted = _seconds(header_value(headers, "min-expires"))
        if wanted is None or not self._expires_s < wanted <= LONGEST_EXPIRES_S:
            return False
        self._expires_s = wanted
        return True

    def _failed(self, code: int, reason: str, headers: Pairs, local: bool, now: float) -> None:
        self._failures += 1
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures - 1, 16))
        asked = _seconds(header_value(headers, "retry-after")) or 0
        pause = max(longest * (0.5 + self._chance() / 2), min(float(asked), LONGEST_PAUSE_S))
        self.state = RegistrationState.WAITING
        self._next_at = now + pause
        self._events.append(RegistrationFailed(at=now, code=code, reason=reason, local=local, retry_at=self._next_at))

    def _unregister(self, now: float) -> None:
        if self.is_registered(now):
            self._send(RegistrationState.UNREGISTERING, 0)
        elif self.state is not RegistrationState.REGISTERING:
            self._end(now)

    def _end(self, now: float) -> None:
        self.state = RegistrationState.OVER
        self.until = None
        self._next_at = None
        self._events.append(Unregistered(at=now))


def margin(expires_s: float) -> float:
    """Return how long before its end a registration is refreshed."""
    return min(MARGIN_S, max(expires_s / 5, min(5.0, expires_s / 2)))


def granted_expires(headers: Pairs, contact: str) -> int | None:
    """Return for how long a 2xx registers ``contact``, None when it does not say (RFC 3261 section 10.2.4).

    The registrar lists every contact of the user; the parameter of ours counts, or of the only one (a registrar behind
    address translation writes it its own way), else the Expires header.
    """
    ours = parse_uri(contact)
    listed: list[tuple[bool, int | None]] = []
    for name, value in headers:
        if plain_name(name) != "contact":
            continue
        try:
            found = [parse_address(piece) for piece in split_commas(value)]
            listed += [(_is_same(parse_uri(each.uri), ours), _seconds(each.params.get("expires"))) for each in found]
        except SipParseError:
            continue  # another telephone's contact may be written as it likes
    for is_ours, expires in listed:
        if expires is not None and (is_ours or len(listed) == 1):
            return expires
    return _seconds(header_value(headers, "expires"))


def _is_same(first: object, second: object) -> bool:
    if not isinstance(first, SipUri) or not isinstance(second, SipUri):
        return False
    return first.user == second.user and (first.host.lower(), first.address[1]) == (
        second.host.lower(),
        second.address[1],
    )


def _seconds(value: str | None) -> int | None:
    digits = (value or "").partition(";")[0].partition("(")[0].strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else None
