"""``callwright queue``: list, show, purge."""

from __future__ import annotations

from typing import Annotated

import typer

from callwright.cli.options import Account, Data, node_link
from callwright.cli.tables import show_table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Service = Annotated[str, typer.Argument(help="The outbound service whose queue is meant.", show_default=False)]


@app.command("list")
def list_queues(data: Data = None) -> None:
    """List the queues that are not empty: how many starts of each service wait to be dialled."""
    found = node_link(data).get("/queues")["queues"]
    rows = [(queue["service_name"], queue["account"], str(queue["length"])) for queue in found]
    show_table(("service", "account", "waiting"), rows, empty="no start waits")


@app.command("show")
def show(service: Service, account: Account = None, data: Data = None) -> None:
    """Show how many starts of a service wait."""
    query = {"service": service} | ({"account": account} if account else {})
    found = node_link(data).get("/queues/show", query)
    typer.echo(f"{found['service_name']} of {found['account']}: {found['length']} waiting")


@app.command("purge")
def purge(
    service: Service,
    account: Account = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    data: Data = None,
) -> None:
    """Cancel every start of a service that nobody was dialled for yet. Running calls go on."""
    link = node_link(data)
    body = {"service": service} | ({"account": account} if account else {})
    waiting = link.get("/queues/show", body)
    if not yes:
        typer.confirm(f"Cancel the {waiting['length']} waiting starts of {waiting['service_name']}?", abort=True)
    purged = link.post("/queues/purge", body)
    typer.echo(f"{purged['service_name']} of {purged['account']}: {purged['purged']} starts cancelled")
