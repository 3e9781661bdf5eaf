"""``callwright ladder`` against a whole node."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.node import running_node
from tests.support.node_commands import Commands
from tests.support.node_processes import marked_processes, wait_until
from tests.support.sipp import answering, needs_sipp

from callwright.trace.store import TRACE_FOLDER, read_call

NUMBER = "441908273899"
RINGS_ON = "tel:999005550004"


@needs_sipp
def test_a_call_is_shown_with_all_it_said_while_it_is_up_when_it_is_over_and_when_its_node_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with marked_processes() as marked, running_node(tmp_path / "data", marked) as node:
        run = Commands(node.data, monkeypatch, capsys).run
        service = node.add_service("hello", first_page="http://127.0.0.1:9/none")

        # One trunk leaves the call to another, which wants a password.
        with answering("unavailable", limit_s=60) as first, answering("digest", limit_s=60) as second:
            for number, (name, port) in enumerate({"first": first.port, "second": second.port}.items(), 1):
                run(
                    "trunk", "add", name, "--host", "127.0.0.1", "--port", str(port), "--prefix", f"44:{number}",
                    "--user", "alice", "--password", "open sesame", "--check-every", "0",
                )  # fmt: skip
            over = node.wait_over(node.start(service, f"tel:{NUMBER}"))
            seen = [*first.finish().messages, *second.finish().messages]

        shown = run("ladder", over.reference).out
        assert shown.startswith("call ")
        said = [line.strip("-<> ") for line in re.findall(r"\|([-<].*[->])\|", shown)]
        assert said == [
            "INVITE +SDP (1)", "503 Service Unavailable (1 INVITE)", "ACK (1)",
            "INVITE +SDP (1)", "401 Unauthorized (1 INVITE)", "ACK (1)",
            "INVITE +SDP (2)", "200 OK +SDP (2 INVITE)", "ACK (2)", "BYE (3)", "200 OK (3 BYE)",
        ]  # fmt: skip
        assert [shown.count(f"127.0.0.1:{port} UDP") for port in (first.port, second.port)] == [1, 1]
        assert shown.count("Call-ID") == 2
        assert f"callwright ladder {over.reference}" in run("explain", over.reference).out

        proofs = {found for message in seen for found in re.findall(r'response="(\w+)"', message.text)}
        full = run("ladder", over.reference, "--full").out
        assert proofs
        assert not any(proof in full for proof in proofs)
        assert f'response="{"x" * 32}"' in full
        assert 'realm="callee"' in full
        kept = read_call(node.data / TRACE_FOLDER, shown.split()[1])
        assert len(kept) == len(said)
        assert not any(proof.encode() in message.data for proof in proofs for message in kept)
        for message in seen:
            if message.sent and message.text.startswith("SIP/2.0 200"):
                assert f"Call-ID: {message.header('Call-ID')}" in full

        file = tmp_path / "call.pcap"
        assert run("ladder", over.instance, "--pcap", str(file)).out.startswith("11 messages")
        both = run("ladder", over.instance, "--full", "--pcap", str(file)).out
        assert full.strip() in both
        assert "11 messages" in both
        if shutil.which("tshark") is not None:
            command = ["tshark", "-r", str(file), "-T", "fields", "-e", "sip.CSeq", "-e", "_ws.malformed"]
            told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
            assert [line.strip() for line in told.splitlines()] == [
                *["1 INVITE"] * 2, "1 ACK", *["1 INVITE"] * 2, "1 ACK", *["2 INVITE"] * 2, "2 ACK", *["3 BYE"] * 2,
            ]  # fmt: skip
        assert "cannot be written" in run("ladder", over.instance, "--pcap", str(tmp_path), code=1).err

        assert "neither the id of a call" in run("ladder", "nonsense", code=1).err
        assert "no start has the reference" in run("ladder", "00000000_0.1.1", code=1).err
        assert "nothing is kept of it" in run("ladder", "0000000000000001.1.1", code=1).err

        # A telephone rings on, and its node is killed.
        reference = node.start(service, RINGS_ON)

        def ringing() -> str | None:
            if node.status_of(reference) != "running":
                return None
            shown = run("ladder", reference).out
            return shown if "180 Ringing" in shown else None

        shown = wait_until(ringing, within_s=30, what="a telephone that rings")
        assert "not over yet" in shown
        found = re.match(r"call (\S+) to", shown)
        assert found is not None

        node.kill()
        assert "no node answers" in run("ladder", reference, code=1).err
        assert "180 Ringing" in run("ladder", found[1]).out
        node.begin()

        def cancelled() -> str | None:
            shown = run("ladder", reference).out
            return shown if "CANCEL (1)" in shown else None

        assert "180 Ringing" in wait_until(cancelled, within_s=30, what="the CANCEL of the next life")
