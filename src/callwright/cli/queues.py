"""``callwright queue``: list, show, purge."""

from __future__ import annotations

from typing import Annotated

import typer

from callwright.cli import remote
from callwright.cli.options import Account, Data, given, node_link
from callwright.cli.tables import show_table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Service = Annotated[str, typer.Argument(help="The outbound service whose queue is meant.", show_default=False)]


@app.command("list", short_help="List the queues that are not empty.")
def list_queues(
    account: Account = None,
    data: Data = None,
    url: remote.Url = None,
    secret: remote.Secret = None,
    cloud_id: remote.CloudId = "0-0-0",
) -> None:
    """List the queues that are not empty: how many starts of each service wait to be dialled."""
    far = remote.key_client(url, account=account, secret=secret, cloud_id=cloud_id)
    if far is None:
        rows = [
            (queue["service_name"], queue["account"], str(queue["length"]))
            for queue in node_link(data).get("/queues")["queues"]
            if account in (None, queue["account"])
        ]
    else:
        rows = [(queue.service_name, account or "", str(queue.length)) for queue in far.outbound_queues()]
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
    far = remote.key_client(url, account=account, secret=secret, cloud_id=cloud_id)
    if far is not None:
        typer.echo(f"{service} of {account}: {far.queue_length(service)} waiting")
        return
    found = node_link(data).get("/queues/show", given(service=service, account=account or None))
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
    far = remote.key_client(url, account=account, secret=secret, cloud_id=cloud_id)
    if far is not None:
        if not yes:
            typer.confirm(f"Cancel the {far.queue_length(service)} waiting starts of {service}?", abort=True)
        typer.echo(f"{service} of {account}: {far.queue_purge(service)} starts cancelled")
        return
    link = node_link(data)
    body = given(service=service, account=account or None)
    if not yes:
        waiting = link.get("/queues/show", body)
        typer.confirm(f"Cancel the {waiting['length']} waiting starts of {waiting['service_name']}?", abort=True)
    purged = link.post("/queues/purge", body)
    typer.echo(f"{purged['service_name']} of {purged['account']}: {purged['purged']} starts cancelled")
