"""``callwright account rules``: what an account may call and spend."""

from __future__ import annotations

from typing import Annotated

import typer

from callwright.cli.options import Data, given, node_link


def rules(
    username: Annotated[str, typer.Argument(help="The account.")],
    allow_premium: Annotated[
        bool | None,
        typer.Option("--allow-premium/--no-premium", help="Premium rate and shared cost numbers.", show_default=False),
    ] = None,
    allow_unknown: Annotated[
        bool | None,
        typer.Option("--allow-unknown/--no-unknown", help="Unknown and satellite numbers.", show_default=False),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="DIGITS", help="Only numbers that begin like this; repeat for several, '' for all."),
    ] = None,
    block: Annotated[
        list[str] | None,
        typer.Option(metavar="DIGITS", help="No numbers that begin like this; repeat for several, '' for none."),
    ] = None,
    daily_cap: Annotated[str | None, typer.Option(help="Dollars it may spend a day (UTC), '' for no limit.")] = None,
    credit: Annotated[str | None, typer.Option(help="Dollars it may spend in all, '' for no limit.")] = None,
    add_credit: Annotated[str | None, typer.Option(help="Dollars to add to what it may spend in all.")] = None,
    max_price: Annotated[str | None, typer.Option(help="Dollars a minute of a call may cost, '' for no limit.")] = None,
    data: Data = None,
) -> None:
    """Show what an account may call and spend and what it has spent; options change it."""
    changes = given(
        allow_premium=allow_premium,
        allow_unknown=allow_unknown,
        allowed_prefixes=None if allow is None else [prefix for prefix in allow if prefix],
        blocked_prefixes=None if block is None else [prefix for prefix in block if prefix],
        daily_cap=daily_cap,
        credit=credit,
        add_credit=add_credit,
        max_price=max_price,
    )
    link = node_link(data)
    if changes:
        found = link.post("/accounts/rules", {"account": username, **changes})
    else:
        found = link.get("/accounts/rules", {"account": username})
    for name, value in found.items():
        typer.echo(f"{name.replace('_', ' '):<18}{_shown(value)}")


def _shown(value: object) -> str:
    match value:
        case None:
            return "no limit"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "-"
        case _:
            return str(value)
