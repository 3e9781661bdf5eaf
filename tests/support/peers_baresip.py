"""baresip as an independent telephone: a process of its own, steered over its control port, heard by its own files.

    with baresip(tmp_path, answers="auto", tone_hz=700) as phone:
        ...                                     # call phone.address
        phone.wait_for("CALL_ESTABLISHED")
        phone.command("sndcode", "5")
    phone.heard(), phone.log()

Everything it says of a call is its own: the events, the sound it decoded, its trace of SIP and its figures of RTCP.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.support.audio import RATE, Pcm, sine, write_wav
from tests.support.node_processes import MarkedProcesses, wait_until
from tests.support.peers import HOST, attended, free_ports, wait_ended

PROGRAM = Path("/usr/bin/baresip")
MODULES = Path("/usr/lib/baresip/modules")
_STOP_S = 5.0
_SAYS_MS = 30_000

needs_baresip = pytest.mark.skipif(
    not PROGRAM.is_file(), reason=f"{PROGRAM} is not installed (Debian: apt-get install baresip-core)"
)

_CONFIG = """
poll_method epoll
sip_listen {authority}:{port}
call_local_timeout 120
call_max_calls 4
audio_player aubridge,none
audio_source aufile,{folder}/says.wav
ausrc_srate 8000
net_interface {host}
audio_alert aubridge,alert
audio_buffer 20-160
rtp_ports 10000-19999
rtp_stats yes
jitter_buffer_delay 3-10
module_path {modules}
module g722.so
module g711.so
module sndfile.so
module aufile.so
module aubridge.so
module ctrl_tcp.so
module rtcpsummary.so
module_tmp account.so
module_app menu.so
snd_path {folder}
ctrl_tcp_listen {local}:{control}
{more}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaresipEvent:
    """One thing it told: ``kind`` such as ``CALL_ESTABLISHED``, when (epoch seconds), and what came with it."""

    kind: str
    at: float
    facts: dict[str, Any]


class Baresip:
    """One telephone with one line. ``address`` is host and port of its SIP, UDP and TCP; TLS is one port higher."""

    def __init__(self, folder: Path, host: str, port: int, control: int, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.address = (host, port)
        self.events: list[BaresipEvent] = []
        self._process = process
        self._tokens = 0
        self._answers: dict[str, dict[str, Any]] = {}
        self._link = wait_until(lambda: self._connect(control), what=f"baresip's control port; see {folder}/log")
        self._reader = threading.Thread(target=self._read, name="baresip", daemon=True)
        self._reader.start()

    def uri(self, user: str = "phone", *, transport: str = "") -> str:
        """Return the address to call it by."""
        how = f";transport={transport}" if transport else ""
        return f"sip:{user}@{_authority(self.address[0])}:{self.address[1] + (transport == 'tls')}{how}"

    def command(self, name: str, parameters: str = "") -> str:
        """Give an order; return what it answers."""
        self._tokens += 1
        token = str(self._tokens)
        text = json.dumps({"command": name, "params": parameters, "token": token}).encode()
        self._link.sendall(b"%d:%s," % (len(text), text))
        answer = wait_until(lambda: self._answers.get(token), what=f"baresip's answer to {name}")
        assert answer["ok"], answer
        return str(answer["data"])

    def wait_for(self, kind: str, *, times: int = 1, within_s: float = 20.0) -> BaresipEvent:
        """Return an event once it was told so often."""

        def told() -> BaresipEvent | None:
            found = self.all(kind)
            return found[times - 1] if len(found) >= times else None

        return wait_until(told, within_s=within_s, what=lambda: f"{kind} of baresip: {self.events}")

    def all(self, kind: str) -> list[BaresipEvent]:
        """Return all events of a kind so far."""
        return [event for event in self.events if event.kind == kind]

    def digits(self) -> str:
        """Return the keys it heard."""
        return "".join(event.facts["param"] for event in self.all("CALL_DTMF_START"))

    def heard(self) -> Pcm:
        """Return what it decoded of its last call, at 8,000 samples a second."""
        file = max(self.folder.glob("dump-*-dec.wav"), key=lambda file: file.stat().st_mtime)
        samples, rate = soundfile.read(file, dtype="int16")
        return np.asarray(samples[:: rate // RATE], np.int16)

    def figures(self) -> dict[str, str]:
        """Return its figures of the last call's sound, such as ``PL`` for packets lost as "received,sent"."""
        last = re.findall(r"^X-RTP-Stat: (.*?)\r?$", self.log(), re.MULTILINE)[-1]
        return dict(piece.split("=", 1) for piece in last.split(";") if piece)

    def log(self) -> str:
        """Return its trace of SIP, its warnings and its figures of RTCP."""
        return (self.folder / "log").read_text(errors="replace")

    def close(self) -> None:
        self._process.terminate()
        wait_ended(self._process, _STOP_S)
        self._reader.join(_STOP_S)
        self._link.close()

    def _connect(self, control: int) -> socket.socket | None:
        assert self._process.poll() is None, f"baresip ended with {self._process.returncode}: {self.log()}"
        try:
            return socket.create_connection((HOST, control), 5)
        except ConnectionRefusedError:
            return None

    def _read(self) -> None:
        waiting = b""
        while True:
            try:
                data = self._link.recv(65_536)
            except (OSError, TimeoutError):
                if self._process.poll() is None:
                    continue
                return
            if not data:
                return
            waiting += data
            while (colon := waiting.find(b":")) > 0:
                end = colon + 1 + int(waiting[:colon])
                if len(waiting) <= end:
                    break
                self._take(json.loads(waiting[colon + 1 : end].decode(errors="replace")))
                waiting = waiting[end + 1 :]

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("response"):
            self._answers[message["token"]] = message
        else:
            self.events.append(BaresipEvent(kind=message["type"], at=time.time(), facts=message))


def _authority(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def baresip(
    folder: Path,
    marked: MarkedProcesses,
    *,
    answers: str = "auto",
    tone_hz: int = 700,
    user: str = "phone",
    account: str = "",
    certificate: tuple[Path, Path] | None = None,
    host: str = HOST,
) -> Iterator[Baresip]:
    """Run a telephone while the block runs.

    ``answers`` is ``auto``, ``early`` or ``manual``. Calls to others than ``user`` get 404. ``account`` is put behind
    its account line, such as ``;audio_codecs=pcmu``; with a ``certificate`` and its key it takes TLS, too.
    """
    folder.mkdir(parents=True)
    port, control = free_ports(), free_ports()
    tls = ""
    if certificate is not None:
        (folder / "tls.pem").write_bytes(certificate[0].read_bytes() + certificate[1].read_bytes())
        tls = f"sip_certificate {folder}/tls.pem"
    config_text = _CONFIG.format(
        authority=_authority(host),
        host=host,
        port=port,
        local=HOST,
        control=control,
        modules=MODULES,
        folder=folder,
        more=tls,
    )
    write_wav(folder / "says.wav", sine(tone_hz, _SAYS_MS))
    (folder / "config").write_text(config_text)
    (folder / "accounts").write_text(f"<sip:{user}@{_authority(host)}>;regint=0;answermode={answers}{account}\n")
    (folder / "contacts").write_text("")
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [shutil.which("baresip") or str(PROGRAM), "-f", str(folder), "-v", "-s"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=marked.environment,
            start_new_session=True,
        )
    with attended(process, lambda: Baresip(folder, host, port, control, process)) as phone:
        yield phone
