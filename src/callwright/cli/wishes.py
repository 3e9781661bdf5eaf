"""The optional fields of a call as options of the command line: read here, judged by the node."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from callwright.client import Again, CallingHours, Retry

Header = Annotated[
    list[str] | None, typer.Option("--header", metavar="HEADER", help="A SIP header to add: 'X-Ticket: 7'. Repeatable.")
]
StartAfter = Annotated[
    str | None, typer.Option(help="Not dialled before: 2030-01-31T09:00:00Z, or epoch seconds.", show_default=False)
]
ExpiresAt = Annotated[str | None, typer.Option(help="Not dialled from then on; written likewise.", show_default=False)]
RingTimeout = Annotated[float | None, typer.Option(help="Ring for so many seconds, 1 to 600.", show_default=False)]
MaxDuration = Annotated[
    float | None, typer.Option(help="End the call after so many seconds, 1 to 86400.", show_default=False)
]
Priority = Annotated[
    int | None, typer.Option(help="-10 to 10: within the service the highest leaves first.", show_default=False)
]
Hours = Annotated[
    str | None,
    typer.Option(
        "--calling-hours",
        help="When it may be dialled: 'Europe/London 09:00-20:00', or 'Europe/London mon-fri 09:00-20:00'.",
        show_default=False,
    ),
]
Retries = Annotated[
    list[str] | None,
    typer.Option(
        "--retry",
        metavar="PLAN",
        help="Try again: 'busy=300' (after 300 seconds), 'no_answer=60x3' (so often), 'unreachable=…'. Repeatable.",
    ),
]

_HOURS = re.compile(r"(\S+)(?:\s+([A-Za-z,-]+))?\s+(\d\d:\d\d)-(\d\d:\d\d)")
_AGAIN = re.compile(r"(busy|no_answer|unreachable)=(\d+(?:\.\d+)?)(?:x(\d+))?")


def instant(text: str | None) -> float | str | None:
    """Return epoch seconds where digits were given, else the text."""
    return float(text) if text is not None and re.fullmatch(r"\d+(\.\d+)?", text) else text


def headers(given: list[str] | None) -> tuple[tuple[str, str], ...]:
    """Return names and values; raise ``BadParameter`` for what is no header."""
    found = []
    for each in given or ():
        name, colon, value = each.partition(":")
        if not colon:
            raise typer.BadParameter(f"'{each}' is not written as 'Name: value'", param_hint="--header")
        found.append((name.strip(), value.strip()))
    return tuple(found)


def calling_hours(text: str | None) -> CallingHours | None:
    """Return the hours; raise ``BadParameter`` when they are not written as they must be."""
    if text is None:
        return None
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(
            f"'{text}' is not written as 'Europe/London mon-fri 09:00-20:00'", param_hint="--calling-hours"
        )
    return CallingHours(time_zone=found[1], days=found[2], from_=found[3], to=found[4])


def retry(given: list[str] | None) -> Retry | None:
    """Return the plan; raise ``BadParameter`` for what is none."""
    plan: dict[str, Again] = {}
    for each in given or ():
        found = _AGAIN.fullmatch(each.strip())
        if found is None:
            raise typer.BadParameter(
                f"'{each}' is not written as busy=300, no_answer=60x3 or unreachable=900x2", param_hint="--retry"
            )
        if found[1] in plan:
            raise typer.BadParameter(f"{found[1]} is given twice", param_hint="--retry")
        plan[found[1]] = Again(after_s=float(found[2]), times=int(found[3] or 1))
    return Retry(**plan) if plan else None
