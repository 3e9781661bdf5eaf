"""SIPp as an independent far end on loopback: scenarios of tests/data/sipp run as callee or caller, in bounded time.

    with answering("answer") as far_end:
        ...                                     # call sip:anything@127.0.0.1:far_end.port
        result = far_end.finish()               # waits until the calls asked for are over
    assert result.all_succeeded, result.why

`SippResult.messages` holds every SIP message as SIPp saw it. Nothing outlives the `with` block.
"""

from __future__ import annotations

import csv
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

SIPP = Path("/usr/bin/sipp")
SCENARIOS = Path(__file__).resolve().parent.parent / "data" / "sipp"

needs_sipp = pytest.mark.skipif(
    not SIPP.is_file(), reason=f"{SIPP} is not installed (Debian: apt-get install sip-tester)"
)

_HOST = "127.0.0.1"
_GRACE_S = 5.0
_MESSAGE = re.compile(
    r"-{20,} (?P<at>[^\n]*)\n(?:UDP|TCP|TLS) message (?P<way>sent|received)[^\n]*\n\n(?P<text>.*?)(?=\n-{20,} |\Z)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class SippMessage:
    """One SIP message: whether SIPp sent it (else received it), its text, and when (epoch seconds)."""

    sent: bool
    text: str
    at: float

    @property
    def gist(self) -> str:
        """`> INVITE` for a request received, `< 180` for a response sent."""
        first = self.text.split("\r\n", 1)[0].split("\n", 1)[0]
        words = first.split(" ")
        return f"{'<' if self.sent else '>'} {words[1] if words[0] == 'SIP/2.0' else words[0]}"

    def header(self, name: str) -> str | None:
        """The first value of a header, by its name as written in full."""
        found = re.search(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*?)\r?$", self.text, re.IGNORECASE | re.MULTILINE)
        return found[1] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SippResult:
    """How a SIPp run ended: its calls by SIPp's own count, all messages, and what it complained about."""

    exit_code: int
    succeeded: int
    failed: int
    messages: tuple[SippMessage, ...]
    errors: str

    @property
    def all_succeeded(self) -> bool:
        return self.exit_code == 0 and self.failed == 0

    @property
    def gists(self) -> list[str]:
        """The messages in order, e.g. `["> INVITE", "< 180", "< 200", "> ACK"]`, repetitions included."""
        return [message.gist for message in self.messages]

    @property
    def why(self) -> str:
        """A text for a failed assertion."""
        saw = ", ".join(self.gists[:40]) + (" …" if len(self.messages) > 40 else "")
        counts = f"{self.succeeded} succeeded, {self.failed} failed"
        return (
            f"SIPp's exit code {self.exit_code}, {counts}, {len(self.messages)} messages: {saw}\n{self.errors[:4000]}"
        )


class Sipp:
    """A running SIPp. `port` takes SIP, `media_port` RTP (sent back as an echo when asked for)."""

    def __init__(
        self,
        folder: Path,
        scenario: str,
        *,
        target: tuple[str, int] | None,
        calls: int,
        pause_ms: int,
        rate: float,
        echo: bool,
        repeats: bool,
        number: str,
        limit_s: float,
    ) -> None:
        self.host = _HOST
        self.port = _free_udp_port()
        self.media_port = _free_udp_port()
        self._folder = folder
        self._limit_s = limit_s
        command = [str(SIPP), *((f"{target[0]}:{target[1]}",) if target else ())]
        command += ["-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", _HOST, "-p", str(self.port), "-m", str(calls)]
        command += ["-mi", _HOST, "-mp", str(self.media_port), "-d", str(pause_ms), "-nostdin"]
        command += ["-r", f"{rate:g}", "-timeout", f"{limit_s:g}s", "-timeout_error"]
        command += ["-trace_msg", "-message_file", str(folder / "messages"), "-trace_err"]
        command += ["-error_file", str(folder / "errors"), "-trace_stat", "-stf", str(folder / "stat.csv"), "-fd", "1"]
        command += ["-rtp_echo"] if echo else []
        command += [] if repeats else ["-nr"]
        command += ["-key", "number", number] if number else []
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, cwd=folder
        )

    def wait_bound(self) -> None:
        """Wait until SIPp listens; raise AssertionError with its complaint when it ended instead."""
        deadline = time.monotonic() + 10
        while not _is_bound(self.port):
            assert self._process.poll() is None, f"SIPp did not start: {self.result().why}"
            assert time.monotonic() < deadline, "SIPp did not listen within 10 s"
            time.sleep(0.02)

    def finish(self) -> SippResult:
        """Wait until the calls asked for are over (SIPp gives up after `limit_s` by itself); return what it saw."""
        try:
            self._process.wait(self._limit_s + _GRACE_S)
        except subprocess.TimeoutExpired:
            self.stop()
        return self.result()

    def stop(self) -> None:
        """End SIPp now; harmless when it has ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def result(self) -> SippResult:
        """What SIPp has seen so far."""
        text = _read(self._folder / "messages")
        succeeded, failed = _counts(self._folder / "stat.csv")
        return SippResult(
            exit_code=-1 if self._process.returncode is None else self._process.returncode,
            succeeded=succeeded,
            failed=failed,
            messages=tuple(
                SippMessage(
                    sent=found["way"] == "sent",
                    text=found["text"],
                    at=datetime.fromisoformat(found["at"].strip()).astimezone().timestamp(),  # it writes local time
                )
                for found in _MESSAGE.finditer(text)
            ),
            errors=_read(self._folder / "errors"),
        )


@contextmanager
def answering(
    scenario: str,
    *,
    calls: int = 1,
    pause_ms: int = 0,
    echo: bool = False,
    repeats: bool = True,
    number: str = "",
    limit_s: float = 30.0,
) -> Iterator[Sipp]:
    """Run a scenario as the called side. `echo` sends received RTP back; `pause_ms` is the scenario's pause.

    `repeats` False leaves repetitions, sent and received, to the scenario (SIPp's -nr); `number` is its `[number]`.
    """
    with _running(
        scenario,
        target=None,
        calls=calls,
        pause_ms=pause_ms,
        rate=10,
        echo=echo,
        repeats=repeats,
        number=number,
        limit_s=limit_s,
    ) as sipp:
        sipp.wait_bound()
        yield sipp


def call_with_sipp(
    scenario: str,
    target: tuple[str, int],
    *,
    number: str,
    calls: int = 1,
    pause_ms: int = 0,
    rate: float = 10,
    limit_s: float = 30.0,
) -> SippResult:
    """Run a scenario as the calling side against `target` to its end. Blocks: use a thread beside an event loop."""
    with _running(
        scenario,
        target=target,
        calls=calls,
        pause_ms=pause_ms,
        rate=rate,
        echo=False,
        repeats=True,
        number=number,
        limit_s=limit_s,
    ) as sipp:
        return sipp.finish()


@contextmanager
def _running(
    scenario: str,
    *,
    target: tuple[str, int] | None,
    calls: int,
    pause_ms: int,
    rate: float,
    echo: bool,
    repeats: bool,
    number: str,
    limit_s: float,
) -> Iterator[Sipp]:
    if not SIPP.is_file():
        pytest.skip(f"{SIPP} is not installed (Debian: apt-get install sip-tester)")
    folder = Path(tempfile.mkdtemp(prefix="sipp-"))
    try:
        sipp = Sipp(
            folder,
            scenario,
            target=target,
            calls=calls,
            pause_ms=pause_ms,
            rate=rate,
            echo=echo,
            repeats=repeats,
            number=number,
            limit_s=limit_s,
        )
        try:
            yield sipp
        finally:
            sipp.stop()
    finally:
        shutil.rmtree(folder)


def _free_udp_port() -> int:
    """An even port that was free just now; SIPp cannot be given a socket."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((_HOST, 0))
            if (port := int(probe.getsockname()[1])) % 2 == 0:
                return port


def _is_bound(port: int) -> bool:
    """Whether some UDP socket has this port, by the kernel's own table."""
    wanted = f":{port:04X}"
    return any(line.split()[1].endswith(wanted) for line in _read(Path("/proc/net/udp")).splitlines()[1:])


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _counts(path: Path) -> tuple[int, int]:
    rows = list(csv.DictReader(_read(path).splitlines(), delimiter=";"))
    return (int(rows[-1]["SuccessfulCall(C)"]), int(rows[-1]["FailedCall(C)"])) if rows else (0, 0)
