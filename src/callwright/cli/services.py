"""``callwright service``: add, list, show."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from callwright.cli.options import Account, Data, given, node_link, secret_text
from callwright.cli.tables import show_table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The service's name, the last part of the user name of service_start.")],
    first_page: Annotated[
        str | None, typer.Option(help="URL asked when a call is answered.", show_default=False)
    ] = None,
    final_page: Annotated[str | None, typer.Option(help="URL asked once when the call is over.")] = None,
    error_page: Annotated[str | None, typer.Option(help="URL told when something goes wrong.")] = None,
    password: Annotated[
        str | None, typer.Option(help="The service's password, - to be asked for it (default: one is made).")
    ] = None,
    parameters: Annotated[str, typer.Option(help="Handed to the application as application_parameters.")] = "",
    voice: Annotated[str | None, typer.Option(help="Text-to-speech voice of this service.")] = None,
    max_cps: Annotated[float | None, typer.Option(help="Starts per second at most.")] = None,
    max_running: Annotated[int | None, typer.Option(help="Instances running at the same time at most.")] = None,
    ring_timeout: Annotated[float | None, typer.Option(help="Seconds a call may ring (default: 60).")] = None,
    uas: Annotated[str | None, typer.Option(help="Run this UAS application instead of REST pages.")] = None,
    account: Account = None,
    data: Data = None,
) -> None:
    """Add an outbound service and print what clients need to start it."""
    wanted = given(
        name=name,
        account=account,
        password=None if password is None else secret_text(password),
        first_page=first_page,
        final_page=final_page,
        error_page=error_page,
        application_parameters=parameters,
        tts_voice=voice,
        max_cps=max_cps,
        max_running=max_running,
        ring_timeout_s=ring_timeout,
        application="uas" if uas is not None else "rest",
        uas_application_name=uas,
    )
    link = node_link(data)
    answer = link.post("/services", wanted)
    service, node = answer["service"], link.get("/status")
    owner = next(a for a in link.get("/accounts")["accounts"] if a["username"] == service["account"])
    typer.echo(f"service    {service['name']} ({service['application']}) of {service['account']}")
    typer.echo(f"user name  {owner['cloud_id']}/{service['account']}/{service['name']}")
    typer.echo(f"password   {answer['password']}")
    typer.echo(f"start      POST {node['url']}/service_start with these as Basic authorisation")


@app.command("list")
def list_services(account: Account = None, data: Data = None) -> None:
    """List the services."""
    found = node_link(data).get("/services", given(account=account or None))["services"]
    rows = [
        (s["name"], s["account"], s["application"], s["first_page"]["url"] if s["first_page"] else "") for s in found
    ]
    show_table(("service", "account", "application", "first page"), rows, empty="no service yet")


@app.command("show")
def show(name: str, account: Account = None, data: Data = None) -> None:
    """Show everything about one service as JSON, without its password."""
    found = node_link(data).get("/services/show", given(name=name, account=account or None))
    typer.echo(json.dumps(found["service"], indent=2))
