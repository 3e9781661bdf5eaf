"""``callwright demo``: one real call from ``service_start`` to its costs, live on the terminal.

A node with the simulated phone network and a sample web application run as processes of their own, on free ports and a
new temporary folder; requests go over HTTP as those of any client. Whatever happens, both processes have ended when the
command returns.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import typer

import callwright
from callwright.cli.node_link import NodeLink, NoNode
from callwright.cli.serve import DEMO_ACCOUNT
from callwright.cli.watching import line_printer, watch
from callwright.values.errors import OutsideError

NUMBER = "tel:999005550001"
CALLER = "441908273800"
SERVICE = "hello"
CLOUD = "0-0-0"
SAMPLE = Path("examples/hello_rest/app.py")
READY_S = 60.0
STOP_S = 10.0
_PR_SET_PDEATHSIG = 1


class DemoFailed(OutsideError):
    """A part of the demo did not start or did not do its work."""


def demo() -> None:
    """Place one call to a simulated telephone and show every event, the records and the costs."""
    application = _sample_application()
    data = Path(tempfile.mkdtemp(prefix="callwright-demo-"))
    typer.echo(f"callwright demo: one call, for real. Everything it makes is in {data}\n")
    with _interruptible(), _web_application(application, data) as first_page, _node(data) as link:
        node = link.get("/status")
        typer.echo(
            f"  node           web services {node['http']}, SIP {node['sip']}, SQLite, sound in a process of its own"
        )
        typer.echo(f"  phone network  simulated: real SIP and RTP at {node['sandbox']}")
        typer.echo(f"  application    {first_page} ({SAMPLE}, what a customer would write)\n")
        key, password = _prepare(link, first_page)
        _place_call(link, node["http"], key, password)
    _show_what_is_left(data)


def _prepare(link: NodeLink, first_page: str) -> tuple[str, str]:
    """Make the service; return the account's API Access Key and the service's password."""
    base = first_page.rpartition("/")[0]
    pages = {"first_page": first_page, "final_page": f"{base}/final", "error_page": f"{base}/error"}
    key = link.post("/accounts/rotate_key", {"username": DEMO_ACCOUNT})["access_key"]
    password = link.post("/services", {"name": SERVICE, "account": DEMO_ACCOUNT, **pages})["password"]
    return str(key), str(password)


def _place_call(link: NodeLink, http: str, key: str, password: str) -> None:
    """Start a call as a client does, follow it, and ask for what became of it."""
    calls = json.dumps({"to": NUMBER, "from": CALLER, "token": "demo"})
    user = f"{CLOUD}/{DEMO_ACCOUNT}"
    typer.echo(f"POST {http}/service_start  as {user}/{SERVICE}\n  rest_calls={calls}")
    started_at = time.time()
    [reference] = _post(f"{http}/service_start", f"{user}/{SERVICE}", password, rest_calls=calls)
    typer.echo(f'  answer: ["{reference}"]\n')
    watch(link, reference, show=line_printer(started_at))
    status = _post(f"{http}/service_status", user, key, service_refs=reference)
    typer.echo(f"\nservice_status, as a client receives it:\n{json.dumps(status, indent=2)}")
    instance = status[reference]["application_instance_id"]
    if status[reference]["status"] != "completed 0" or not instance:
        raise DemoFailed(f"the call did not complete: {status[reference]['status']}; see the log lines above")
    records = _post(f"{http}/application_status", user, key, application_instance_id=instance)
    typer.echo(f"\napplication_status, as a client receives it:\n{json.dumps(records, indent=2)}")


def _show_what_is_left(data: Path) -> None:
    recordings = sorted((data / "media").rglob("*.wav"))
    heard = sorted((data / "sandbox").glob("*.wav"))
    typer.echo("")
    for path in recordings:
        typer.echo(f"what the telephone said, recorded:   {path}")
    for path in heard:
        typer.echo(f"what the telephone heard:            {path}")
    # The same log stands there under the time of its start and of its end.
    logs = {path.stat().st_ino: path for path in sorted((data / "logs").rglob("*.log"), reverse=True)}
    for path in logs.values():
        typer.echo(f"the instance's log:                  {path}")
    if not recordings:
        raise DemoFailed(f"no recording was made: see {data / 'node.log'}")
    typer.echo("\nNext: `make run` keeps a node running; then, in another terminal,")
    typer.echo(f"  python3 {SAMPLE}")
    typer.echo("  .venv/bin/callwright service add hello --first-page http://127.0.0.1:8090/first")
    typer.echo(f"  .venv/bin/callwright call {NUMBER} --from {CALLER} --service hello --watch")
    typer.echo("Other telephones: …0002 is busy, …0004 never answers, …0010 hangs up, …0012 repeats your keys.")


# --- the processes


@contextmanager
def _node(data: Path) -> Iterator[NodeLink]:
    """Run ``callwright serve`` on free ports while the block runs."""
    arguments = ["--data", str(data), "--http", "127.0.0.1:0", "--sip", "127.0.0.1:0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CALLWRIGHT_")}
    with (data / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "callwright.cli.main", "serve", "--sandbox", "--stop-with-parent", *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            link = NodeLink(data / "admin.sock")
            _wait_until_ready(process, link, data / "node.log")
            yield link
        finally:
            _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], link: NodeLink, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            if link.get("/accounts")["accounts"]:
                return
        except NoNode:
            pass
        if process.poll() is not None:
            raise DemoFailed(f"the node did not start: {_last_line(log)}")
        if time.monotonic() > deadline:
            raise DemoFailed(f"the node was not ready within {READY_S:g} s: see {log}")
        time.sleep(0.05)


@contextmanager
def _web_application(program: Path, data: Path) -> Iterator[str]:
    """Run the sample application on a free port while the block runs; yield the URL of its first page."""
    with (data / "application.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(program), "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode().strip()
            if not line.startswith("http://"):
                raise DemoFailed(f"the sample application did not start: {_last_line(data / 'application.log')}")
            yield line
        finally:
            _end(process)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end and make sure of it. Asked twice, by signals that cannot merge, a node hangs up at once."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does, so that its processes are ended too."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("\ninterrupted: the node hung up its calls and both processes have ended", err=True)
        raise
    finally:
        signal.signal(signal.SIGTERM, former)


# --- small things


def _post(url: str, user: str, password: str, **parameters: str) -> Any:
    """Send one form with Basic authorisation; return the JSON of the answer."""
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Accept": "application/json"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, urlencode(parameters).encode(), headers), timeout=30
        ) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as problem:
        raise DemoFailed(f"{url} answered {problem.code}: {problem.read().decode(errors='replace')}") from problem
    except urllib.error.URLError as problem:
        raise DemoFailed(f"{url} cannot be reached: {problem.reason}") from problem


def _sample_application() -> Path:
    path = Path(callwright.__file__).resolve().parents[2] / SAMPLE
    if not path.is_file():
        raise DemoFailed(f"the demo needs {SAMPLE} of the source tree: run `make demo` in a clone of the project")
    return path


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it said nothing in {log}"
