"""The sandbox as a process: how it starts, how it ends, and that it never stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.calling_phone import CallingPhone
from tests.support.sipp import SippResult, call_with_sipp, needs_sipp

from callwright.sandbox.observation import EndedBy
from callwright.sandbox.observations import read_observations, read_rings
from callwright.sandbox.process import SandboxFailed, SandboxProcess, start_sandbox
from callwright.sip.event import Answered, Ended

_PARENT = """
import asyncio, os, sys
from pathlib import Path
from callwright.sandbox.process import start_sandbox

async def main():
    sandbox = await start_sandbox(data=Path(sys.argv[1]))
    print(sandbox.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def wait_gone(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline, f"process {pid} stayed behind"
        time.sleep(0.02)


def log_lines(data: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (data / "sandbox.log").read_text().splitlines()]


def test_no_process_stays_behind_when_the_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    finally:
        parent.kill()
        parent.communicate()

    wait_gone(pid)

    assert log_lines(tmp_path)[-1]["action"] == "sandbox_stopped"


def test_it_announces_itself_on_standard_output_and_ends_with_its_standard_input(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "callwright.sandbox", "--data", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        _, log = process.communicate(timeout=20)
    finally:
        process.kill()

    assert ready["sip"].startswith("127.0.0.1:")
    assert ready["personas"] == 16
    assert process.returncode == 0
    assert [json.loads(line)["action"] for line in log.splitlines()] == ["sandbox_started", "sandbox_stopped"]


def test_calls_that_are_up_are_hung_up_and_written_when_it_is_told_to_stop(tmp_path: Path) -> None:
    async def run() -> int:
        sandbox = await start_sandbox(data=tmp_path)
        try:
            async with CallingPhone((sandbox.host, sandbox.port)) as phone:
                up, ringing = phone.invite("999005550012"), phone.invite("999005550004")
                await phone.event(Answered, up)
                await phone.until(lambda: len(read_rings(tmp_path)) == 2, "second ring")
                os.kill(sandbox.pid, signal.SIGTERM)
                await phone.event(Ended, up)
                assert ringing
                return await sandbox.wait()
        finally:
            await sandbox.close()

    assert asyncio.run(run()) == 0

    seen = read_observations(tmp_path)
    assert [observation.ended_by for observation in seen] == [EndedBy.SANDBOX_STOPPED, EndedBy.SANDBOX_STOPPED]


def start(data: Path, **more: object) -> SandboxProcess:
    async def run() -> SandboxProcess:
        sandbox = await start_sandbox(data=data, **more)  # type: ignore[arg-type]
        await sandbox.close()
        return sandbox

    return asyncio.run(run())


def test_a_wrong_persona_file_is_refused_by_line(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("personas:\n- number: '1'\n  answer_after: soon\n")

    with pytest.raises(SandboxFailed, match=r"own\.yaml line 3: answer_after: must be a number of seconds"):
        start(tmp_path / "data", personas=own)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SandboxFailed, match=rf"cannot use 127\.0\.0\.1:{port}.*in use"):
            start(tmp_path, sip=f"127.0.0.1:{port}")


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SandboxFailed, match="file/data cannot be used"):
        start(tmp_path / "file" / "data")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--sip", "5060"), "'5060' is not host:port"),
        (("--rtp-range", "30000"), "'30000' is not low-high"),
        (("--rtp-range", "2-9"), "'2-9' holds no even port from 1024 up"),
    ],
)
def test_a_wrong_option_is_explained(tmp_path: Path, option: tuple[str, str], says: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "callwright.sandbox", "--data", str(tmp_path), *option],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert process.returncode == 2
    assert says in process.stderr


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    async def run() -> bool:
        sandbox = await start_sandbox(data=tmp_path)
        await sandbox.close()
        await sandbox.close()
        return sandbox.is_running

    assert asyncio.run(run()) is False


def test_a_call_without_a_free_port_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        port = 0
        while not port:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1] & ~1
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                port = 0

        async def run() -> int:
            sandbox = await start_sandbox(data=tmp_path, rtp_range=(port, port + 1))
            try:
                result = await asyncio.to_thread(
                    call_with_sipp, "call_refused", (sandbox.host, sandbox.port), number="999005550002"
                )
                async with CallingPhone((sandbox.host, sandbox.port)) as phone:
                    handle = phone.invite("999005550012")
                    await phone.until(lambda: any(getattr(e, "code", 0) == 503 for e in phone.events), f"503 {handle}")
                return result.succeeded
            finally:
                await sandbox.close()

        assert asyncio.run(run()) == 1

    assert read_observations(tmp_path, dialled="999005550012")[0].ended_by is EndedBy.FAILED


@needs_sipp
@pytest.mark.parametrize(
    ("scenario", "number", "ended_by"),
    [
        ("call_hang_up", "999005550001", EndedBy.CALLER),
        ("call_wait_bye", "999005550010", EndedBy.PERSONA),
        ("call_cancel", "999005550004", EndedBy.CANCELLED),
        ("call_refused", "999005550002", EndedBy.REJECTED),
    ],
)
def test_an_independent_caller_finds_an_ordinary_telephone(
    tmp_path: Path, scenario: str, number: str, ended_by: EndedBy
) -> None:
    async def run() -> SippResult:
        sandbox = await start_sandbox(data=tmp_path)
        try:
            target = (sandbox.host, sandbox.port)
            return await asyncio.to_thread(call_with_sipp, scenario, target, number=number, calls=3, pause_ms=200)
        finally:
            await sandbox.close()

    result = asyncio.run(run())

    assert result.all_succeeded, result.why
    assert result.succeeded == 3
    assert [seen.ended_by for seen in read_observations(tmp_path)] == [ended_by] * 3
    assert len(read_rings(tmp_path)) == 3


@needs_sipp
def test_an_independent_caller_gets_its_options_answered(tmp_path: Path) -> None:
    async def run() -> SippResult:
        sandbox = await start_sandbox(data=tmp_path)
        try:
            return await asyncio.to_thread(call_with_sipp, "options", (sandbox.host, sandbox.port), number="anybody")
        finally:
            await sandbox.close()

    result = asyncio.run(run())

    assert result.all_succeeded, result.why
