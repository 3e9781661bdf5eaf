"""``callwright account``: add, list, rotate-key."""

from __future__ import annotations

from typing import Annotated

import typer

from callwright.cli.options import Data, given, node_link
from callwright.cli.tables import show_table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("add", short_help="Add an account and print its API Access Key.")
def add(
    username: Annotated[str, typer.Argument(help="The user name clients log in with, usually an e-mail address.")],
    kind: Annotated[
        str, typer.Option("--type", help="developer (one start per request), production or premium.")
    ] = "developer",
    max_cps: Annotated[float | None, typer.Option(help="Starts per second at most (default: 1).")] = None,
    max_running: Annotated[int | None, typer.Option(help="Instances running at the same time at most.")] = None,
    caller_id: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER", help="A caller id this account may show, or 'any'; repeat for several."),
    ] = None,
    data: Data = None,
) -> None:
    """Add an account and print its API Access Key, which is shown only now."""
    wanted = given(
        username=username,
        type=kind,
        max_cps=max_cps,
        max_running=max_running,
        caller_ids="any" if caller_id == ["any"] else caller_id or None,
    )
    answer = node_link(data).post("/accounts", wanted)
    account = answer["account"]
    typer.echo(f"account         {account['username']} ({account['type']}, {account['max_cps']:g} starts/s)")
    typer.echo(f"user name       {account['cloud_id']}/{account['username']}")
    typer.echo(f"API Access Key  {answer['access_key']}")
    typer.echo("Keep the key now: it is not stored and cannot be shown again.")


@app.command("list")
def list_accounts(data: Data = None) -> None:
    """List the accounts."""
    found = node_link(data).get("/accounts")["accounts"]
    rows = [
        (
            a["username"],
            a["type"],
            f"{a['max_cps']:g}",
            "" if a["max_running"] is None else str(a["max_running"]),
            a["caller_ids"] if isinstance(a["caller_ids"], str) else ", ".join(a["caller_ids"]),
        )
        for a in found
    ]
    show_table(("account", "type", "starts/s", "running at most", "caller ids"), rows, empty="no account yet")


@app.command("rotate-key", short_help="Make a new API Access Key and print it.")
def rotate_key(username: str, data: Data = None) -> None:
    """Make a new API Access Key and print it; the former one works until the new one has been used."""
    answer = node_link(data).post("/accounts/rotate_key", {"username": username})
    typer.echo(f"API Access Key  {answer['access_key']}")
