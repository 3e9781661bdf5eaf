"""``callwright rates``: show, set, import, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from callwright.cli.options import Data, given, node_link
from callwright.cli.tables import show_table
from callwright.cli.text_files import read_text, refuse_problems
from callwright.values.errors import RequestError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Account = Annotated[
    str | None,
    typer.Option(
        "--account", "-a", help="The account whose card it is (default: the default card).", show_default=False
    ),
]


def _price(about: str) -> Any:
    return typer.Option(help=f"{about}, in dollars.", show_default=False)


@app.command("show")
def show(
    number: Annotated[str | None, typer.Option(help="Show only what a call to this number costs.")] = None,
    after: Annotated[str | None, typer.Option(help="Show number rates from behind this prefix on.")] = None,
    account: Account = None,
    data: Data = None,
) -> None:
    """Show the rate card in force for an account, or the default one."""
    found = node_link(data).get("/rates", given(account=account, number=number, after=after))
    typer.echo(f"prices of {found['of']}")
    if number is not None:
        _show_numbers([found["number"]])
        return
    card = found["card"]
    for name in ("platform", "pstn", "tollfree", "tts", "tts_neural"):
        typer.echo(f"{name:<20}{card[name]}")
    typer.echo(f"{'tollfree prefixes':<20}{', '.join(card['tollfree_prefixes']) or '-'}")
    for kind, price in card["features"].items():
        typer.echo(f"{'feature ' + kind + '*':<20}{price}")
    if found["count"]:
        typer.echo(f"rates of numbers: {found['count']}")
        _show_numbers(found["numbers"])
    if found["more"]:
        typer.echo(f"There are more: --after {found['numbers'][-1]['prefix']}")


@app.command("set")
def set_rates(
    platform: Annotated[str | None, _price("Running an application, per started minute")] = None,
    pstn: Annotated[str | None, _price("A call to a number without a rate of its own, per started minute")] = None,
    tollfree: Annotated[str | None, _price("The same for toll-free prefixes")] = None,
    tts: Annotated[str | None, _price("A minute of speech, standard voice")] = None,
    tts_neural: Annotated[str | None, _price("A minute of speech, neural voice")] = None,
    tollfree_prefix: Annotated[
        list[str] | None,
        typer.Option(metavar="DIGITS", help="Beginning of toll-free numbers; repeat for several, '' for none."),
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE=PRICE", help="Price of a minute, such as sr_=0.02; TYPE= removes it."),
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="Set the rate of numbers that begin like this.")] = None,
    price: Annotated[str | None, _price("With --prefix: a minute of such a call")] = None,
    first: Annotated[int, typer.Option(help="With --prefix: seconds charged at once.")] = 60,
    next_: Annotated[int, typer.Option("--next", help="With --prefix: seconds of each further step.")] = 60,
    minimum: Annotated[str, typer.Option(help="With --prefix: the least a call costs.")] = "0",
    fee: Annotated[str, typer.Option(help="With --prefix: added to each call.")] = "0",
    is_tollfree: Annotated[bool, typer.Option("--is-tollfree", help="With --prefix: counted as toll-free.")] = False,
    account: Account = None,
    data: Data = None,
) -> None:
    """Change prices; what is not named stays. Calls that are up keep the prices they began with."""
    changes = given(
        account=account,
        platform=platform,
        pstn=pstn,
        tollfree=tollfree,
        tts=tts,
        tts_neural=tts_neural,
        tollfree_prefixes=None if tollfree_prefix is None else [each for each in tollfree_prefix if each],
        features=dict(map(_feature, feature)) if feature else None,
    )
    if prefix is not None:
        if price is None:
            raise RequestError("--prefix needs --price")
        changes["number"] = {
            "prefix": prefix.removeprefix("+"),
            "price": price,
            "first_s": first,
            "next_s": next_,
            "minimum": minimum,
            "fee": fee,
            "tollfree": is_tollfree,
        }
    node_link(data).post("/rates", changes)
    show(account=account, data=data)


@app.command("import", short_help="Store the number rates of a CSV file.")
def import_rates(
    file: Annotated[Path, typer.Argument(help="CSV with a heading: prefix,price[,first,next,minimum,fee,tollfree].")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Remove the prefixes that are not in the file.")] = False,
    account: Account = None,
    data: Data = None,
) -> None:
    """Store the number rates of a CSV file: all of them, or none when a line is wrong."""
    body = {"text": read_text(file), "account": account, "dry_run": dry_run, "replace": replace}
    done = node_link(data).post("/rates/import", body)
    refuse_problems(file, done["problems"])
    would = "" if done["stored"] else "would be "
    counts = ", ".join(f"{done[what]} {would}{what}" for what in ("added", "changed", "removed"))
    typer.echo(f"{counts}, {done['unchanged']} unchanged")


@app.command("remove")
def remove(
    prefix: Annotated[
        list[str] | None, typer.Option(metavar="DIGITS", help="A prefix to remove; repeat for several.")
    ] = None,
    card: Annotated[bool, typer.Option("--card", help="Remove the whole card.")] = False,
    account: Account = None,
    data: Data = None,
) -> None:
    """Remove number rates from a card, or a whole card."""
    if card == bool(prefix):
        raise RequestError("say what to remove: --prefix PREFIX, or --card for the whole card")
    body: dict[str, object] = {"account": account}
    if prefix:
        body["prefixes"] = [each.removeprefix("+") for each in prefix]
    typer.echo(f"{node_link(data).post('/rates/remove', body)['removed']} removed")


def _feature(text: str) -> tuple[str, str | None]:
    kind, equals, price = text.partition("=")
    if not equals or not kind:
        raise RequestError(f"--feature {text}: write TYPE=PRICE, such as sr_=0.02")
    return kind, price or None


def _show_numbers(rates: list[dict[str, Any]]) -> None:
    rows = [
        (
            r["prefix"] or "(others)",
            r["price"],
            f"{r['first_s']}/{r['next_s']}",
            r["minimum"],
            r["fee"],
            "yes" if r["tollfree"] else "",
        )
        for r in rates
    ]
    show_table(("prefix", "per minute", "seconds", "minimum", "fee", "toll-free"), rows, empty="no rate")
