"""Calls of a whole node to telephones that others wrote: pages, sounds and what became of each call.

with stand(folder, marked) as stage:
    call = stage.place("hold", phone.uri(), *CONVERSATION)
    ...                                     # let the telephone do its part
    ended = stage.ended(call)
"""

from __future__ import annotations

import random
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from tests.support.audio import RATE, Pcm, find_tone, level, level_at, read_wav, sine, write_wav
from tests.support.node import FREE, Node, Over, Service, running_node
from tests.support.node_outside import LoopThread, web_application
from tests.support.node_processes import MarkedProcesses, wait_until

from callwright.testing.web_application import Asked, WebApplication

HOST = "127.0.0.1"
TONE_HZ, TONE_MS = 1000, 1200
PEER_HZ = 700
RECORD_S = 2
KEYS_SENT = "159#0*D"
KEYS_EXPECTED = 3

PLAY_TONE = {"play": {"play_list": [{"file_to_play": "tone.wav"}], "barge_in_on_digit": False}}
PRESS_KEYS = {"play": {"play_list": [{"digits_to_play": KEYS_SENT}], "barge_in_on_digit": False}}
_ANY_KEY = "0123456789*#"


def free_ports() -> int:
    """Return a port free for UDP and TCP whose next one is free for TCP, below those the system gives out itself."""
    while True:
        port = random.randrange(5100, 9900, 2)
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp, socket.socket() as tls:
            try:
                udp.bind((HOST, port))
                tcp.bind((HOST, port))
                tls.bind((HOST, port + 1))
            except OSError:
                continue
            return port


def tone_ms(pcm: Pcm, frequency: float) -> float:
    """Return how long a tone was heard in all, in pieces or not."""
    window = 80
    parts = [pcm[start : start + window] for start in range(0, len(pcm) - window, window)]
    there = [part for part in parts if level_at(part, frequency) > max(-35.0, level(part) - 3.0)]
    return len(there) * window * 1000 / RATE


def rest(seconds: float) -> dict[str, object]:
    """Return a sleep action."""
    return {"sleep": {"seconds": seconds}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One call that was started."""

    name: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One call that is over: what the node and its web application say of it."""

    over: Over
    adr: dict[str, Any]
    cdr: dict[str, Any]
    errs: dict[str, Any]
    asked: list[Asked]
    data: Path

    @property
    def pages(self) -> list[str]:
        """The last parts of the URLs asked, in order."""
        return [one.path.rsplit("/", 1)[1] for one in self.asked]

    @property
    def keys(self) -> str:
        """The keys that its menus took."""
        found = [one.info or {} for one in self.asked if one.path.rsplit("/", 1)[1] in ("key", "extra")]
        return "".join(info["action_result"]["result"]["digit"] for info in found)

    @property
    def final(self) -> dict[str, Any]:
        """What the final page was told of the call."""
        [found] = [one.info for one in self.asked if one.path.endswith("/final")]
        assert found is not None
        return dict(found["this_call"])

    def recording(self) -> Pcm:
        """The sound that its record action kept."""
        [found] = [one.info for one in self.asked if one.path.endswith("/recorded")]
        assert found is not None
        name = found["action_result"]["result"]["filename"]
        return read_wav(self.data / "media" / "1" / name.lstrip("/"))


def check_conversation(call: Ended) -> None:
    """Check what we must have of every conversation, whoever the telephone is: its keys and its tone."""
    assert call.over.status == "completed 0"
    assert call.keys == "5#9"
    theirs = find_tone(call.recording(), PEER_HZ)
    assert theirs is not None
    assert theirs.ms > 1500


def check_instants(call: Ended, *, answered_at: float, ended_at: float, near_s: float) -> None:
    """Check that what we wrote down of the answer and the end is what the telephone saw (epoch seconds)."""
    assert call.cdr["call_connected_time"] == pytest.approx(answered_at, abs=near_s)
    assert call.cdr["call_hangup_time"] == pytest.approx(ended_at, abs=near_s)


def check_unanswered(call: Ended, *, hangup_cause: str, cause: str) -> None:
    """Check how a call that was never answered was written down and told: to the final page only."""
    assert call.cdr["hangup_cause"] == hangup_cause
    assert call.final["call_cause"] == cause
    assert call.pages == ["final"]


class Closable(Protocol):
    def close(self) -> None:
        """End the telephone's process, and wait for that."""


Phone = TypeVar("Phone", bound=Closable)


@contextmanager
def attended(process: subprocess.Popen[Any], attend: Callable[[], Phone]) -> Iterator[Phone]:
    """Attend to a telephone's process while the block runs; it is ended even when nobody could attend to it."""
    phone = None
    try:
        phone = attend()
        yield phone
    finally:
        if phone is not None:
            phone.close()
        elif process.poll() is None:
            process.kill()
            process.wait()


def wait_ended(process: subprocess.Popen[Any], within_s: float) -> None:
    """Wait until a process that was told to end has ended; kill it when it does not."""
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Stand:
    """A node, its web application and the services of the calls."""

    def __init__(self, node: Node, web: WebApplication, outside: LoopThread) -> None:
        self.node = node
        self.web = web
        self._outside = outside
        self._services: dict[str, Service] = {}

    def prepare(self, *names: str, ring_timeout_s: float = 30) -> None:
        """Make the services of calls beforehand, so that the calls themselves begin one right after the other."""
        for name in names:
            base = f"{self.web.url}/{name}"
            self._services[name] = self.node.add_service(
                name, first_page=f"{base}/first", final_page=f"{base}/final", ring_timeout_s=ring_timeout_s
            )

    def add_trunk(self, name: str, port: int, prefix: str, **fields: object) -> None:
        """Let the numbers that start like this go to a port of this machine."""
        self.node.link.post("/trunks", {"name": name, "host": HOST, "port": port, "prefixes": [prefix], **fields})

    def place(self, name: str, to: str, *actions: Mapping[str, object]) -> Placed:
        """Start a call whose first page has these actions; their pages are ``key``, ``extra`` and ``recorded``."""
        base = f"{self.web.url}/{name}"
        self.web.page(f"/{name}/first", *(self._at(base, action) for action in actions))
        self.web.page(f"/{name}/final")
        if name not in self._services:
            self.prepare(name)
        return Placed(name=name, reference=self.node.start(self._services[name], to))

    def converse(self, name: str, to: str, *after: Mapping[str, object]) -> Placed:
        """Start a call that plays a tone, takes three keys and no fourth, presses keys, records and does the rest."""
        base = f"{self.web.url}/{name}"
        menu = {
            "menu_options": [{"digit": key, "next_page": {"url": f"{base}/key"}} for key in _ANY_KEY],
            "help_digit": "",
            "seconds_digit_timeout": 15,
        }
        another = menu | {"seconds_digit_timeout": 1, "on_digit_timeout_messages": []}
        another |= {"menu_options": [{"digit": key, "next_page": {"url": f"{base}/extra"}} for key in _ANY_KEY]}
        for _ in range(KEYS_EXPECTED - 1):
            self.web.page(f"/{name}/key", {"run_menu": menu})
        self.web.page(f"/{name}/key", {"run_menu": another}, PRESS_KEYS, self._record(base))
        self.web.page(f"/{name}/recorded", *after)
        return self.place(name, to, PLAY_TONE, {"run_menu": menu})

    def wait_page(self, call: Placed, page: str, *, times: int = 1, within_s: float = 25.0) -> None:
        """Return when a page of a call was asked so often."""
        path = f"/{call.name}/{page}"
        self._outside.run(self.web.wait_for(path, times=times, deadline_s=within_s), within_s=within_s + 5)

    def ended(self, call: Placed, *, within_s: float = 60.0) -> Ended:
        """Return what became of a call, once it is over."""
        over = self.node.wait_over(call.reference, within_s=within_s)
        records = self.node.records(over)
        [cdr] = records["cdrs"].values()
        return Ended(
            over=over,
            adr=records["adr"],
            cdr=cdr,
            errs=records["errs"],
            asked=[one for one in self.web.asked if one.path.startswith(f"/{call.name}/")],
            data=self.node.data,
        )

    def _record(self, base: str) -> dict[str, object]:
        return {"record": {"next_page": {"url": f"{base}/recorded"}, "seconds_max_duration": RECORD_S}}

    def _at(self, base: str, action: Mapping[str, object]) -> dict[str, object]:
        return self._record(base) if "record" in action else dict(action)


@contextmanager
def stand(folder: Path, marked: MarkedProcesses, *options: str, settings: str = "", sip: str = FREE) -> Iterator[Stand]:
    """Run a node without the simulated phone network, and a web application beside it.

    ``settings`` is the text of its ``callwright.toml``, ``sip`` where it listens for SIP.
    """
    data = folder / "data"
    media = data / "media" / "1"
    media.mkdir(parents=True)
    write_wav(media / "tone.wav", sine(TONE_HZ, TONE_MS), RATE)
    (data / "callwright.toml").write_text(settings)
    with (
        LoopThread() as outside,
        web_application(outside) as web,
        running_node(data, marked, "--log-level", "debug", *options, sip=sip) as node,
    ):
        yield Stand(node, web, outside)
        wait_until(
            lambda: node.link.get("/status")["live_calls"] == 0, what=lambda: f"no call left; {node.last_words()}"
        )
