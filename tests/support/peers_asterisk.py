"""Asterisk as an independent exchange, in a Debian of its own: its dial plan answers, plays, listens and rings others.

``tests/interop/install_peers.sh asterisk`` puts it there. It needs root, for the change of the root folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.audio import Pcm, read_wav, sine, write_wav
from tests.support.node_processes import MarkedProcesses, wait_until
from tests.support.peers import HOST, attended, free_ports

USER, PASSWORD = "callwright", "not for the wire"
_PROJECT = Path(__file__).resolve().parents[2]
SYSTEM = Path(os.environ.get("PEERS_ASTERISK", _PROJECT / "build" / "peers" / "asterisk"))
_SAYS_MS = 4_000

needs_asterisk = pytest.mark.skipif(
    not (SYSTEM / "usr/sbin/asterisk").is_file() or os.getuid() != 0,
    reason=f"no Asterisk in {SYSTEM}, or not root (tests/interop/install_peers.sh asterisk puts it there)",
)

_MAIN = """
[directories]
astetcdir => {inside}
astvarlibdir => /var/lib/asterisk
astdatadir => /usr/share/asterisk
astdbdir => {inside}
astlogdir => {inside}
astrundir => {inside}
astspooldir => {inside}
astmoddir => /usr/lib/x86_64-linux-gnu/asterisk/modules
[options]
verbose = 3
debug = 1
nocolor = yes
"""

_MODULES = """
[modules]
autoload = yes
noload = res_phoneprov.so
noload = chan_iax2.so
noload = pbx_dundi.so
noload = app_voicemail.so
noload = cel_sqlite3_custom.so
"""

_LOGGER = """
[general]
dateformat = %s.%3q
[logfiles]
full => notice,warning,error,verbose,debug,dtmf
warnings => warning,error
"""

_SIP = """
[global]
type = global
debug = yes
endpoint_identifier_order = auth_username,username,ip
[system]
type = system
timer_t1 = 500
[udp]
type = transport
protocol = udp
bind = {host}:{port}
[tcp]
type = transport
protocol = tcp
bind = {host}:{port}
{tls}

[line](!)
type = endpoint
context = calls
identify_by = auth_username,username
disallow = all
allow = alaw,ulaw
direct_media = no
rtp_symmetric = yes
trust_id_inbound = yes
send_pai = yes

{lines}

[{user}-aor](!)
type = aor
max_contacts = 2
remove_existing = yes
minimum_expiration = 20
default_expiration = 60
qualify_frequency = 2
qualify_timeout = 2
"""

_LINE = """
[{name}](line)
auth = {name}-auth
aors = {name}
{more}
[{name}-auth]
type = auth
auth_type = digest
username = {name}
password = {password}
{algorithms}
[{name}]({user}-aor)
"""

_DIAL_PLAN = """
[general]
static = yes
[calls]
; a conversation: keys to the caller, then the keys of the caller, then sound; heard is all that came
exten => _XXXXXXXXXX01,1,Answer()
 same => n,MixMonitor({inside}/${{EXTEN}}.wav,r({inside}/${{EXTEN}}-heard.wav))
 same => n,Wait(1.6)
 same => n,SendDTMF(5#9,200,160)
 same => n,Wait(2)
 same => n,Playback({inside}/says)
 same => n,Wait(20)
; causes
exten => _XXXXXXXXXX02,1,Busy(5)
exten => _XXXXXXXXXX03,1,Hangup(21)
exten => _XXXXXXXXXX04,1,Ringing()
 same => n,Wait(60)
exten => _XXXXXXXXXX06,1,Congestion(5)
; sound before the answer
exten => _XXXXXXXXXX07,1,Progress()
 same => n,Playback({inside}/says,noanswer)
 same => n,Answer()
 same => n,Wait(20)
exten => _XXXXXXXXXX08,1,Answer()
 same => n,Echo()
exten => _XXXXXXXXXX09,1,Ringing()
 same => n,Wait(1)
 same => n,Answer()
 same => n,Wait(2)
 same => n,Hangup(16)
; another telephone that is registered here
exten => _XXXXXXXXXX10,1,Dial(PJSIP/phone,20)
 same => n,Hangup()
; sound that goes on
exten => _XXXXXXXXXX11,1,Answer()
 same => n(again),Playback({inside}/says)
 same => n,Goto(again)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Its own record of a call, in epoch seconds; ``answered`` is 0 when nobody did."""

    started: float
    answered: float
    ended: float
    disposition: str


class Asterisk:
    """One exchange; ``port`` is of UDP and TCP, ``tls_port`` of TLS. ``folder`` is its folder as seen from outside."""

    def __init__(self, folder: Path, inside: str, port: int, tls_port: int, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.port = port
        self.tls_port = tls_port
        self._inside = inside
        self._process = process
        wait_until(self._is_up, within_s=30.0, what=lambda: f"a ready Asterisk: {self.log()[-1500:]}", every_s=0.3)

    def command(self, text: str) -> str:
        """Give an order to its console; return what it says."""
        return self._ask(text).stdout

    def keys(self, line: str) -> str:
        """Return the keys it heard in the first call of a line."""
        found = re.findall(rf"DTMF end '(.)' received on PJSIP/({line}-\w+), duration", self.log())
        return "".join(key for key, channel in found if channel == found[0][1])

    def heard(self, extension: str) -> Pcm:
        """Return what a caller said to an extension."""
        return read_wav(self.folder / f"{extension}-heard.wav")

    def record(self, line: str, extension: str) -> Record:
        """Return what it wrote down of the first call of a line to an extension, once that is over."""

        def written() -> Record | None:
            log = self.log()
            begun = re.search(rf"Executing \[{extension}@calls:1\] [^(]*\(\"(PJSIP/{line}-\w+)", log)
            if begun is None:
                return None
            found = re.search(
                rf"Finalized CDR for {re.escape(begun[1])} - "
                r"start ([\d.]+) answer ([\d.]+) end ([\d.]+) .*dispo ([A-Z ]+)",
                log,
            )
            if found is None:
                return None
            return Record(
                started=float(found[1]), answered=float(found[2]), ended=float(found[3]), disposition=found[4].strip()
            )

        return wait_until(written, what=lambda: f"Asterisk's record of {extension}")

    def log(self) -> str:
        return "".join(
            (self.folder / name).read_text(errors="replace")
            for name in ("out", "full")
            if (self.folder / name).exists()
        )

    def warnings(self) -> list[str]:
        """Return the lines it complained in."""
        file = self.folder / "warnings"
        return file.read_text(errors="replace").splitlines() if file.exists() else []

    def close(self) -> None:
        # Its own way to stop waits for calls long gone.
        self._process.kill()
        self._process.wait()

    def _is_up(self) -> bool:
        assert self._process.poll() is None, f"Asterisk ended with {self._process.returncode}: {self.log()[-1500:]}"
        return "Asterisk Ready." in self.log()

    def _ask(self, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["chroot", str(SYSTEM), "asterisk", "-C", f"{self._inside}/asterisk.conf", "-rx", text],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )


@contextmanager
def asterisk(
    marked: MarkedProcesses,
    *,
    lines: dict[str, str],
    sha256: tuple[str, ...] = (),
    certificate: tuple[Path, Path] | None = None,
    more: str = "",
    tone_hz: int = 700,
) -> Iterator[Asterisk]:
    """Run an exchange while the block runs.

    ``lines`` are its users with settings of their endpoints; all have the password ``PASSWORD``, those in ``sha256``
    are challenged by that alone. ``more`` is put behind its ``pjsip.conf``.
    """
    name = f"peers-{uuid.uuid4().hex[:8]}"
    inside, folder = f"/tmp/{name}", SYSTEM / "tmp" / name
    folder.mkdir(parents=True)
    hosts = SYSTEM / "etc/hosts"
    if not hosts.exists():
        # Without its own name Asterisk waits for a resolver in every call.
        hosts.write_text(f"127.0.0.1 localhost {os.uname().nodename}\n")
    port = free_ports()
    tls_port = port + 1
    tls = ""
    if certificate is not None:
        shutil.copy(certificate[0], folder / "certificate.pem")
        shutil.copy(certificate[1], folder / "key.pem")
        tls = (
            f"[tls]\ntype = transport\nprotocol = tls\nbind = {HOST}:{tls_port}\nmethod = tlsv1_2\n"
            f"cert_file = {inside}/certificate.pem\npriv_key_file = {inside}/key.pem\n"
        )
    line_texts = [
        _LINE.format(
            name=line,
            user=USER,
            password=PASSWORD,
            more=settings,
            algorithms="supported_algorithms_uas = SHA-256" if line in sha256 else "",
        )
        for line, settings in lines.items()
    ]
    templates = _SIP.format(host=HOST, port=port, tls=tls, lines="@", user=USER)
    head, _, aor = templates.partition("@")
    files = {
        "asterisk.conf": _MAIN.format(inside=inside),
        "modules.conf": _MODULES,
        "logger.conf": _LOGGER,
        "pjsip.conf": head + aor + "\n".join(line_texts) + more,
        "extensions.conf": _DIAL_PLAN.format(inside=inside),
        "cdr.conf": "[general]\nenable = yes\nunanswered = yes\n",
        "rtp.conf": "[general]\nrtpstart = 12000\nrtpend = 13999\nstrictrtp = yes\n",
        "musiconhold.conf": "[default]\nmode = files\ndirectory = /usr/share/asterisk/moh\n",
        "indications.conf": "[general]\ncountry = uk\n[uk]\ndescription = UK\nringcadence = 400,200\n"
        "dial = 350+440\nbusy = 400/375,!0/375\nring = 400+450/400,!0/200\ncongestion = 400/400,!0/350\n",
    }
    for file, text in files.items():
        (folder / file).write_text(text)
    write_wav(folder / "says.wav", sine(tone_hz, _SAYS_MS))
    with (folder / "out").open("ab") as out:
        process = subprocess.Popen(
            ["chroot", str(SYSTEM), "asterisk", "-C", f"{inside}/asterisk.conf", "-f"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=marked.environment,
            start_new_session=True,
        )
    with attended(process, lambda: Asterisk(folder, inside, port, tls_port, process)) as exchange:
        yield exchange
