"""``callwright call``, ``status``, ``cancel`` and ``job``: starts from the command line.

The node of this machine is asked through its admin socket, which needs no secret; others through their web services.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import msgspec
import typer

from callwright.cli import remote, wishes
from callwright.cli.node_link import NodeLink, NodeRefused
from callwright.cli.options import Account, Data, given, node_link
from callwright.cli.watching import line_printer, watch
from callwright.client import ApplicationStatus, Call, Status

References = Annotated[
    list[str],
    typer.Argument(metavar="REFERENCE", help="References as service_start or `callwright call` gave them."),
]


def call(
    to: Annotated[str, typer.Argument(help="Whom to call: tel:999005550001, sip:user@host, …")],
    service: Annotated[str, typer.Option("--service", "-s", help="The outbound service that handles the call.")],
    caller: Annotated[str | None, typer.Option("--from", help="Caller id; needed for telephone numbers.")] = None,
    token: Annotated[str | None, typer.Option(help="Handed to the application unchanged.")] = None,
    parameters: Annotated[str | None, typer.Option(help="Handed to it as outbound_parameters.")] = None,
    header: wishes.Header = None,
    start_after: wishes.StartAfter = None,
    expires_at: wishes.ExpiresAt = None,
    ring_timeout: wishes.RingTimeout = None,
    max_duration: wishes.MaxDuration = None,
    priority: wishes.Priority = None,
    hours: wishes.Hours = None,
    retry: wishes.Retries = None,
    unique_id: Annotated[str | None, typer.Option(help="With --url: makes the request safe to repeat.")] = None,
    follow: Annotated[bool, typer.Option("--watch", "-w", help="Show what happens until the call is over.")] = False,
    account: Account = None,
    data: Data = None,
    url: remote.Url = None,
    secret: remote.Secret = None,
    cloud_id: remote.CloudId = "0-0-0",
) -> None:
    """Start one call through the running node, as service_start would, and print its reference."""
    wanted = Call(
        to=to,
        from_=caller,
        token=token,
        outbound_parameters=parameters,
        extra_sip_headers=wishes.headers(header),
        start_after=wishes.instant(start_after),
        expires_at=wishes.instant(expires_at),
        ring_timeout_s=ring_timeout,
        max_duration_s=max_duration,
        priority=priority,
        calling_hours=wishes.calling_hours(hours),
        retry=wishes.retry(retry),
    )
    if url is not None:
        if follow:
            raise typer.BadParameter("only the node of this machine can be watched", param_hint="--watch")
        far = remote.client(url, account=account, cloud_id=cloud_id)
        typer.echo(far.service_start(service, remote.needed(secret), wanted, unique_id=unique_id).references[0])
        return
    if unique_id is not None:
        raise typer.BadParameter("is for --url: the node of this machine is asked once", param_hint="--unique-id")
    link = node_link(data)
    started_at = time.time()
    reference = link.post("/call", given(service=service, account=account) | wanted.members())["reference"]
    typer.echo(reference)
    if not follow:
        return
    over = watch(link, reference, show=line_printer(started_at))
    typer.echo(over["status"])
    if over["application_instance_id"]:
        _show(_records(link, over["application_instance_id"]))
    if over["status"] != "completed 0":
        raise typer.Exit(1)


def status(
    references: References,
    account: Account = None,
    data: Data = None,
    url: remote.Url = None,
    secret: remote.Secret = None,
    cloud_id: remote.CloudId = "0-0-0",
) -> None:
    """Show the status of starts, and the records of those that are over."""
    far = remote.key_client(url, account=account, secret=secret, cloud_id=cloud_id)
    if far is None:
        link = node_link(data)
        found = msgspec.convert(link.get("/starts", {"references": "/".join(references)}), dict[str, Status])
        records: Callable[[str], ApplicationStatus] = partial(_records, link)
    else:
        found = far.service_status(*references)
        records = far.application_status
    _show(found)
    for one in found.values():
        if one.word == "completed":
            _show(records(one.application_instance_id))
    if all(one.word == "unknown" for one in found.values()):
        raise NodeRefused("none of these references is known: it was never given, or was forgotten after its time")


def cancel(
    references: References,
    account: Account = None,
    data: Data = None,
    url: remote.Url = None,
    secret: remote.Secret = None,
    cloud_id: remote.CloudId = "0-0-0",
) -> None:
    """Cancel starts that nobody was dialled for yet; exit code 1 when one could not be cancelled."""
    far = remote.key_client(url, account=account, secret=secret, cloud_id=cloud_id)
    answers: dict[str, str]
    if far is None:
        answers = node_link(data).post("/cancel", {"references": references})
    else:
        answers = far.service_cancel(*references)
    for reference, answer in answers.items():
        typer.echo(f"{reference}  {answer}")
    if set(answers.values()) != {"success"}:
        raise typer.Exit(1)


def job(
    unique_id: Annotated[str, typer.Argument(help="The unique_id that a service_start was sent with.")],
    account: Account = None,
    data: Data = None,
    url: remote.Url = None,
    secret: remote.Secret = None,
    cloud_id: remote.CloudId = "0-0-0",
) -> None:
    """Show what a unique_id started."""
    far = remote.key_client(url, account=account, secret=secret, cloud_id=cloud_id)
    if far is None:
        _show(node_link(data).get("/job", given(unique_id=unique_id, account=account)))
    else:
        _show(far.job_status(unique_id))


def _records(link: NodeLink, instance: str) -> ApplicationStatus:
    found = link.get("/application_status", {"application_instance_id": instance})
    return msgspec.convert(found, ApplicationStatus)


def _show(what: object) -> None:
    typer.echo(json.dumps(msgspec.to_builtins(what), indent=2))
