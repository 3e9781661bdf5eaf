"""What several commands take in the same way: the data folder, the configuration file, the account, secrets."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from callwright.cli.node_link import NodeLink
from callwright.config.load import load_settings

T = TypeVar("T")

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder of the node's database, recordings and logs (default: ~/.local/share/callwright).",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file (default: callwright.toml in the data folder).", show_default=False),
]
Account = Annotated[
    str | None,
    typer.Option("--account", "-a", help="The account; not needed while there is only one.", show_default=False),
]


def node_link(data: Path | None) -> NodeLink:
    """Return the link to the node that runs on this data folder."""
    return NodeLink(load_settings(environ=os.environ, overrides={"data": data}).admin_socket)


def secret_text(given: str) -> str:
    """Return a secret as it was given, or for "-" ask for it, or read a line of it when the input is no terminal:
    what stands on a command line every user of the machine can read.
    """
    if given != "-":
        return given
    if sys.stdin.isatty():
        answer: str = typer.prompt("password", hide_input=True)
        return answer
    return sys.stdin.readline().rstrip("\r\n")


def given(**fields: T | None) -> dict[str, T]:
    """Return the fields that were given: the node knows what is usual for the others."""
    return {name: value for name, value in fields.items() if value is not None}
