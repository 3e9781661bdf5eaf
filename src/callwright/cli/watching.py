"""Shows what happens to a start, one line an event, as the node tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from callwright.cli.node_link import NodeLink, NodeRefused

_STEPS = {
    "claimed": "taken from the queue",
    "refused": "could not run: {detail}",
    "stamped": "stamped: records opened, on disk",
    "dialling": "its turn has come (pacing)",
    "released": "put back in the queue",
    "withdrawn": "cancelled before it was dialled",
    "finished": "finished, return code {detail}",
    "queued again": "reached nobody (return code {detail}); waits to be tried again",
    "expired": "waited too long in the queue",
}
_KINDS = {
    "page": "page",
    "page_failed": "page",
    "prompt": "prompt",
    "recording": "record",
    "problem": "problem",
    "action_begun": "action",
}


def watch(link: NodeLink, reference: str, *, show: Callable[[float, str, str], None]) -> dict[str, Any]:
    """Call ``show`` (epoch time, who, what) for each event until the start is over; return its last status."""
    for event in link.lines("/watch", {"reference": reference}):
        name = event.pop("event")
        if name == "Over":
            return event
        if name == "Dropped":
            raise NodeRefused(str(event["text"]))
        if (line := describe(name, event)) is not None:
            show(float(event["at"]), *line)
    raise NodeRefused(f"the node stopped telling about {reference}: look again with `callwright status {reference}`")


def describe(name: str, event: dict[str, Any]) -> tuple[str, str] | None:
    """Return who an event is about and what happened, or None for one that adds nothing."""
    match name:
        case "StartQueued":
            return "queue", f"queued for service {event['service']}, durably on disk"
        case "StartCancelled":
            return "queue", "cancelled"
        case "StartEvent":
            return "start", _STEPS[event["step"]].format(detail=event["detail"])
        case "CallProgress":
            return "sip" if event["what"] != "key" else "key", f"{event['what']}  {event['detail']}".rstrip()
        case "InstanceEvent" if event["kind"] in _KINDS:
            took = "" if event["seconds"] is None else f"  ({event['seconds']:.2f} s)"
            return _KINDS[event["kind"]], f"{event['text']}{took}"
        case _:
            return None


def line_printer(started_at: float) -> Callable[[float, str, str], None]:
    """Return a ``show`` that prints seconds since ``started_at``, who and what."""

    def show(at: float, who: str, what: str) -> None:
        typer.echo(f"{at - started_at:8.3f} s  {who:<8} {what}")

    return show
