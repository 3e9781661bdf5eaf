"""``callwright trunk`` against a whole node: a trunk is set up, looked over, used, and named in the record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.node import Node, running_node
from tests.support.node_commands import Commands
from tests.support.node_processes import marked_processes
from tests.support.sipp import answering, needs_sipp

from callwright.db.database import DATABASE_FILE

pytestmark = needs_sipp

NUMBER = "441908273899"


def carrier_of(node: Node, instance: str) -> str | None:
    """Read which trunk the call of an instance went through."""
    with sqlite3.connect(f"file:{node.data / DATABASE_FILE}?mode=ro", uri=True) as database:
        [(trunk,)] = database.execute("SELECT trunk FROM cdrs WHERE instance_id = ?", (instance,)).fetchall()
    return None if trunk is None else str(trunk)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that has no trunk; each test takes away those it adds."""
    with marked_processes() as marked, running_node(tmp_path_factory.mktemp("trunks") / "data", marked) as running:
        yield running


def test_a_trunk_is_added_tested_used_and_removed(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(node.data, monkeypatch, capsys).run
    service = node.add_service("hello", first_page="http://127.0.0.1:9/none")
    assert "no trunk yet" in run("trunk", "list").out
    over = node.wait_over(node.start(service, f"tel:{NUMBER}"))
    assert over.status.startswith("couldnotrun No route")
    assert "callwright trunk add" in over.status

    with answering("answer", limit_s=60) as carrier:
        added = run(
            "trunk", "add", "carrier", "--host", "127.0.0.1", "--port", str(carrier.port), "--prefix", "44:2",
            "--user", "alice", "--password", "open sesame", "--check-every", "0", "--max-calls", "5",
        ).out  # fmt: skip
        assert "carries 44:2 to 127.0.0.1" in added
        assert "there is a trunk 'carrier' already" in run("trunk", "add", "carrier", "--host", "127.0.0.1", code=1).err
        shown = run("trunk", "show", "carrier").out
        assert json.loads(shown)["has_password"] is True
        assert "open sesame" not in shown
        for file in node.data.glob(f"{DATABASE_FILE}*"):
            assert b"open sesame" not in file.read_bytes()

        over = node.wait_over(node.start(service, f"tel:{NUMBER}"))
        assert carrier_of(node, over.instance) == "carrier"
        assert carrier.finish().all_succeeded
    assert "changed: plus, max_calls" in run("trunk", "edit", "carrier", "--max-calls", "7", "--plus").out
    listed = run("trunk", "list").out.splitlines()[-1].split("  ")
    assert "0 of 7" in listed
    assert "1" in listed
    assert listed[-1] == "stored"

    sandboxed = node.wait_over(node.start(service, "tel:999005550002"))
    assert carrier_of(node, sandboxed.instance) is None

    run("trunk", "disable", "carrier")
    assert node.wait_over(node.start(service, f"tel:{NUMBER}")).status.startswith("couldnotrun No route")
    run("trunk", "enable", "carrier")
    node.kill()
    node.begin()
    assert "0 of 7" in run("trunk", "list").out
    for change in (("edit", "nobody", "--plus"), ("show", "nobody"), ("remove", "nobody"), ("disable", "nobody")):
        said = run("trunk", *change, code=1).err
        assert said == "callwright: there is no trunk 'nobody'; there are: carrier\n"
    assert "callwright: port of a trunk must be" in run("trunk", "edit", "carrier", "--port", "99999", code=1).err
    refused = run("trunk", "edit", "carrier", "--transport", "sctp", code=1).err
    assert "callwright: transport: 'sctp' is none of udp, tcp, tls" in refused
    run("trunk", "remove", "carrier")
    assert "there is no trunk 'carrier'; there is none yet" in run("trunk", "remove", "carrier", code=1).err


def test_the_test_says_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "callwright.toml").write_text(
        '[[trunks]]\nname = "written"\nhost = "127.0.0.1"\nport = 9\nprefixes = ["33"]\ncheck_every_s = 0\n'
    )
    with marked_processes() as marked, running_node(tmp_path / "data", marked) as node:
        run = Commands(node.data, monkeypatch, capsys).run
        sandbox = node.link.get("/status")["sandbox"].rpartition(":")[2]
        run("trunk", "add", "sandbox", "--host", "127.0.0.1", "--port", sandbox, "--plus", "--codec", "pcmu")
        found = run("trunk", "test", "sandbox").out
        assert "OPTIONS was answered 200 OK" in found
        assert "Calls offer PCMU and telephone-event" in found

        run("trunk", "add", "dead", "--host", "127.0.0.1", "--port", "9", "--check-every", "0", "--prefix", "1")
        assert "Nobody listens at 127.0.0.1:9 by UDP" in run("trunk", "test", "dead", code=1).out
        run("trunk", "add", "lost", "--host", "no-such-host.invalid", "--check-every", "0", "--prefix", "2")
        assert "has no address" in run("trunk", "test", "lost", code=1).out
        own = node.sip.rpartition(":")[2]
        here = f"127.0.0.1 port {own} is this node itself"
        assert f"warning: {here}" in run("trunk", "add", "own", "--host", "localhost", "--port", own).err
        assert f"FAIL  {here}" in run("trunk", "test", "own", code=1).out
        assert "leads back here" in run("trunk", "list").out
        assert run("trunk", "edit", "own", "--port", sandbox).err == ""
        assert f"warning: {here}" in run("trunk", "edit", "own", "--port", own).err
        run("trunk", "remove", "own")
        assert "is not a prefix" in run("trunk", "add", "x", "--host", "h", "--prefix", "abc:d", code=1).err
        assert "there is no trunk 'nobody'" in run("trunk", "test", "nobody", code=1).err

        listed = run("trunk", "list").out.splitlines()
        assert [line.split()[-1] for line in listed if line.startswith("written")] == ["callwright.toml"]
        for change in (("edit", "written", "--plus"), ("remove", "written"), ("disable", "written")):
            said = run("trunk", *change, code=1).err
            assert f"'written' is declared in {node.data / 'callwright.toml'}: change it there" in said
        told = run("doctor", code=1).out
        assert "bad   trunk written    Nobody listens at 127.0.0.1:9" in told
        assert "ok    trunk sandbox    OPTIONS was answered 200 OK" in told

        run("trunk", "remove", "sandbox")
        run("trunk", "add", "away", "--host", "127.0.0.1", "--port", "9", "--register", "--user", "a", "--prefix", "49")
        reference = node.start(node.add_service("waits", first_page="http://127.0.0.1:9/none"), "tel:4930123456")
        assert "no trunk can take it now (away is not registered)" in run("explain", reference).out
        run("pause")
        assert "dialling is paused" in run("explain", reference).out
        run("resume")
        run("cancel", reference)
        run("trunk", "remove", "away")

        run("trunk", "add", "sandbox", "--host", "127.0.0.1", "--port", sandbox)
        called = run("trunk", "test", "sandbox", "--call", "999005550009", "--from", "441908273800").out
        assert "A call to 999005550009 was answered with PCMA" in called
        refused = run("trunk", "test", "sandbox", "--call", "999005550002", code=1).out
        assert "was not answered: BUSY(486)" in refused


def test_starts_wait_in_the_queue_while_their_trunk_is_full(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Commands(node.data, monkeypatch, capsys).run
    service = node.add_service("waits", first_page="http://127.0.0.1:9/none")
    with answering("answer", calls=2, limit_s=60) as carrier:
        run(
            "trunk", "add", "narrow", "--host", "127.0.0.1", "--port", str(carrier.port), "--max-calls", "1",
            "--check-every", "0",
        )  # fmt: skip
        references = [node.start(service, f"tel:{NUMBER}") for _ in range(2)]
        for over in node.wait_all_over(references).values():
            assert not over.status.startswith("couldnotrun")
            assert carrier_of(node, over.instance) == "narrow"
        seen = carrier.finish()
    assert (seen.succeeded, seen.failed) == (2, 0), seen.why
    run("trunk", "remove", "narrow")
