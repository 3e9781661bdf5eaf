"""What to start, as values: one call with all that may be wished of it (docs/reference/queue.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingHours:
    """When somebody may be called, by the clock in ``time_zone`` (Europe/London): ``from_`` 09:00 ``to`` 20:00, on
    ``days`` such as ``mon-fri`` or ``mon,wed``; all when None.
    """

    time_zone: str
    from_: str
    to: str
    days: str | None = None

    def members(self) -> dict[str, object]:
        """Return the JSON object."""
        days = {} if self.days is None else {"days": self.days}
        return {"time_zone": self.time_zone, "from": self.from_, "to": self.to, **days}


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Try again ``after_s`` seconds after the attempt ended, at most ``times`` times."""

    after_s: float
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """What to do after each way of reaching nobody; None: nothing."""

    busy: Again | None = None
    no_answer: Again | None = None
    unreachable: Again | None = None

    def members(self) -> dict[str, object]:
        """Return the JSON object."""
        given = {"busy": self.busy, "no_answer": self.no_answer, "unreachable": self.unreachable}
        return {
            name: {"after": again.after_s, "times": again.times} for name, again in given.items() if again is not None
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One object of ``rest_calls``. ``extra_sip_headers`` are pairs of name and value; ``start_after`` and
    ``expires_at`` are epoch seconds, or ISO 8601 with a zone; ``ring_timeout_s`` and ``max_duration_s`` are seconds.
    """

    to: str
    from_: str | None = None
    token: str | None = None
    outbound_parameters: str | None = None
    extra_sip_headers: tuple[tuple[str, str], ...] = ()
    start_after: float | str | None = None
    expires_at: float | str | None = None
    ring_timeout_s: float | None = None
    max_duration_s: float | None = None
    priority: int | None = None
    calling_hours: CallingHours | None = None
    retry: Retry | None = None

    def members(self) -> dict[str, object]:
        """Return the JSON object, without what was not given."""
        headers = [{"name": name, "value": value} for name, value in self.extra_sip_headers]
        given = {
            "to": self.to,
            "from": self.from_,
            "token": self.token,
            "outbound_parameters": self.outbound_parameters,
            "extra_sip_headers": headers or None,
            "start_after": self.start_after,
            "expires_at": self.expires_at,
            "ring_timeout": self.ring_timeout_s,
            "max_duration": self.max_duration_s,
            "priority": self.priority,
            "calling_hours": None if self.calling_hours is None else self.calling_hours.members(),
            "retry": None if self.retry is None else self.retry.members(),
        }
        return {name: value for name, value in given.items() if value is not None}
