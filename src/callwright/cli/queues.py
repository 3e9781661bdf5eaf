"""``callwright queue``: list, show, purge."""

from __future__ import annotations

from typing import Annotated

import typer

from callwright.cli import remote
from callwright.cli.options import Account, Data, node_link
from callwright.cli.tables import show_table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Service = Annotated[str, typer.Argument(help="The outbound service whose queue is meant.", show_default=False)]


@app.command("list")
def list_queues(
    account: Account = None,
    data: Data = None,
    url: remote.Url = None,
    secret: remote.Secret = None,
    cloud_id: remote.CloudId = "0-0-0",
) -> None:
    """List the queues that are not empty: how many starts of each service wait to be dialled."""
    if url is not None:
        far = remote.client(url, account=account, cloud_id=cloud_id, key=remote.needed(secret))
        lengths = [(each.service_name, account or "", str(each.length)) for each in far.outbound_queues()]
        show_table(("service", "account", "waiting"), lengths, empty="no start waits")
        return
    found = node_link(data).get("/queues")["queues"]
    rows = [
        (queue["service_name"], queue["account"], str(queue["length"]))
        for queue in found
        if account in (None, queue["account"])
    ]
    show_table(("service", "account", "waiting"), rows, empty="no start waits")


@app.command("show")
def show(
    service: Service,
    account: Account = None,
    data: Data = None,
    url: remote.Url = None,
    secret: remote.Secret = None,
    cloud_id: remote.CloudId = "0-0-0",
) -> None:
    """Show how many starts of a service wait."""
    if url is not None:
        far = remote.client(url, account=account, cloud_id=cloud_id, key=remote.needed(secret))
        typer.echo(f"{service} of {account}: {far.queue_length(service)} waiting")
        return
    query = {"service": service} | ({"account": account} if account else {})
    found = node_link(data).get("/queues/show", query)
    typer.echo(f"{found['service_name']} of {found['account']}: {found['length']} waiting")


@app.command("purge")
def purge(
    service: Service,
    account: Account = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    data: Data = None,
    url: remote.Url = None,
    secret: remote.Secret = None,
    cloud_id: remote.CloudId = "0-0-0",
) -> None:
    """Cancel every start of a service that nobody was dialled for yet. Running calls go on."""
    if url is not None:
        far = remote.client(url, account=account, cloud_id=cloud_id, key=remote.needed(secret))
        if not yes:
            typer.confirm(f"Cancel the {far.queue_length(service)} waiting starts of {service}?", abort=True)
        typer.echo(f"{service} of {account}: {far.queue_purge(service)} starts cancelled")
        return
    link = node_link(data)
    body = {"service": service} | ({"account": account} if account else {})
    waiting = link.get("/queues/show", body)
    if not yes:
        typer.confirm(f"Cancel the {waiting['length']} waiting starts of {waiting['service_name']}?", abort=True)
    purged = link.post("/queues/purge", body)
    typer.echo(f"{purged['service_name']} of {purged['account']}: {purged['purged']} starts cancelled")
