"""``callwright donotcall``: add, remove, list, import."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from callwright.cli.options import Account, Data, given, node_link
from callwright.cli.tables import show_table
from callwright.cli.text_files import read_text, refuse_problems

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Numbers = Annotated[
    list[str], typer.Argument(metavar="NUMBER", help="Full international numbers, such as +441908273800.")
]


@app.command("add", short_help="Put numbers on the list.")
def add(
    numbers: Numbers,
    note: Annotated[str, typer.Option(help="Why it must not be called.")] = "",
    account: Account = None,
    data: Data = None,
) -> None:
    """Put numbers on the list; starts that wait for them will not be dialled."""
    body = {"numbers": numbers, "note": note, "account": account}
    done = node_link(data).post("/do_not_call", body)
    typer.echo(f"{done['added']} added, {len(set(done['numbers'])) - done['added']} were on the list already")


@app.command("remove")
def remove(numbers: Numbers, account: Account = None, data: Data = None) -> None:
    """Take numbers off the list."""
    done = node_link(data).post("/do_not_call/remove", {"numbers": numbers, "account": account})
    typer.echo(f"{done['removed']} removed, {len(set(done['numbers'])) - done['removed']} were not on the list")


@app.command("list")
def list_numbers(
    after: Annotated[str | None, typer.Option(help="Show numbers from behind this one on.")] = None,
    account: Account = None,
    data: Data = None,
) -> None:
    """List the numbers, in the order of their digits."""
    found = node_link(data).get("/do_not_call", given(account=account, after=after))
    rows = [
        (entry["number"], f"{datetime.fromtimestamp(entry['added_at'], UTC):%Y-%m-%d %H:%M:%S}", entry["note"])
        for entry in found["entries"]
    ]
    show_table(("number", "since (UTC)", "note"), rows, empty="no number on the list")
    if found["more"]:
        typer.echo(f"There are {found['count']} in all: --after {rows[-1][0]}")


@app.command("import", short_help="Put the numbers of a file on the list.")
def import_numbers(
    file: Annotated[Path, typer.Argument(help="Text with one number a line, and an optional note after a comma.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    account: Account = None,
    data: Data = None,
) -> None:
    """Put the numbers of a file on the list: all of them, or none when a line is wrong."""
    body = {"text": read_text(file), "account": account, "dry_run": dry_run}
    done = node_link(data).post("/do_not_call/import", body)
    refuse_problems(file, done["problems"])
    known = done["numbers"] - done["added"]
    repeated = f", {done['repeated']} came more than once" if done["repeated"] else ""
    typer.echo(f"{done['added']} {'added' if done['stored'] else 'would be added'}, {known} known already{repeated}")
