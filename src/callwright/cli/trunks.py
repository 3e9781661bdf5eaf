"""``callwright trunk``: add, edit, list, show, enable, disable, remove, test."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from callwright.cli.options import Data, given, node_link, secret_text
from callwright.cli.tables import show_table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_MARKS = {"good": "ok  ", "bad": "FAIL", "note": "    "}


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="A short name for this trunk; records and logs show it.")],
    host: Annotated[str, typer.Option(help="Host name or address of the trunk.", show_default=False)],
    port: Annotated[int | None, typer.Option(help="Its port (default: by SRV, else 5060, TLS 5061).")] = None,
    transport: Annotated[str, typer.Option(help="udp, tcp or tls.")] = "udp",
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX", help="DIGITS[:PRIORITY[:WEIGHT]] of numbers it carries; repeatable (default: *, all)."
        ),
    ] = None,
    user: Annotated[str, typer.Option(help="User name of its digest authentication.")] = "",
    password: Annotated[str, typer.Option(help="Password of that user, - to be asked for it; kept sealed.")] = "",
    register: Annotated[bool, typer.Option("--register", help="Keep this node registered there.")] = False,
    expires: Annotated[int | None, typer.Option(help="Seconds a registration asks for (default: 600).")] = None,
    from_user: Annotated[str, typer.Option(help="User of From in place of the caller id.")] = "",
    from_domain: Annotated[str, typer.Option(help="Domain of From and of the registration.")] = "",
    assert_identity: Annotated[
        bool, typer.Option("--assert-identity", help="Send the caller id as P-Asserted-Identity.")
    ] = False,
    withhold: Annotated[
        bool, typer.Option("--withhold", help="Hide the caller id from the person called (Privacy: id).")
    ] = False,
    strip: Annotated[str, typer.Option(help="Digits taken off the front of called numbers.")] = "",
    prepend: Annotated[str, typer.Option("--add", help="Digits put in front of called numbers.")] = "",
    plus: Annotated[bool, typer.Option("--plus", help="Write numbers with a leading +.")] = False,
    codec: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Codec to offer, the favourite first; repeatable (default: PCMA, then PCMU)."
        ),
    ] = None,
    max_calls: Annotated[int | None, typer.Option(help="Calls at the same time at most.")] = None,
    max_cps: Annotated[float | None, typer.Option(help="Calls per second at most.")] = None,
    check_every: Annotated[
        float | None, typer.Option(help="Seconds between health checks (OPTIONS), 0 for none (default: 30).")
    ] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Keep it, but do not use it yet.")] = False,
    data: Data = None,
) -> None:
    """Add a trunk and begin to use it."""
    wanted = given(
        name=name,
        host=host,
        port=port,
        transport=transport.lower(),
        prefixes=prefix or None,
        user=user,
        password=secret_text(password),
        register=register,
        expires_s=expires,
        from_user=from_user,
        from_domain=from_domain,
        assert_identity=assert_identity,
        withhold=withhold,
        strip=strip,
        add=prepend,
        plus=plus,
        codecs=codec or None,
        max_calls=max_calls,
        max_cps=max_cps,
        check_every_s=check_every,
        enabled=not disabled,
    )
    answer = node_link(data).post("/trunks", wanted)
    trunk = answer["trunk"]
    typer.echo(f"trunk {trunk['name']} carries {_carries(trunk)} to {_where(trunk)}")
    _warn(trunk)
    typer.echo(f"see what it says: callwright trunk test {trunk['name']}")


@app.command("edit", short_help="Change a trunk from the next call on.")
def edit(
    name: Annotated[str, typer.Argument(help="The trunk to change.")],
    host: Annotated[str | None, typer.Option(help="Host name or address of the trunk.")] = None,
    port: Annotated[int | None, typer.Option(help="Its port; 0: by SRV, else 5060, TLS 5061.")] = None,
    transport: Annotated[str | None, typer.Option(help="udp, tcp or tls.")] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX",
            help="DIGITS[:PRIORITY[:WEIGHT]] of numbers it carries, in place of all before; repeatable.",
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(help='User name of its digest authentication, "" for none.')] = None,
    password: Annotated[
        str | None, typer.Option(help="Password of that user, - to be asked for it; kept sealed.")
    ] = None,
    register: Annotated[
        bool | None, typer.Option("--register/--no-register", help="Keep this node registered there.")
    ] = None,
    expires: Annotated[int | None, typer.Option(help="Seconds a registration asks for.")] = None,
    from_user: Annotated[str | None, typer.Option(help='User of From, "" for the caller id.')] = None,
    from_domain: Annotated[str | None, typer.Option(help="Domain of From and of the registration.")] = None,
    assert_identity: Annotated[
        bool | None,
        typer.Option("--assert-identity/--no-assert-identity", help="Send the caller id as P-Asserted-Identity."),
    ] = None,
    withhold: Annotated[
        bool | None, typer.Option("--withhold/--no-withhold", help="Hide the caller id from the person called.")
    ] = None,
    strip: Annotated[str | None, typer.Option(help="Digits taken off the front of called numbers.")] = None,
    prepend: Annotated[str | None, typer.Option("--add", help="Digits put in front of called numbers.")] = None,
    plus: Annotated[bool | None, typer.Option("--plus/--no-plus", help="Write numbers with a leading +.")] = None,
    codec: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Codec to offer, the favourite first, in place of all before; repeatable."),
    ] = None,
    max_calls: Annotated[int | None, typer.Option(help="Calls at the same time at most; 0: any number.")] = None,
    max_cps: Annotated[float | None, typer.Option(help="Calls per second at most; 0: any number.")] = None,
    check_every: Annotated[
        float | None, typer.Option(help="Seconds between health checks (OPTIONS), 0 for none.")
    ] = None,
    data: Data = None,
) -> None:
    """Change a trunk from the next call on; what is not given stays as it was, and calls that are up go on."""
    changes = given(
        host=host,
        port=port,
        transport=transport.lower() if transport is not None else None,
        prefixes=prefix or None,
        user=user,
        password=None if password is None else secret_text(password),
        register=register,
        expires_s=expires,
        from_user=from_user,
        from_domain=from_domain,
        assert_identity=assert_identity,
        withhold=withhold,
        strip=strip,
        add=prepend,
        plus=plus,
        codecs=codec or None,
        max_calls=max_calls,
        max_cps=max_cps,
        check_every_s=check_every,
    )
    if not changes:
        raise typer.BadParameter("say what shall be different, for example --max-cps 5")
    trunk = node_link(data).post("/trunks/edit", {"name": name, **changes})["trunk"]
    typer.echo(f"trunk {name} is changed: {', '.join(changes)}")
    _warn(trunk)


@app.command("list", short_help="List the trunks and how they do.")
def list_trunks(data: Data = None) -> None:
    """List the trunks: where they are, how they do, how fast they get calls."""
    rows = [
        (
            t["name"],
            _where(t),
            _carries(t),
            _state(t),
            _calls(t),
            _rate(t),
            str(t["invites"]),
            str(t["passed_on"]),
            Path(t["source"]).name or "stored",
        )
        for t in node_link(data).get("/trunks")["trunks"]
    ]
    head = ("trunk", "where", "numbers", "state", "calls", "calls/s", "sent", "passed on", "set up in")
    show_table(head, rows, empty="no trunk yet; add one with `callwright trunk add NAME --host HOST`")


@app.command("show")
def show(name: str, data: Data = None) -> None:
    """Show everything about one trunk as JSON, without its password."""
    typer.echo(json.dumps(node_link(data).get("/trunks/show", {"name": name})["trunk"], indent=2))


@app.command("enable")
def enable(name: str, data: Data = None) -> None:
    """Use a trunk again."""
    node_link(data).post("/trunks/enable", {"name": name, "enabled": True})
    typer.echo(f"trunk {name} is enabled")


@app.command("disable")
def disable(name: str, data: Data = None) -> None:
    """Use a trunk no more, but keep it; calls that are up stay up."""
    node_link(data).post("/trunks/enable", {"name": name, "enabled": False})
    typer.echo(f"trunk {name} is disabled")


@app.command("remove")
def remove(name: str, data: Data = None) -> None:
    """Forget a trunk; calls that are up stay up."""
    node_link(data).post("/trunks/remove", {"name": name})
    typer.echo(f"trunk {name} is removed")


@app.command("test", short_help="Look a trunk over and say what was found.")
def look_over(
    name: str,
    call: Annotated[str, typer.Option(help="Call this number through the trunk and play a tone.")] = "",
    caller_id: Annotated[str, typer.Option("--from", help="Caller id of that call.")] = "",
    data: Data = None,
) -> None:
    """Look a trunk over and say what was found; nobody is called without --call. Exit code 1 when something is
    wrong.
    """
    findings = node_link(data).post("/trunks/test", {"name": name, "call": call, "from": caller_id})["findings"]
    for finding in findings:
        typer.echo(f"{_MARKS[finding['verdict']]}  {finding['text']}")
    if any(finding["verdict"] == "bad" for finding in findings):
        raise typer.Exit(1)


def _warn(trunk: dict[str, Any]) -> None:
    if trunk["warning"]:
        typer.echo(f"warning: {trunk['warning']}", err=True)


def _where(trunk: dict[str, Any]) -> str:
    host = f"[{trunk['host']}]" if ":" in trunk["host"] else trunk["host"]
    return (
        host
        + (f":{trunk['port']}" if trunk["port"] else "")
        + ("" if trunk["transport"] == "udp" else f" {trunk['transport']}")
    )


def _carries(trunk: dict[str, Any]) -> str:
    return " ".join(prefix.removesuffix(":1").removesuffix(":1") for prefix in trunk["prefixes"])


def _state(trunk: dict[str, Any]) -> str:
    why = {"not registered": trunk["register_refused"], "down": trunk["why_down"]}.get(trunk["state"], "")
    return str(trunk["state"]) + (f": {why}" if why else "")


def _calls(trunk: dict[str, Any]) -> str:
    return f"{trunk['calls']}" if trunk["max_calls"] is None else f"{trunk['calls']} of {trunk['max_calls']}"


def _rate(trunk: dict[str, Any]) -> str:
    if trunk["rate"] is None:
        return "any"
    why = "lowered: it pushed back"
    if trunk["resting_for_s"] is not None:
        why += f", wants rest for {math.ceil(trunk['resting_for_s'])} s"
    if not trunk["lowered"]:
        return f"{trunk['rate']:.3g}"
    limit = "" if trunk["max_cps"] is None else f" of {trunk['max_cps']:.3g}"
    return f"{trunk['rate']:.3g}{limit} ({why})"
