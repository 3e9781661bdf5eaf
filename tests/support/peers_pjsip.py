"""PJSIP as an independent telephone: ``tests/interop/pjsip_phone.py`` in the interpreter that has ``pjsua2``.

``tests/interop/install_peers.sh`` makes that interpreter; without it the tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.audio import Pcm, read_wav, sine, write_wav
from tests.support.node_processes import MarkedProcesses, wait_until
from tests.support.peers import attended, wait_ended

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("PEERS_PJSIP", ROOT / "build" / "peers" / "pjsip")) / "bin" / "python"
PHONE = ROOT / "tests" / "interop" / "pjsip_phone.py"
_STOP_S = 8.0
_SAYS_MS = 20_000

needs_pjsip = pytest.mark.skipif(
    not PYTHON.is_file(), reason=f"{PYTHON} is not there (tests/interop/install_peers.sh puts PJSIP there)"
)

Event = dict[str, Any]
Answers = tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What it received of us, and whether a report of ours told it what we received; ``text`` is all it says."""

    received: int
    lost: int
    misordered: int
    reports: int
    text: str


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, f"{pattern} is not in {text}"
    return int(found[1])


class Pjsip:
    """One telephone. ``events`` is everything it told, each with ``event`` and ``at`` (epoch seconds)."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], transport: str) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self._process = process
        self._transport = transport
        self._reader = threading.Thread(target=self._read, name="pjsip", daemon=True)
        self._reader.start()

    def uri(self, user: str = "phone") -> str:
        """Return the address to call it by."""
        how = "" if self._transport == "udp" else f";transport={self._transport}"
        return f"sip:{user}@{self.wait_for('ready')['address']}{how}"

    @property
    def port(self) -> int:
        return int(str(self.wait_for("ready")["address"]).rpartition(":")[2])

    def tell(self, do: str, **facts: object) -> None:
        """Give an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **facts}) + "\n")
        self._process.stdin.flush()

    def all(self, event: str, **facts: object) -> list[Event]:
        """Return the events of a kind so far that have these facts."""
        return [one for one in self.events if one["event"] == event and facts.items() <= one.items()]

    def wait_for(self, event: str, *, times: int = 1, within_s: float = 20.0, **facts: object) -> Event:
        """Return an event once it was told so often."""

        def told() -> Event | None:
            found = self.all(event, **facts)
            return found[times - 1] if len(found) >= times else None

        return wait_until(told, within_s=within_s, what=lambda: f"{event} {facts} of PJSIP: {self.events[-5:]}")

    def figures(self) -> Figures:
        """Return what its RTCP session says of the call that is up."""
        self.tell("figures")
        text = str(self.wait_for("figures", times=len(self.all("figures")) + 1)["text"])
        received, sent = text.split("TX pt=")
        return Figures(
            received=_number(r"total (\d+)pkt", received),
            lost=_number(r"pkt loss=(\d+)", received),
            misordered=_number(r"reord=(\d+)", received),
            reports=0 if "last update:never" in sent.splitlines()[0] else 1,
            text=text,
        )

    def digits(self) -> str:
        return "".join(one["digit"] for one in self.all("digit"))

    def heard(self) -> Pcm:
        """Return what it decoded; complete once the phone is closed."""
        return read_wav(self.folder / "heard.wav")

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def leave(self) -> None:
        """Let it hang up what is left and end; ``close`` waits for that."""
        with suppress(BrokenPipeError):
            self.tell("quit")

    def close(self) -> None:
        self.leave()
        wait_ended(self._process, _STOP_S)
        self._reader.join(_STOP_S)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what it was told while it ended
                if pipe is not None:
                    pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))


@contextmanager
def pjsip(
    folder: Path,
    marked: MarkedProcesses,
    *,
    answers: Answers | dict[str, Answers] = ((0.0, 180), (0.2, 200)),
    tone_hz: int = 700,
    codecs: tuple[str, ...] = ("PCMU", "PCMA"),
    transport: str = "udp",
    reliable: str = "no",
    timers: str = "may",
    session_s: int = 1800,
    port: int = 0,
    **more: object,
) -> Iterator[Pjsip]:
    """Run a telephone while the block runs.

    ``answers`` are what it answers an INVITE by, each with seconds after it, or that by the user called. ``reliable``
    is ``no``, ``may`` or ``must`` (RFC 3262), ``timers`` ``no``, ``may`` or ``always`` (RFC 4028).
    """
    folder.mkdir(parents=True)
    write_wav(folder / "says.wav", sine(tone_hz, _SAYS_MS))
    order = {
        "port": port,
        "rtp_port": 14_000,
        "log": str(folder / "log"),
        "says": str(folder / "says.wav"),
        "heard": str(folder / "heard.wav"),
        "answers": answers,
        "codecs": codecs,
        "transport": transport,
        "reliable": reliable,
        "timers": timers,
        "session_s": session_s,
        **more,
    }
    with (folder / "errors").open("ab") as errors:
        process = subprocess.Popen(
            [str(PYTHON), str(PHONE), json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=marked.environment,
            start_new_session=True,
        )
    with attended(process, lambda: Pjsip(folder, process, transport)) as phone:
        yield phone
