"""Legs on one media worker: a prompt out and keys in on each, beside a bare loop that moves the same packets.

The bar is 4 % of a core for 100 legs, 6 % with stereo recording, with fewer than 0.1 % of the packets more than 25 ms
after the one before. `CALLWRIGHT_BENCH_LEGS` sets how many legs there are. The far end is a process of its own; gaps
are those between the kernel's arrival times there. Measuring begins when every leg plays and every file is open.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import select
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import uvloop

from callwright.engine.media_client import Digit, Leg, LegEvent, MediaClient, MediaLost, WorkerReport
from callwright.media import helper
from callwright.media.codec import PCMA
from callwright.media.sounds import SoundFile

LEGS = int(os.environ.get("CALLWRIGHT_BENCH_LEGS", "1000"))
SECONDS = 3.0
WARM_UP_S = 2.0
TICK_S = 0.02
KEY_EVERY_TICKS = 100
KEY_TICKS = 7
PORTS = (26000, 29999)
_TIMESTAMPS = 35  # SO_TIMESTAMPNS, which the socket module does not name
_STAMP = struct.Struct("qq")


@dataclass(frozen=True, slots=True)
class Shape:
    """One way of using the legs."""

    name: str
    events: bool = True
    helper: bool = True
    prepare: Callable[[Leg, Path], None] | None = None


SHAPES = (
    Shape("prompt out, keys as events in"),
    Shape("the same with stereo recording", prepare=lambda leg, folder: leg.record_leg(str(folder / f"{leg.id}.wav"))),
    Shape("the same, keys looked for in the sound", events=False),
    Shape("prompt and keys without the C helper", helper=False),
)


def run() -> None:
    """Measure and print."""
    bare = _bare()
    with tempfile.TemporaryDirectory() as folder:
        prompt = Path(folder) / "prompt.wav"
        rng = np.random.default_rng(1)
        soundfile.write(prompt, (2000 * rng.standard_normal(8000 * 20)).astype(np.int16), 8000)
        print(f"  {LEGS} legs, {SECONDS:g} s each; processor time is per 100 legs, in % of a core")
        print(f"  {helper.state()}")
        _line("ceiling: the bare loop", bare["cpu"], bare)
        for shape in SHAPES:
            # The workers inherit it.
            os.environ[helper.SWITCH] = "" if shape.helper else "1"
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                cpu, found = runner.run(_legs(shape, prompt))
            _line(shape.name, cpu, found)
            print(
                f"      ratio to the bare loop {cpu / bare['cpu']:.2f}; late ticks {found['late']:.0f} of "
                f"{found['ticks']:.0f}, worst {found['worst']:.1f} ms; {found['kilobytes']:.0f} kB a leg"
            )
            if shape.events:
                print(
                    f"      keys {found['heard']:.0f} heard of {found['keys']:.0f} sent; told after "
                    f"{found['told']:.1f} ms (median), {found['slowest']:.1f} ms (99 %)"
                )


def _line(name: str, cpu: float, found: dict[str, float]) -> None:
    share = 100 * found["gaps"] / max(found["received"], 1)
    print(
        f"  {name:<42} {cpu:5.2f} %   packets {found['received']:8,.0f}   gaps over 25 ms {share:.3f} %, "
        f"longest {found['longest']:.0f} ms"
    )


async def _legs(shape: Shape, prompt: Path) -> tuple[float, dict[str, float]]:
    heard: list[float] = []

    def hear(event: LegEvent) -> None:
        if isinstance(event, Digit):
            # The key was down for one packet when its first packet was sent.
            heard.append((time.time() - event.at - TICK_S) * 1000)

    with tempfile.TemporaryDirectory() as folder, FarEnd("far") as far_end:
        client = await MediaClient.start(host="127.0.0.1", port_range=PORTS)
        try:
            empty = _resident_kilobytes(client.pids[0])
            legs = [await client.open_leg() for _ in range(LEGS)]
            playing = []
            for leg, port in zip(legs, far_end.ports, strict=True):
                leg.on_event = hear
                leg.connect(remote=("127.0.0.1", port), codec=PCMA, dtmf_payload=101 if shape.events else None)
                playing.append(asyncio.ensure_future(leg.play([SoundFile(str(prompt))])))
                if shape.prepare is not None:
                    shape.prepare(leg, Path(folder))
            far_end.begin([leg.port for leg in legs])
            await asyncio.sleep(WARM_UP_S)
            before = (await client.report())[0]
            await asyncio.sleep(SECONDS)
            after = (await client.report())[0]
            kilobytes = (_resident_kilobytes(client.pids[0]) - empty) / LEGS
            found = await asyncio.to_thread(far_end.result)
            for task in playing:
                task.cancel()
            await asyncio.gather(*playing, return_exceptions=True)
        finally:
            try:
                await client.close()
            except MediaLost as lost:
                print(f"  {lost}")
    found |= _between(before, after)
    found["kilobytes"], found["heard"] = kilobytes, float(len(heard))
    if len(heard) > 1:
        found["told"], found["slowest"] = statistics.median(heard), statistics.quantiles(heard, n=100)[98]
    return 100 * (after.cpu_s - before.cpu_s) / (SECONDS * LEGS / 100), found


def _between(before: WorkerReport, after: WorkerReport) -> dict[str, float]:
    return {
        "ticks": float(after.ticks - before.ticks),
        "late": float(after.late_ticks - before.late_ticks),
        "worst": after.worst_late_ms,
        "told": 0.0,
        "slowest": 0.0,
    }


def _resident_kilobytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def _bare() -> dict[str, float]:
    """The far end against itself without its clock: what moving these packets costs with nothing else done."""
    with FarEnd("bare") as one, FarEnd("far") as other:
        one.begin(other.ports)
        other.begin(one.ports)
        found, bare = other.result(), one.result()
    return {**found, "cpu": bare["cpu"]}


class FarEnd:
    """`LEGS` sockets in a process of their own, each of which sends a packet every 20 ms and counts what comes."""

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.media", kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.ports: list[int] = json.loads(self._process.stdout.readline())

    def __enter__(self) -> FarEnd:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self, targets: list[int]) -> None:
        assert self._process.stdin is not None
        print(json.dumps(targets), file=self._process.stdin, flush=True)

    def result(self) -> dict[str, float]:
        assert self._process.stdout is not None
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found


class _Sockets:
    """What the child process does."""

    def __init__(self, *, timed: bool) -> None:
        self._timed = timed
        self._sockets: dict[int, socket.socket] = {}
        self._last: dict[int, float] = {}
        self._gaps: list[float] = []
        self._received = self._keys = 0
        self._counting = False
        self._buffer = memoryview(bytearray(2048))
        self._epoll = select.epoll()
        for _ in range(LEGS):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            if timed:
                sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
            self._sockets[sock.fileno()] = sock
            self._epoll.register(sock, select.EPOLLIN)

    def serve(self) -> None:
        print(json.dumps([sock.getsockname()[1] for sock in self._sockets.values()]), flush=True)
        for sock, port in zip(self._sockets.values(), json.loads(sys.stdin.readline()), strict=True):
            sock.connect(("127.0.0.1", port))
        due = began = time.monotonic()
        spent = 0.0
        for tick in range(int((WARM_UP_S + SECONDS) / TICK_S)):
            if not self._counting and due - began >= WARM_UP_S:
                self._counting, spent = True, _cpu_s()
            self._send(tick)
            due += TICK_S
            # Arrival times are the kernel's: reading late loses nothing, not reading would. On a busy machine packets
            # may come as fast as they are read.
            while self._read(0.0) and time.monotonic() < due:
                continue
            while (rest := due - time.monotonic()) > 0:
                self._read(min(rest, 0.005))
        spent = _cpu_s() - spent
        print(
            json.dumps(
                {
                    "received": self._received,
                    "gaps": sum(gap > 0.025 for gap in self._gaps),
                    "longest": 1000 * max(self._gaps, default=0.0),
                    "cpu": 100 * spent / (SECONDS * LEGS / 100),
                    "keys": self._keys,
                }
            ),
            flush=True,
        )
        sys.stdin.readline()

    def _send(self, tick: int) -> None:
        sound = struct.pack("!BBHII", 0x80, 8, tick & 0xFFFF, 160 * tick, 7) + bytes(160)
        for index, sock in enumerate(self._sockets.values()):
            packet = sound
            phase = (tick + index) % KEY_EVERY_TICKS
            if self._timed and phase < KEY_TICKS and tick >= phase:
                packet = self._key(tick, phase)
                self._keys += phase == 0
            try:
                sock.send(packet)
            except OSError:
                continue  # nobody is there yet, or not any more

    def _key(self, tick: int, phase: int) -> bytes:
        head = struct.pack("!BBHII", 0x80, 101 | (0x80 if phase == 0 else 0), tick & 0xFFFF, 160 * (tick - phase), 7)
        end = phase >= KEY_TICKS - 3
        return head + struct.pack("!BBH", 5, 10 | (0x80 if end else 0), 160 * min(phase + 1, KEY_TICKS - 2))

    def _read(self, timeout_s: float) -> bool:
        ready = self._epoll.poll(timeout_s, LEGS)
        for fd, _ in ready:
            try:
                if self._timed:
                    self._note(fd, self._sockets[fd].recvmsg_into([self._buffer], 64)[1])
                else:
                    self._sockets[fd].recv_into(self._buffer)
            except OSError:
                continue
        return bool(ready)

    def _note(self, fd: int, ancillary: list[tuple[int, int, bytes]]) -> None:
        seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
        at = seconds + nanoseconds / 1e9
        last = self._last.get(fd)
        if self._counting:
            self._received += 1
            if last is not None:
                self._gaps.append(at - last)
        self._last[fd] = at


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _Sockets(timed=sys.argv[1] == "far").serve()
    else:
        run()
