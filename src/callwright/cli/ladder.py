"""``callwright ladder``: the SIP messages of a call, drawn, in full, or as a packet capture for Wireshark."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from callwright.cli.node_link import NodeLink, NodeRefused, NoNode
from callwright.cli.options import Data, node_link
from callwright.trace.ladder import draw
from callwright.trace.message import KeptMessage
from callwright.trace.pcap import capture
from callwright.trace.store import TRACE_FOLDER, read_call
from callwright.values.errors import OutsideError
from callwright.values.ids import is_call_id


class NoAccess(OutsideError):
    """Kept messages cannot be read, or a capture not written; the text says why."""


def ladder(
    of: Annotated[
        str,
        typer.Argument(
            metavar="CALL|REFERENCE",
            help="A call's id, the reference of a start or the id of its instance.",
            show_default=False,
        ),
    ],
    full: Annotated[bool, typer.Option("--full", help="Show every message as a whole, too.")] = False,
    pcap: Annotated[
        Path | None, typer.Option("--pcap", help="Write a capture that Wireshark opens.", show_default=False)
    ] = None,
    data: Data = None,
) -> None:
    """Draw who said what to whom while a call was set up, was up and ended; works while it is up, too.

    Passwords' proofs, keys and digits pressed were taken out before anything was kept. Without a running node a call's
    id is looked for in the data folder itself.
    """
    calls = _calls(node_link(data), of)
    messages: list[KeptMessage] = []
    for call in calls:
        messages += call["messages"]
        if pcap is None or full:
            _show(call, full=full)
    if pcap is not None and messages:
        _write(pcap, sorted(messages, key=lambda message: message.at))
    if not messages:
        raise NodeRefused(
            "no messages are kept: the call is too old or was placed while sip.trace was off, or its INVITE never left"
        )


def _calls(link: NodeLink, of: str) -> list[dict[str, Any]]:
    """Return the calls that are meant with what the node tells of them, each with its ``messages`` read."""
    try:
        calls: list[dict[str, Any]] = link.get("/ladder", {"of": of})["calls"]
    except NoNode:
        if not is_call_id(of):
            raise
        folder = link.admin_socket.parent / TRACE_FOLDER
        try:
            kept = read_call(folder, of)
        except OSError as problem:
            raise NoAccess(f"{folder} cannot be read: {problem.strerror}") from problem
        return [{"call_id": of, "to": "", "hangup_cause": "", "is_over": True, "messages": kept}]
    return [call | {"messages": [_message(call["call_id"], told) for told in call["messages"]]} for call in calls]


def _message(call: str, told: dict[str, Any]) -> KeptMessage:
    return KeptMessage(
        call,
        told["wire"],
        told["at"],
        told["sent"],
        told["transport"],
        (told["near"][0], told["near"][1]),
        (told["far"][0], told["far"][1]),
        base64.b64decode(told["data"]),
        told["length"],
        told["left_out"],
    )


def _show(call: dict[str, Any], *, full: bool) -> None:
    to = f" to {call['to']}" if call["to"] else ""
    end = "" if call["is_over"] else ", not over yet"
    cause = f", {call['hangup_cause']}" if call["hangup_cause"] else end
    typer.echo(f"call {call['call_id']}{to}{cause}")
    for line in draw(call["messages"], full=full):
        typer.echo(line)


def _write(path: Path, messages: list[KeptMessage]) -> None:
    try:
        with path.open("wb") as file:
            file.writelines(capture(messages))
    except OSError as problem:
        raise NoAccess(f"{path} cannot be written: {problem.strerror}") from problem
    typer.echo(f"{len(messages)} messages in {path}")
