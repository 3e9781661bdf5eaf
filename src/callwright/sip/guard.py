"""Who may begin something with us: protection of an open port against scanners, floods and the merely curious.

It judges requests outside of calls only; what belongs to a call of ours is never judged. Turned away is always without
an answer, so that nobody learns there is anything to attack, and a forged source gets nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from callwright.sip.message import Request

_MOST_SOURCES = 4096
# Names that the programs searching the Internet for open SIP ports give themselves.
_SCANNER = re.compile(
    r"friendly-scanner|sip-?vicious|sip-?scan|sundayddr|sipsak|sipcli|pplsip|iwar|smap\b|vaxsipuseragent|friendly-request",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """What is let in. ``known`` are addresses that are never judged: trunks, the simulated network.

    ``hide`` gives strangers no answer at all, ``per_second`` and ``burst`` limit the requests of one address (None: no
    limit), ``most_open`` how many requests of strangers are remembered at a time, answered or not; ``most_known`` how
    many in all, for a datagram's source is easily forged.
    """

    hide: bool = False
    per_second: float | None = None
    burst: int = 30
    most_open: int = 20_000
    most_known: int = 60_000
    ignore_scanners: bool = True
    known: frozenset[str] = field(default_factory=frozenset)


class Guard:
    """Judges. ``turned_away`` counts, for the log."""

    __slots__ = ("_allowances", "_settings", "known", "turned_away")

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._allowances: dict[str, tuple[float, float]] = {}
        self.known = set(settings.known)
        self.turned_away = 0

    def know(self, hosts: Iterable[str]) -> None:
        """Replace the addresses that are never judged."""
        self.known = set(hosts)

    def is_stranger(self, host: str) -> bool:
        """Tell whether nobody told us of this address."""
        return host not in self.known

    def hides_from(self, host: str) -> bool:
        """Tell whether this address gets no answer whatever it sends."""
        hidden = self._settings.hide and host not in self.known
        self.turned_away += hidden
        return hidden

    def admits(self, request: Request, host: str, open_requests: int, now: float) -> bool:
        """Judge a new request outside of calls, while ``open_requests`` others are remembered."""
        settings = self._settings
        if host in self.known:
            self.turned_away += open_requests >= settings.most_known
            return open_requests < settings.most_known
        admitted = (
            not settings.hide
            and open_requests < settings.most_open
            and not (settings.ignore_scanners and _is_scanner(request))
            and self._has_allowance(host, now)
        )
        self.turned_away += not admitted
        return admitted

    def _has_allowance(self, host: str, now: float) -> bool:
        """Take one from the address's allowance, which grows back steadily; the longest unheard is forgotten first."""
        rate = self._settings.per_second
        if rate is None:
            return True
        left, at = self._allowances.pop(host, (float(self._settings.burst), now))
        left = min(left + (now - at) * rate, float(self._settings.burst))
        self._allowances[host] = (left - 1 if left >= 1 else left, now)
        if len(self._allowances) > _MOST_SOURCES:
            del self._allowances[next(iter(self._allowances))]
        return left >= 1


def _is_scanner(request: Request) -> bool:
    names = (request.headers.get("user-agent") or "", request.head.from_.display, request.head.from_.uri)
    return any(_SCANNER.search(name) for name in names)
