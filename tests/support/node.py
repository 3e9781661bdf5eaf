"""A whole node as its users run it: the ``callwright serve`` command in a process of its own, killed and started again.

with marked_processes() as marked, running_node(tmp_path / "data", marked) as node:
    service = node.add_service("hello", first_page=...)
    reference = node.start(service, "tel:999005550009")
    over = node.wait_over(reference)
    node.records(over)
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.node_processes import MarkedProcesses, wait_until

from callwright.cli.node_link import NodeLink, NoNode

ACCOUNT = "demo@example.com"
CLOUD = "0-0-0"
CALLER = "441908273800"
FREE = "127.0.0.1:0"
OVER = ("completed", "couldnotrun", "cancelled", "unknown")
_READY_S = 60.0
_STOP_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer: its status and its parsed body, text when that is not JSON."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """An outbound service and what opens it."""

    name: str
    password: str
    account: str = ACCOUNT

    @property
    def user(self) -> str:
        return f"{CLOUD}/{self.account}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """What ``service_status`` said of a start that is over."""

    reference: str
    status: str
    instance: str


class Node:
    """One data folder and the node process on it, in as many lives as the test wants."""

    def __init__(self, data: Path, marked: MarkedProcesses, options: Sequence[str] = ("--sandbox",)) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self.link = NodeLink(data / "admin.sock")
        self.http = FREE
        self.sip = FREE
        self.lives = 0
        self._marked = marked
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._keys: dict[str, str] = {}

    # --- its life

    def start_process(self, *, environment: dict[str, str] | None = None) -> None:
        """Start a life; addresses that were free ports the first time are kept from then on."""
        self.lives += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command("serve", "--stop-with-parent", *self._options, *self._places()),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._marked.environment | (environment or {}),
                start_new_session=True,
            )

    def wait_ready(self) -> dict[str, Any]:
        """Return what ``/status`` of the admin socket says once the node answers; fail when it ended instead."""
        status = wait_until(self._status_if_ready, within_s=_READY_S, what=lambda: f"ready node; {self.last_words()}")
        self.http = status["http"].removeprefix("http://")
        self.sip = status["sip"]
        return status

    def begin(self, *, environment: dict[str, str] | None = None) -> dict[str, Any]:
        """Start a life and wait until it is ready."""
        self.start_process(environment=environment)
        return self.wait_ready()

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_exit(self, *, within_s: float = _STOP_S) -> int:
        """Return the exit code once the process has ended."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the node did not end within {within_s:g} s; {self.last_words()}") from None
        self._close_input()
        return code

    def stop(self) -> None:
        """Ask the node to hang up its calls and end, by two signals that cannot merge into one, and make sure of it."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._close_input()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the node was never started"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """Return the end of the node's log, for a failed assertion."""
        lines = self.log.read_text(errors="replace").splitlines()[-12:] if self.log.exists() else []
        return f"log {self.log}: ...\n" + "\n".join(lines)

    def _places(self) -> list[str]:
        return ["--data", str(self.data), "--http", self.http, "--sip", self.sip]

    def _status_if_ready(self) -> dict[str, Any] | None:
        assert self.is_running, f"the node ended with {self.process.returncode}; {self.last_words()}"
        try:
            # The first account is made after the admin socket opens: a node without it is not ready for clients.
            if not self.link.get("/accounts")["accounts"]:
                return None
            status: dict[str, Any] = self.link.get("/status")
        except NoNode:
            return None
        return status if status["pid"] == self.process.pid else None

    def _end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait()
        self._close_input()

    def _close_input(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()

    # --- what administrators do

    def add_service(self, name: str, *, account: str = ACCOUNT, **fields: object) -> Service:
        """Make an outbound service through the admin socket; ``fields`` are those of ``POST /services``."""
        made = self.link.post("/services", {"name": name, "account": account, **fields})
        return Service(name=name, password=made["password"], account=account)

    def access_key(self, account: str = ACCOUNT) -> str:
        """Return an API Access Key of an account."""
        if account not in self._keys:
            self._keys[account] = self.link.post("/accounts/rotate_key", {"username": account})["access_key"]
        return self._keys[account]

    # --- what clients do

    def post(self, path: str, user: str, password: str, **parameters: str) -> Answer:
        """Send a form with Basic authorisation over HTTP."""
        return post(f"http://{self.http}{path}", user, password, **parameters)

    def service_start(self, service: Service, calls: object, **parameters: str) -> Answer:
        """``POST /service_start``; ``calls`` is what ``rest_calls`` holds, or its text."""
        text = calls if isinstance(calls, str) else json.dumps(calls)
        return self.post("/service_start", service.user, service.password, rest_calls=text, **parameters)

    def start(self, service: Service, to: str, **members: object) -> str:
        """Start one call as a client does; return its reference."""
        answer = self.service_start(service, {"to": to, "from": CALLER, **members})
        assert answer.status == 200, answer
        [reference] = answer.body
        return str(reference)

    def service_status(self, *references: str, account: str = ACCOUNT) -> dict[str, dict[str, Any]]:
        answer = self.post(
            "/service_status", f"{CLOUD}/{account}", self.access_key(account), service_refs="/".join(references)
        )
        assert answer.status == 200, answer
        return dict(answer.body)

    def status_of(self, reference: str) -> str:
        return str(self.service_status(reference)[reference]["status"])

    def wait_over(self, reference: str, *, within_s: float = 40.0) -> Over:
        """Return how a start ended, once it has."""
        return self.wait_all_over([reference], within_s=within_s)[reference]

    def wait_all_over(
        self, references: Sequence[str], *, within_s: float = 60.0, account: str = ACCOUNT
    ) -> dict[str, Over]:
        """Return how starts ended, once all of them have."""
        last: dict[str, dict[str, Any]] = {}

        def all_over() -> bool:
            last.update(self.service_status(*references, account=account))
            return all(one["status"].split(" ")[0] in OVER for one in last.values())

        wait_until(all_over, within_s=within_s, what=lambda: f"all starts over: {last}; {self.last_words()}")
        return {
            reference: Over(reference=reference, status=one["status"], instance=one["application_instance_id"])
            for reference, one in last.items()
        }

    def records(self, over: Over, *, account: str = ACCOUNT) -> dict[str, Any]:
        """Return ``application_status`` of the instance of a start."""
        answer = self.post(
            "/application_status",
            f"{CLOUD}/{account}",
            self.access_key(account),
            application_instance_id=over.instance,
        )
        assert answer.status == 200, answer
        return dict(answer.body)


@contextmanager
def running_node(data: Path, marked: MarkedProcesses, *options: str, sip: str = FREE) -> Iterator[Node]:
    """Run a node while the block runs; with no ``options`` it has the simulated phone network beside it."""
    node = Node(data, marked, options or ("--sandbox",))
    node.sip = sip
    try:
        node.begin()
        yield node
    finally:
        node.stop()


def command(*arguments: str) -> list[str]:
    """Return the command line of ``callwright`` as this checkout's interpreter runs it."""
    return [sys.executable, "-m", "callwright.cli.main", *arguments]


def callwright(
    *arguments: str, environment: dict[str, str] | None = None, within_s: float = 60.0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; return its exit code and both outputs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLWRIGHT_")}
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment or kept,
        timeout=within_s,
        cwd=cwd,
        check=False,
    )


def post(url: str, user: str, password: str, **parameters: str) -> Answer:
    """Send a form with Basic authorisation; raise OSError when nobody answers."""
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Accept": "application/json"}
    request = urllib.request.Request(url, urlencode(parameters).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return _answer(answer.status, answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _answer(refusal.code, refusal.read())


def get(url: str) -> Answer:
    """Ask for a URL without credentials."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return _answer(answer.status, answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _answer(refusal.code, refusal.read())


def _answer(status: int, body: bytes) -> Answer:
    try:
        return Answer(status=status, body=json.loads(body))
    except ValueError:
        return Answer(status=status, body=body.decode(errors="replace"))


def json_after(text: str, heading: str) -> Any:
    """Return the JSON value that follows a heading in what a command printed."""
    begin = re.search(re.escape(heading), text)
    assert begin is not None, f"{heading!r} is not in:\n{text}"
    value, _ = json.JSONDecoder().raw_decode(text[begin.end() :].lstrip())
    return value


def seconds_since(began: float) -> float:
    """Return the seconds since a ``time.monotonic()``, for texts that a test prints."""
    return time.monotonic() - began
