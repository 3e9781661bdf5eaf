"""``callwright call``, ``status`` and ``cancel``: one start from the command line."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from callwright.cli.node_link import NodeLink, NodeRefused
from callwright.cli.options import Account, Data, node_link
from callwright.cli.watching import line_printer, watch

References = Annotated[list[str], typer.Argument(help="References as service_start or `callwright call` gave them.")]


def call(
    to: Annotated[str, typer.Argument(help="Whom to call: tel:999005550001, sip:user@host, …")],
    service: Annotated[str, typer.Option("--service", "-s", help="The outbound service that handles the call.")],
    caller: Annotated[str | None, typer.Option("--from", help="Caller id; needed for telephone numbers.")] = None,
    token: Annotated[str | None, typer.Option(help="Handed to the application unchanged.")] = None,
    parameters: Annotated[str | None, typer.Option(help="Handed to it as outbound_parameters.")] = None,
    follow: Annotated[bool, typer.Option("--watch", "-w", help="Show what happens until the call is over.")] = False,
    account: Account = None,
    data: Data = None,
) -> None:
    """Start one call through the running node, as service_start would, and print its reference."""
    link = node_link(data)
    given = {"account": account, "from": caller, "token": token, "outbound_parameters": parameters}
    body: dict[str, object] = {"service": service, "to": to}
    started_at = time.time()
    reference = link.post("/call", body | {key: value for key, value in given.items() if value is not None})[
        "reference"
    ]
    typer.echo(reference)
    if not follow:
        return
    over = watch(link, reference, show=line_printer(started_at))
    typer.echo(over["status"])
    if over["application_instance_id"]:
        _show_records(link, over["application_instance_id"])
    if over["status"] != "completed 0":
        raise typer.Exit(1)


def status(references: References, data: Data = None) -> None:
    """Show the status of starts, and the records of those that are over."""
    link = node_link(data)
    found = link.get("/starts", {"references": "/".join(references)})
    typer.echo(json.dumps(found, indent=2))
    for one in found.values():
        if one["status"].startswith("completed"):
            _show_records(link, one["application_instance_id"])
    if all(one["status"] == "unknown" for one in found.values()):
        raise NodeRefused("none of these references is known: it was never given, or was forgotten after its time")


def cancel(references: References, data: Data = None) -> None:
    """Cancel starts that nobody was dialled for yet; exit code 1 when one could not be cancelled."""
    answers = node_link(data).post("/cancel", {"references": references})
    for reference, answer in answers.items():
        typer.echo(f"{reference}  {answer}")
    if set(answers.values()) != {"success"}:
        raise typer.Exit(1)


def _show_records(link: NodeLink, instance: str) -> None:
    typer.echo(json.dumps(link.get("/application_status", {"application_instance_id": instance}), indent=2))
