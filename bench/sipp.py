"""SIPp as the far end of measurements, and as the peer that is measured beside us."""

from __future__ import annotations

import csv
import resource
import shutil
import socket
import subprocess
import time
from pathlib import Path

SIPP = shutil.which("sipp") or ""
HOST = "127.0.0.1"

_MIRRORED = "[last_Via:]\n[last_From:]\n{to}\n[last_Call-ID:]\n[last_CSeq:]\nContact: <sip:[local_ip]:[local_port]>\n"
_TAGGED = _MIRRORED.format(to="[last_To:];tag=[pid]far[call_number]")
_PLAIN = _MIRRORED.format(to="[last_To:]")
_SOUND = """v=0
o=far 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
"""
_ANSWERING = f"""<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="answer, wait for BYE">
<recv request="INVITE"/>
<send><![CDATA[
SIP/2.0 180 Ringing
{_TAGGED}Content-Length: 0

]]></send>
<send retrans="500"><![CDATA[
SIP/2.0 200 OK
{_TAGGED}Content-Type: application/sdp
Content-Length: [len]

{_SOUND}
]]></send>
<recv request="ACK"/>
<recv request="BYE"/>
<send><![CDATA[
SIP/2.0 200 OK
{_PLAIN}Content-Length: 0

]]></send>
</scenario>
"""


class FarEnd:
    """SIPp that answers every call (180, 200 with sound, 200 to BYE) and sends what it hears back to who said it."""

    def __init__(self, folder: Path) -> None:
        self.port, media = free_port(), free_port()
        self._statistics = folder / f"far-{self.port}.csv"
        scenario = folder / "answering.xml"
        scenario.write_text(_ANSWERING)
        self._process = _start(
            folder, ["-sf", str(scenario), "-p", str(self.port), "-rtp_echo", "-mp", str(media)], self._statistics
        )
        time.sleep(0.3)

    @property
    def pid(self) -> int:
        return self._process.pid

    def finish(self) -> tuple[int, int]:
        """Stop it; return how many calls it saw succeed and fail."""
        time.sleep(1.2)  # its figures are written every second
        self.kill()
        return _counts(self._statistics)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def peer(folder: Path, *, rate: int, seconds: float) -> tuple[float, float, int]:
    """Let SIPp call SIPp; return calls a second and seconds of processor time of both together, and failed calls."""
    far_end = FarEnd(folder)
    statistics = folder / "peer.csv"
    calls = int(rate * seconds)
    began, spent = time.monotonic(), _children_cpu()
    caller = _start(
        folder, ["-sn", "uac", f"{HOST}:{far_end.port}", "-r", str(rate), "-m", str(calls), "-d", "0"], statistics
    )
    caller.wait(seconds * 4 + 30)
    took = time.monotonic() - began
    succeeded, failed = _counts(statistics)
    far_end.finish()
    return succeeded / took, _children_cpu() - spent, failed + calls - succeeded - failed


def free_port() -> int:
    """Return an even UDP port nobody has just now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
            found.bind((HOST, 0))
            port: int = found.getsockname()[1]
        if port % 2 == 0:
            return port


def _start(folder: Path, arguments: list[str], statistics: Path) -> subprocess.Popen[bytes]:
    common = ["-i", HOST, "-nostdin", "-trace_stat", "-fd", "1", "-stf", str(statistics)]
    return subprocess.Popen(
        [SIPP, *arguments, *common],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _counts(statistics: Path) -> tuple[int, int]:
    with statistics.open(newline="") as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
