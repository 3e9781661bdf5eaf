"""Whole calls a second: service_start, INVITE, answer, pages, a prompt, BYE, final page, durable records.

The bars on 2 cores, the far end among them: 300 a second for 60 s with pages and sound, 600 a second without
(``--no-pages``: the application hangs up by itself as soon as the call is up). ``--rate`` and ``--seconds`` say how
much is offered. SIPp is the far end; SIPp calling SIPp is the peer beside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.ceilings import sqlite_commits_per_second
from bench.processes import cpu_parts, cpu_seconds
from bench.scene import Scene, scene
from bench.sipp import SIPP, peer

RATE = 100
SECONDS = 10.0
PROMPT_S = 1.0
WARM_UP = 10
FIRST = {
    "api_version": "2.0",
    "actions": [{"play": {"play_list": [{"file_to_play": "prompt.wav"}]}}, {"hang_up": {}}],
}
FINAL = {"api_version": "2.0", "actions": []}


def run(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    wish = _wish(arguments)
    if not SIPP:
        print("  not measured: SIPp is the far end, and it is not installed (Debian: apt-get install sip-tester)")
        return
    with tempfile.TemporaryDirectory(prefix="callwright-bench-") as name:
        folder = Path(name)
        pages = () if wish.no_pages else ("with pages and sound",)
        print(
            f"  {wish.rate} starts a second for {wish.seconds:g} s, {' '.join(pages) or 'signalling and records only'}"
        )
        if not wish.alone:
            _show_ceilings(folder, wish)
        Campaign(folder, wish).run()


def _wish(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench calls")
    parser.add_argument("--rate", type=int, default=RATE, help="starts a second")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for how long")
    parser.add_argument("--no-pages", action="store_true", help="signalling and records only")
    parser.add_argument("--alone", action="store_true", help="leave the ceilings and the peer out")
    parser.add_argument("--profile", type=Path, help="write what py-spy sees of the node to this file (raw format)")
    return parser.parse_args(list(arguments))


def _show_ceilings(folder: Path, wish: argparse.Namespace) -> None:
    commits = sqlite_commits_per_second(folder, group=1, seconds=1.0)
    grouped = sqlite_commits_per_second(folder, group=16, seconds=1.0)
    print(f"  ceiling: SQLite, one row a commit {commits:,.0f} /s; 16 rows a commit {grouped:,.0f} /s")
    per_second, spent, failed = peer(folder, rate=wish.rate, seconds=min(wish.seconds, 5.0))
    each = spent / (wish.rate * min(wish.seconds, 5.0)) * 1000
    print(
        f"  peer: SIPp to SIPp, no records, {per_second:,.0f} calls/s, {failed} failed, {each:.2f} ms a call, both ends"
    )


class Campaign:
    """One run, and what came of it."""

    def __init__(self, folder: Path, wish: argparse.Namespace) -> None:
        self._folder = folder
        self._wish = wish
        self._calls = int(wish.rate * wish.seconds)

    def run(self) -> None:
        final = None if self._wish.no_pages else FINAL
        module = "bench.pageless" if self._wish.no_pages else ""
        with scene(
            self._folder, first=FIRST, final=final, rate=self._wish.rate, prompt_s=PROMPT_S, module=module
        ) as around:
            around.offer(WARM_UP)
            around.until_over(WARM_UP)
            parts = {"node": [around.node.pid], "media workers": around.workers, "far end": [around.far_end.pid]}
            parts |= {"page server": [around.pages.pid], "load generator": [os.getpid()]}
            before = {name: sum(map(cpu_seconds, pids)) for name, pids in parts.items()}
            kernel = cpu_parts(around.node.pid)[1]
            began = time.time()
            if self._wish.profile is not None:
                self._profile(around.node.pid)
            for _ in around.feed(self._wish.rate, self._wish.seconds):
                pass
            around.until_over(WARM_UP + self._calls)
            spent = {name: sum(map(cpu_seconds, pids)) - before[name] for name, pids in parts.items()}
            kernel = cpu_parts(around.node.pid)[1] - kernel
            self._show(around, began, spent, kernel)
            asked = around.pages.finish()
            succeeded, failed = around.far_end.finish()
        total = WARM_UP + self._calls
        print(f"  the far end saw {succeeded} of {total} calls through, {failed} fail; pages asked: {asked}")

    def _profile(self, pid: int) -> None:
        """Let py-spy, wherever it is installed, watch who holds the interpreter; costs the node some calls a second."""
        seconds = str(max(1, int(self._wish.seconds) - 1))
        command = ["py-spy", "record", "--rate", "200", "--format", "raw", "--duration", seconds, "--threads", "--gil"]
        subprocess.Popen([*command, "--pid", str(pid), "--output", str(self._wish.profile)], stdout=subprocess.DEVNULL)

    def _show(self, around: Scene, began: float, spent: dict[str, float], kernel: float) -> None:
        calls = around.rows(
            "SELECT cdrs.initiated_at, cdrs.connected_at, adrs.stopped_at, adrs.exit_status, cdrs.hangup_cause "
            "FROM adrs JOIN cdrs USING (instance_id) WHERE adrs.started_at >= ? ORDER BY cdrs.initiated_at",
            (began,),
        )
        good = [row for row in calls if row[1] is not None and row[3] == 0]
        ends = Counter(int(row[2] - calls[0][0]) for row in good)
        took = max(row[2] for row in good) - calls[0][0] if good else 1.0
        full = sorted(ends[second] for second in range(2, max(3, int(self._wish.seconds))))
        print(f"  {len(good)} of {self._calls} calls whole in {took:.1f} s; {self._calls - len(good)} failed")
        middle, slowest = full[len(full) // 2], full[0]
        print(
            f"  done in a second: {len(good) / took:.0f} on average,"
            f" {middle} in the middle one, {slowest} in the slowest"
        )
        wrong = Counter(f"{row[4]} exit {row[3]}" for row in calls if row not in good)
        if wrong:
            print(f"  failures: {dict(wrong)}")
        rings = sorted(row[1] - row[0] for row in good)
        if rings:
            usual, late = rings[len(rings) // 2] * 1000, rings[len(rings) * 99 // 100] * 1000
            print(f"  INVITE to answer p50 {usual:.1f} ms, p99 {late:.1f} ms")
        each = {name: seconds / self._calls * 1000 for name, seconds in spent.items()}
        print("  processor time a call: " + ", ".join(f"{name} {value:.2f} ms" for name, value in each.items()))
        print(f"  of the node's, {kernel / self._calls * 1000:.2f} ms in the kernel")
        total = sum(each.values())
        print(f"  in all {total:.2f} ms a call: 2 cores are full at {2000 / total:.0f} calls a second", end="")
        print(f", one core with the node alone at {1000 / each['node']:.0f}")


if __name__ == "__main__":
    import sys

    run(sys.argv[1:])
