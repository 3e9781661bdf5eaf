"""Hours in minutes: 50 calls a second for as long as wanted, and whether anything grows meanwhile.

The bar is ten minutes (``--seconds 600``) with memory, descriptors, ports and tasks flat. Each is sampled every two
seconds; the slope is that of the least squares line through the samples behind the warm-up, in which SIP transactions
pile up that RFC 3261 wants remembered for 32 seconds. SIPp is the far end.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.calls import FINAL, FIRST, PROMPT_S
from bench.processes import sockets, usage
from bench.scene import Scene, scene
from bench.sipp import SIPP

RATE = 50
SECONDS = 90.0
WARM_UP_S = 45.0
EVERY_S = 2.0
FLAT = 0.02  # of its mean, over the whole time, is how much a figure may have grown


def run(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench soak")
    parser.add_argument("--rate", type=int, default=RATE, help="starts a second")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for how long")
    wish = parser.parse_args(list(arguments))
    if not SIPP:
        print("  not measured: SIPp is the far end, and it is not installed (Debian: apt-get install sip-tester)")
        return
    print(f"  {wish.rate} calls a second for {wish.seconds:g} s, with pages and sound")
    with (
        tempfile.TemporaryDirectory(prefix="callwright-bench-") as folder,
        scene(Path(folder), first=FIRST, final=FINAL, rate=wish.rate, prompt_s=PROMPT_S) as around,
    ):
        samples: list[tuple[float, dict[str, float]]] = []
        for at in around.feed(wish.rate, wish.seconds):
            if not samples or at - samples[-1][0] >= EVERY_S:
                samples.append((at, _sample(around)))
        around.until_over(int(wish.rate * wish.seconds))
        good = around.rows(
            "SELECT count(*) FROM adrs JOIN cdrs USING (instance_id) WHERE exit_status = 0 AND connected_at"
        )
        rest = _sample(around)
    print(f"  {good[0][0]} of {int(wish.rate * wish.seconds)} calls whole")
    _show([sample for sample in samples if sample[0] >= min(WARM_UP_S, wish.seconds / 2)], rest)


def _sample(around: Scene) -> dict[str, float]:
    status = around.node.link.get("/status")
    node, workers = usage(around.node.pid), [usage(pid) for pid in around.workers]
    return {
        "node: memory, kB": node.resident_kb,
        "node: descriptors": node.descriptors,
        "node: tasks": status["tasks"],
        "node: SIP dialogs and transactions": status["sip_dialogs"],
        "media workers: memory, kB": sum(each.resident_kb for each in workers),
        "media workers: descriptors": sum(each.descriptors for each in workers),
        "media workers: ports": sum(sockets(pid) for pid in around.workers),
        "calls up": status["live_calls"],
    }


def _show(samples: list[tuple[float, dict[str, float]]], rest: dict[str, float]) -> None:
    if len(samples) < 3:
        print("  too short for slopes")
        return
    times = np.array([at for at, _ in samples])
    minutes = (times[-1] - times[0]) / 60
    print(f"  slopes over {minutes:.1f} minutes                 mean      a minute   of the mean   when all is over")
    for name in rest:
        values = np.array([sample[name] for _, sample in samples])
        slope = np.polyfit(times / 60, values, 1)[0]
        grown = slope * minutes / max(values.mean(), 1e-9)
        verdict = "flat" if grown <= FLAT else "GROWS"
        print(
            f"  {name:<36} {values.mean():12,.0f} {slope:12,.2f} {100 * grown:11.2f} %  {rest[name]:12,.0f}  {verdict}"
        )


if __name__ == "__main__":
    import sys

    run(sys.argv[1:])
