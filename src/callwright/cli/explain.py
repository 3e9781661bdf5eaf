"""``callwright explain``: what an error number means, or what became of a start, and what to do."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from callwright.cli.node_link import NodeRefused
from callwright.cli.options import Data, node_link
from callwright.web.error_catalogue import CATALOGUE, ErrorEntry

_NUMBER = re.compile(r"(?:HTTP ?)?(\d{3,4})", re.IGNORECASE)


def explain(
    what: Annotated[
        str,
        typer.Argument(
            help="An error number such as 0002, 2008 or 401, or the reference of a start.", show_default=False
        ),
    ],
    data: Data = None,
) -> None:
    """Say what an error number means, or what became of a start and why, and what to do about it.

    Numbers need no running node.
    """
    if number := _NUMBER.fullmatch(what.strip()):
        _show_error(number[1])
    else:
        _show_start(node_link(data).get("/explain", {"reference": what}))


def _show_error(number: str) -> None:
    entry: ErrorEntry | None = CATALOGUE.get(number)
    if entry is None:
        known = ", ".join(sorted(CATALOGUE))
        raise NodeRefused(f"callwright has no error {number}; it has {known}")
    where = f"HTTP status {entry.status}" if entry.status is not None else "an error record of application_status"
    _show({"error": f"{entry.code}: {entry.text}", "where": where, "means": entry.cause, "do": entry.cure})


def _show_start(found: dict[str, Any]) -> None:
    _show(
        {
            "start": found["reference"],
            "service": f"{found['service']} of {found['account']}",
            "to": found["to"] + (f", showing {found['from']}" if found["from"] else ""),
            "status": found["status"],
            "means": found["meaning"],
            "do": found["what_to_do"],
            "queued": _utc(found["queued"]),
            "finished": _utc(found["finished"]),
            "attempts": str(found["attempts"]) if found["attempts"] > 1 else "",
            "unique_id": found["unique_id"],
            "instance": found["instance"],
        }
    )
    for call in found["calls"]:
        answered = f", answered {call['answered']}" if call["answered"] else ""
        ended = f", ended {call['ended']}" if call["ended"] else ""
        cause = f"{call['hangup_cause']}: " if call["hangup_cause"] else ""
        _show({"call": f"{call['call_id']} to {call['to']}", "": f"placed {call['placed']}{answered}{ended}"})
        _show({"": cause + call["in_words"]})
        said = f"{call['detail']} (Q.850 cause {call['q850']})" if call["q850"] else call["detail"]
        _show({"said": said, "trunk": call["trunk"]})
    if found["calls"]:
        _show({"messages": f"callwright ladder {found['reference']}"})
    for error in found["errors"]:
        _show({"error": f"{error['code']}: {error['text']}", "": error["what_to_do"]})
    for number, trouble in enumerate(found.get("troubles", ())):
        typer.echo(f"{'' if number else 'log says':<10} {trouble}")
    _show({"log": found["log"]})


def _utc(text: str) -> str:
    return f"{text} UTC" if text else ""


def _show(lines: dict[str, str]) -> None:
    for head, text in lines.items():
        if text:
            typer.echo(f"{head:<10} {text}")
