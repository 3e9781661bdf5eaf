"""The commands where no node runs: what needs one says so in one line, the doctor tells what would not work."""

from __future__ import annotations

import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.node import callwright
from tests.support.node_commands import Commands


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    # Somebody else of this machine may have the ports that a node takes by default.
    monkeypatch.setenv("CALLWRIGHT_HTTP_PORT", "0")
    monkeypatch.setenv("CALLWRIGHT_SIP_PORT", "0")
    return Commands(tmp_path / "data", monkeypatch, capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ("call", "tel:999005550001", "--service", "hello"),
        ("status", "a_0.1.1"),
        ("cancel", "a_0.1.1"),
        ("account", "add", "ann@example.com"),
        ("account", "list"),
        ("account", "rotate-key", "ann@example.com"),
        ("service", "add", "hello", "--first-page", "http://127.0.0.1/first"),
        ("service", "list"),
        ("service", "show", "hello"),
    ],
    ids=" ".join,
)
def test_what_needs_a_node_says_where_it_looked_and_how_to_start_one(
    commands: Commands, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ran = commands.run(*arguments, code=1)
    assert ran.out == ""
    [line] = ran.err.splitlines()
    assert line.startswith(f"callwright: no node answers at {tmp_path}/data/admin.sock")
    assert "callwright serve" in line


def test_a_socket_that_a_dead_node_left_is_no_node(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(tmp_path / "data" / "admin.sock"))
    assert "no node answers" in commands.run("status", "a_0.1.1", code=1).err


def test_the_doctor_notes_that_no_node_runs_and_leaves_no_folder_behind(commands: Commands, tmp_path: Path) -> None:
    ran = commands.run("doctor")
    assert "none runs on this data folder" in ran.out
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("what", "way", "kind"),
    [
        ("sip", "UDP", socket.SOCK_DGRAM),
        ("sip", "TCP", socket.SOCK_STREAM),
        ("http", "TCP", socket.SOCK_STREAM),
    ],
)
def test_the_doctor_fails_and_names_a_port_that_is_taken(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, what: str, way: str, kind: socket.SocketKind
) -> None:
    with closing(socket.socket(socket.AF_INET, kind)) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv(f"CALLWRIGHT_{what.upper()}_PORT", str(port))
        ran = commands.run("doctor", code=1)
    [line] = [line for line in ran.out.splitlines() if line.startswith("bad")]
    assert f"{what} port" in line
    assert f"127.0.0.1:{port} cannot be used by {way}" in line
    assert f"--{what} HOST:PORT" in line


def test_the_doctor_fails_when_the_disk_is_full(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callwright.cli.doctor.FREE_BYTES_NEEDED", 10**18)
    [line] = [line for line in commands.run("doctor", code=1).out.splitlines() if "a full disk refuses starts" in line]
    assert line.startswith("bad   data folder")


def test_a_setting_that_does_not_exist_stops_every_command(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLWRIGHT_NONSENSE", "1")
    assert "CALLWRIGHT_NONSENSE is not a setting" in commands.run("account", "list", code=1).err


def test_serve_refuses_personas_without_the_phone_network_they_belong_to(commands: Commands) -> None:
    assert "--personas needs --sandbox" in commands.run("serve", "--personas", "own.yaml", code=1).err


def test_the_installed_command_has_a_version_and_lists_its_words() -> None:
    assert callwright("--version").stdout.startswith("callwright ")
    shown: subprocess.CompletedProcess[str] = callwright("--help")
    for word in ("serve", "demo", "account", "service", "call", "status", "cancel", "sandbox", "doctor"):
        assert f"  {word} " in shown.stdout
    assert "--stop-with-parent" not in callwright("serve", "--help").stdout


def test_an_unknown_word_is_a_mistake_of_the_command_line() -> None:
    ran = callwright("dance")
    assert ran.returncode == 2
    assert "dance" in ran.stderr
