"""Commands that a web-service operation exists for, sent to the web services of a node elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from callwright.cli.options import secret_text
from callwright.client import Client

Url = Annotated[
    str | None,
    typer.Option(
        "--url", help="Ask the web services at this address, not the node of this machine.", show_default=False
    ),
]
Secret = Annotated[
    str | None,
    typer.Option(
        "--secret",
        envvar="WEB_SERVICE_SECRET",
        help="With --url: the account's API Access Key; for `call`, the password of the service; - to be asked for it.",
        show_default=False,
    ),
]
CloudId = Annotated[str, typer.Option("--cloud-id", help="With --url: the cloud id of that node.")]


def key_client(url: str | None, *, account: str | None, secret: str | None, cloud_id: str) -> Client | None:
    """Return the client of the node at ``url``, with the account's key; None when the node of this machine is meant."""
    return None if url is None else client(url, account=account, cloud_id=cloud_id, key=needed(secret))


def client(url: str, *, account: str | None, cloud_id: str, key: str | None = None) -> Client:
    """Return the typed client; raise ``BadParameter`` for what it needs and was not given."""
    if account is None:
        raise typer.BadParameter("with --url the account must be named", param_hint="--account")
    return Client(url, username=account, access_key=key, cloud_id=cloud_id)


def needed(secret: str | None) -> str:
    """Return the secret; raise ``BadParameter`` when there is none."""
    if not secret:
        raise typer.BadParameter("with --url it is needed, or WEB_SERVICE_SECRET", param_hint="--secret")
    return secret_text(secret)
