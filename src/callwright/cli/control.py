"""``callwright running``, ``pause``, ``resume`` and ``hangup``: what the operator sees and stops."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from callwright.cli.options import Data, given, node_link
from callwright.cli.tables import show_table
from callwright.values.times import datetime_text

Account = Annotated[str | None, typer.Option("--account", "-a", help="This account only.", show_default=False)]
Service = Annotated[str | None, typer.Option("--service", "-s", help="This service only.", show_default=False)]


def running(data: Data = None) -> None:
    """List the calls that run, the oldest first, and what is paused."""
    found = node_link(data).get("/running")
    _show_paused(found["paused"])
    rows = [
        (
            call["application_instance_id"],
            call["reference"],
            call["service_name"],
            call["account"],
            call["to"] or "",
            _state(call, found["now"]),
        )
        for call in found["running"]
    ]
    show_table(("instance", "reference", "service", "account", "to", "state"), rows, empty="no call runs")


def pause(account: Account = None, service: Service = None, data: Data = None) -> None:
    """Dial nobody more: for one service, one account, or at all. Running calls go on, starts wait in their queues."""
    done = node_link(data).post("/pause", given(account=account, service=service))
    typer.echo(f"{done['name']}: {'paused' if done['changed'] else 'was paused already'}")


def resume(account: Account = None, service: Service = None, data: Data = None) -> None:
    """End a pause: of one service, of one account, or the one of everything."""
    done = node_link(data).post("/resume", given(account=account, service=service))
    typer.echo(f"{done['name']}: {'resumed' if done['changed'] else 'was not paused'}")
    _show_paused(done["paused"])


def hangup(
    name: Annotated[str, typer.Argument(help="The instance or the reference of a running call.", show_default=False)],
    data: Data = None,
) -> None:
    """Hang up one running call. Its start ends with return code -80 and is not tried again."""
    ended = node_link(data).post("/hang_up", {"name": name})
    typer.echo(f"{ended['application_instance_id']}: hanging up")


def _state(call: dict[str, Any], now: float) -> str:
    if call["answered_at"] is not None:
        state = f"up for {max(0, now - call['answered_at']):.0f} s"
    else:
        state = f"dialled {max(0, now - call['dialled_at']):.0f} s ago"
    return state if call["attempt"] == 1 else f"{state}, attempt {call['attempt']}"


def _show_paused(paused: list[dict[str, Any]]) -> None:
    for pause in paused:
        what = pause["name"] if pause["scope"] == "all" else f"{pause['scope']} {pause['name']}"
        typer.echo(f"paused since {datetime_text(pause['paused_at'])} UTC: {what}")
