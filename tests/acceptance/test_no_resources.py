"""A real node without room on its disk, whose disk fails or becomes read-only, whose clock jumps, without descriptors.

Starts are refused cleanly, nothing that was acknowledged is lost, and calls that run go on. A failing fsync cannot be
made from outside a process; what follows from a commit that failed is tested on the database's own level
(tests/integration/outbound/test_failing_commits.py), and jumping clocks in test_dispatcher.py beside it.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.support.node import CALLER, Answer, Node, Service, running_node
from tests.support.node_processes import expect_throughout, marked_processes, wait_until

BUSY = "tel:999005550002"
NEVER_ANSWERS = "tel:999005550004"
NOBODY = "http://127.0.0.1:9/nobody"


@contextmanager
def used_disk(folder: Path) -> Iterator[None]:
    """Take the disk away from ``folder`` in the end; what the simulated network keeps lies elsewhere: not our disk."""
    try:
        elsewhere = folder.parent / "sandbox"
        elsewhere.mkdir()
        (folder / "sandbox").symlink_to(elsewhere)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path, *, size: str = "24m") -> Iterator[Path]:
    """Mount a small disk at ``folder``."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"only root can mount a small disk: {mounted.stderr.strip()}")
    with used_disk(folder):
        yield folder


def fill(folder: Path) -> Path:
    """Write a file until the disk is full."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


def try_start(node: Node, service: Service, *, calls: int = 200) -> Answer:
    return node.service_start(service, [{"to": BUSY, "from": CALLER, "token": "x" * 4000}] * calls)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_refuses_starts_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data") as data, marked_processes() as marked, running_node(data, marked) as node:
        service = node.add_service("calls", first_page=NOBODY)
        paused = node.add_service("later", first_page=NOBODY)
        ringing = node.start(service, NEVER_ANSWERS)
        wait_until(lambda: node.status_of(ringing) == "running", what="a call that rings")
        node.link.post("/pause", {"service": "later"})
        acknowledged = [node.start(paused, BUSY) for _ in range(3)]
        ballast = fill(data)
        answers = [try_start(node, paused) for _ in range(4)]
        refused = [answer for answer in answers if answer.status != 200]
        assert refused, "the disk was never full"
        assert {answer.status for answer in refused} == {507}, refused
        assert refused[0].body["error"]["code"] == "HTTP 507"
        assert node.status_of(ringing) == "running"
        ballast.unlink()
        kept = try_start(node, paused, calls=1)
        assert kept.status == 200, kept
        for answer in (*answers, kept):
            acknowledged += answer.body if answer.status == 200 else []
        node.kill()
        node.begin()
        assert {one["status"] for one in node.service_status(*acknowledged).values()} == {"queued"}
        assert node.wait_over(ringing).status == "completed -90"
        node.link.post("/resume", {"service": "later"})
        assert node.wait_over(acknowledged[0]).status == "completed 0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_read_only_folder_is_refused_by_name_and_nothing_in_it_is_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data") as data, marked_processes() as marked, running_node(data, marked) as node:
        service = node.add_service("calls", first_page=NOBODY)
        node.link.post("/pause", {})
        reference = node.start(service, BUSY)
        node.kill()
        wait_until(lambda: not marked.alive(), what="the end of the node's helpers")
        subprocess.run(["mount", "-o", "remount,ro", str(data)], check=True)
        node.start_process()
        assert node.wait_exit(within_s=30.0) == 1
        last = node.log.read_text().strip().splitlines()[-1]
        assert str(data) in last or "read-only" in last.lower(), last
        subprocess.run(["mount", "-o", "remount,rw", str(data)], check=True)
        node.begin()
        node.link.post("/resume", {})
        assert node.wait_over(reference).status == "completed 0"


@contextmanager
def failing_disk(folder: Path) -> Iterator[Callable[[], None]]:
    """Mount a disk of its own at ``folder`` and yield what makes it fail: the kernel then lets nobody write to it.

    Called again, it is as after a repair: unmounted, checked and mounted anew.
    """
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        pytest.skip("only root can mount a disk, and only one with mkfs.ext4 can make it")
    image = folder.parent / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", str(image)], check=True)
    folder.mkdir()
    mount = ["mount", "-o", "loop,errors=remount-ro", str(image), str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be made from a file here: {mounted.stderr.strip()}")
    failed = False

    def fail_or_repair() -> None:
        nonlocal failed
        if failed:
            subprocess.run(["umount", str(folder)], check=True)
            subprocess.run(["e2fsck", "-fy", str(image)], check=False, capture_output=True)
            subprocess.run(mount, check=True)
        else:
            source = subprocess.run(["findmnt", "-no", "SOURCE", str(folder)], capture_output=True, check=True)
            device = Path(source.stdout.decode().strip()).name
            Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1\n")
        failed = not failed

    with used_disk(folder):
        yield fail_or_repair


def test_a_disk_that_becomes_read_only_refuses_starts_while_calls_go_on_and_loses_nothing(tmp_path: Path) -> None:
    with (
        failing_disk(tmp_path / "data") as fail_or_repair,
        marked_processes() as marked,
        running_node(tmp_path / "data", marked) as node,
    ):
        service = node.add_service("calls", first_page=NOBODY)
        ringing = node.start(service, NEVER_ANSWERS)
        wait_until(lambda: node.status_of(ringing) == "running", what="a call that rings")
        node.link.post("/pause", {})
        acknowledged = [node.start(service, BUSY) for _ in range(3)]
        fail_or_repair()
        refused = [try_start(node, service, calls=1) for _ in range(3)]
        assert {answer.status for answer in refused} == {503}, refused
        assert node.is_running
        assert node.status_of(ringing) == "running"
        assert {one["status"] for one in node.service_status(*acknowledged).values()} == {"queued"}
        node.kill()
        wait_until(lambda: not marked.alive(), what="the end of the node's helpers")
        fail_or_repair()
        node.begin()
        assert node.wait_over(ringing).status == "completed -90"
        node.link.post("/resume", {})
        over = node.wait_all_over(acknowledged)
        assert {one.status for one in over.values()} == {"completed 0"}


def test_a_disk_that_takes_no_more_writes_stops_starts_until_it_does_again(tmp_path: Path) -> None:
    with marked_processes() as marked, running_node(tmp_path / "data", marked) as node:
        service = node.add_service("calls", first_page=NOBODY)
        ringing, busy = node.start(service, NEVER_ANSWERS), node.start(service, BUSY)
        wait_until(lambda: node.status_of(ringing) == "running", what="a call that rings")
        node.wait_over(busy)
        pid = node.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))  # every write to a file fails from now on
        try:
            refused = [try_start(node, service, calls=1) for _ in range(3)]
            assert {answer.status for answer in refused} <= {503, 507}, refused
            assert node.status_of(ringing) == "running"
            expect_throughout(
                lambda: node.is_running and node.status_of(ringing) == "running",
                for_s=2.5,  # several of its own rounds, of which each finds that it cannot write
                what="a call or its node ended for want of a disk",
            )
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert node.is_running
        assert node.status_of(ringing) == "running"
        later = [node.start(service, BUSY) for _ in range(3)]
        over = node.wait_all_over(later)
        assert {one.status for one in over.values()} == {"completed 0"}


def test_without_file_descriptors_what_runs_goes_on_and_nothing_is_lost(tmp_path: Path) -> None:
    with marked_processes() as marked, running_node(tmp_path / "data", marked) as node:
        service = node.add_service("calls", first_page=NOBODY)
        ringing = node.start(service, NEVER_ANSWERS)
        wait_until(lambda: node.status_of(ringing) == "running", what="a call that rings")
        pid = node.process.pid
        kept = http.client.HTTPConnection(node.http, timeout=20)
        status, body = start_over(kept, service)
        assert status == 200, body
        acknowledged = references(body)
        open_now = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        before = resource.prlimit(
            pid, resource.RLIMIT_NOFILE, (open_now, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1])
        )
        try:
            for _ in range(5):
                status, body = start_over(kept, service)
                assert status in (200, 503), body
                acknowledged += references(body) if status == 200 else []
            expect_throughout(lambda: node.is_running, for_s=1.0, what="the node ended for want of descriptors")
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            kept.close()
        assert node.is_running
        assert node.status_of(ringing) == "running"
        later = node.start(service, BUSY)
        over = node.wait_all_over([*acknowledged, later])
        assert {one.status for one in over.values()} == {"completed 0"}


def start_over(connection: http.client.HTTPConnection, service: Service) -> tuple[int, bytes]:
    """Start one call on a connection that is open already."""
    credentials = base64.b64encode(f"{service.user}:{service.password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
    form = urlencode({"rest_calls": f'{{"to": "{BUSY}", "from": "{CALLER}"}}'})
    connection.request("POST", "/service_start", form, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def references(body: bytes) -> list[str]:
    return body.decode().strip('[]"\n').split('","')
