"""The ``callwright`` command: its words, and the one place that turns what goes wrong into a message and an exit code.

Exit codes: 0 done, 1 could not be done (the message says why), 2 the command line itself is wrong, 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from callwright import __version__
from callwright.cli import (
    account_rules,
    accounts,
    calls,
    control,
    demo,
    doctor,
    donotcall,
    explain,
    ladder,
    queues,
    rates,
    sandbox,
    serve,
    services,
    trunks,
)
from callwright.values.errors import CallwrightError

app = typer.Typer(
    help="Self-hosted programmable outbound calling, wire-compatible with Aculab Cloud's web services.\n\n"
    "To begin: callwright demo places one call to a simulated telephone; callwright serve --sandbox runs a node, and "
    "the other commands find it by its data folder (--data, or CALLWRIGHT_DATA).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("serve", short_help="Run a node: web services, queue, calls and records.")(serve.serve)
app.add_typer(accounts.app, name="account", help="Accounts and their API Access Keys.")
accounts.app.command("rules", short_help="Show or change what an account may call and spend.")(account_rules.rules)
app.add_typer(services.app, name="service", help="Outbound services: which application runs on which calls.")
app.add_typer(trunks.app, name="trunk", help="Gateways to the telephone network: which numbers go where.")
app.add_typer(queues.app, name="queue", help="The starts that wait: how many, and taking them back.")
app.add_typer(rates.app, name="rates", help="What calls cost: the default rate card and those of accounts.")
app.add_typer(donotcall.app, name="donotcall", help="Numbers an account must not call.")
app.command("call", short_help="Start one call and print its reference.")(calls.call)
app.command("status", short_help="Show what became of starts, with their records.")(calls.status)
app.command("cancel", short_help="Cancel starts that nobody was dialled for yet.")(calls.cancel)
app.command("job")(calls.job)
app.command("running", short_help="List the calls that run, and what is paused.")(control.running)
app.command("pause", short_help="Dial nobody more: for one service, one account, or at all.")(control.pause)
app.command("resume", short_help="End a pause.")(control.resume)
app.command("hangup")(control.hangup)
app.command("explain", short_help="Say what an error number means, or what became of a start.")(explain.explain)
app.command("ladder", short_help="Draw the SIP messages of a call.")(ladder.ladder)
app.command("sandbox", short_help="Run the simulated phone network alone.")(sandbox.sandbox)
app.command("doctor", short_help="Say what works on this machine, and what to do about the rest.")(doctor.doctor)
app.command("demo", short_help="Place one call to a simulated telephone and show every event.")(demo.demo)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"callwright {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; what goes wrong on purpose is one line on standard error."""
    try:
        app(prog_name=Path(sys.argv[0]).name)
    except CallwrightError as problem:
        typer.echo(f"callwright: {problem}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
