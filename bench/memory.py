"""Memory of a live call: what the node and its media workers hold at 1,000 calls that hear a prompt, above none.

The bar is 60 kB a call. ``--calls`` says how many. SIPp is the far end.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.processes import usage
from bench.scene import Scene, scene
from bench.sipp import SIPP

CALLS = 1000
RATE = 50
WARM_UP = 20
HOLD_S = 120.0
PATIENCE_S = 90.0
FIRST = {"api_version": "2.0", "actions": [{"play": {"play_list": [{"file_to_play": "prompt.wav"}]}}]}


def run(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench memory")
    parser.add_argument("--calls", type=int, default=CALLS, help="how many calls are up at once")
    wish = parser.parse_args(list(arguments))
    if not SIPP:
        print("  not measured: SIPp is the far end, and it is not installed (Debian: apt-get install sip-tester)")
        return
    with (
        tempfile.TemporaryDirectory(prefix="callwright-bench-") as folder,
        scene(Path(folder), first=FIRST, final=None, rate=RATE, prompt_s=HOLD_S) as around,
    ):
        around.offer(WARM_UP)  # what the first calls load stays loaded
        _until_up(around, WARM_UP)
        time.sleep(2)
        before = _kilobytes(around)
        around.offer(wish.calls)
        up = _until_up(around, WARM_UP + wish.calls) - WARM_UP
        time.sleep(2)
        after = _kilobytes(around)
        print(f"  {up} calls up besides the first {WARM_UP}")
        for name, kilobytes in after.items():
            was, each = before[name], (kilobytes - before[name]) / max(up, 1)
            print(f"  {name:<14} {was / 1024:7.1f} MB before, {kilobytes / 1024:7.1f} MB then: {each:6.1f} kB a call")
        print(f"  in all {(sum(after.values()) - sum(before.values())) / max(up, 1):.1f} kB a call")


def _kilobytes(around: Scene) -> dict[str, float]:
    workers = sum(usage(pid).resident_kb for pid in around.workers)
    return {"node": usage(around.node.pid).resident_kb, "media workers": workers}


def _until_up(around: Scene, calls: int) -> int:
    deadline, up = time.monotonic() + PATIENCE_S, 0
    while up < calls and time.monotonic() < deadline:
        time.sleep(0.3)
        up = int(around.rows("SELECT count(*) FROM cdrs WHERE connected_at IS NOT NULL AND ended_at IS NULL")[0][0])
    return up


if __name__ == "__main__":
    import sys

    run(sys.argv[1:])
