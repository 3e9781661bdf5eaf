"""Calls to baresip over IPv6: conversation by every transport, and the capture of what was said."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.node import callwright
from tests.support.node_processes import marked_processes
from tests.support.peers import KEYS_SENT, TONE_HZ, TONE_MS, Ended, check_conversation, stand, tone_ms
from tests.support.peers_baresip import Baresip, baresip, needs_baresip
from tests.support.tls import Authority

pytestmark = needs_baresip

HOST = "::1"
TRANSPORTS = ("udp", "tcp", "tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One call that is over, the telephone it went to, and its capture."""

    ended: Ended
    phone: Baresip
    capture: Path


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    folder = tmp_path_factory.mktemp("ipv6")
    authority = Authority(folder)
    certificate = authority.certify(HOST)
    with marked_processes() as marked, ExitStack() as stack:
        marked.environment["SSL_CERT_FILE"] = str(authority.file)
        phones = {
            name: stack.enter_context(
                baresip(folder / name, marked, host=HOST, certificate=certificate if name == "tls" else None)
            )
            for name in TRANSPORTS
        }
        with stand(folder / "node", marked, sip=f"[{HOST}]:0") as stage:
            calls = {name: stage.converse(name, phone.uri(transport=name)) for name, phone in phones.items()}
            for phone in phones.values():
                phone.wait_for("CALL_ESTABLISHED")
                for key in "5#9":
                    phone.command("sndcode", key)
            ended = {name: stage.ended(call) for name, call in calls.items()}
            captures = {name: folder / f"{name}.pcap" for name in calls}
            for name, call in calls.items():
                told = callwright(
                    "ladder", call.reference, "--pcap", str(captures[name]), "--data", str(stage.node.data)
                )
                assert told.returncode == 0, told
        for phone in phones.values():
            phone.wait_for("CALL_CLOSED")
        yield {name: Seen(ended=ended[name], phone=phones[name], capture=captures[name]) for name in TRANSPORTS}


@pytest.mark.parametrize("name", TRANSPORTS)
def test_both_hear_the_other_s_tone_and_keys(seen: dict[str, Seen], name: str) -> None:
    call, phone = seen[name].ended, seen[name].phone
    check_conversation(call)
    assert phone.digits() == KEYS_SENT
    assert tone_ms(phone.heard(), TONE_HZ) == pytest.approx(TONE_MS, abs=60)


@pytest.mark.parametrize("name", TRANSPORTS)
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_reads_every_message_of_the_capture(seen: dict[str, Seen], name: str) -> None:
    fields = ("ipv6.src", "udp.checksum.status", "tcp.checksum.status", "sip.Method", "sip.Status-Code")
    options = [option for field in fields for option in ("-e", field)]
    checks = ("-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE")
    told = subprocess.run(
        ["tshark", "-r", str(seen[name].capture), *checks, "-T", "fields", "-E", "separator=,", *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    rows = [line.split(",") for line in told.stdout.splitlines()]
    assert {row[0] for row in rows} == {HOST}
    assert {row[1] + row[2] for row in rows} == {"1"}  # good
    assert [row[3] or row[4] for row in rows] == ["INVITE", "180", "200", "ACK", "BYE", "200"]
