"""Broken input by the million: a mutator of real messages, and a record of how long each took and what it left.

Every case is made from the seed of its slice and its number, so that a failure can be found again. Time is the CPU time
of this thread: another program on the machine changes nothing.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

_PAGE_BYTES = 4096
_SPLICES = [
    b"\r\n", b"\n", b"\r\n ", b"\r\n\r\n", b";", b",", b'"', b"<", b">", b"@", b"\0", b"\xff", b"%00", b"%zz", b"=",
    b":", b"9" * 30, b"-1", b"4294967296", b"18446744073709551616", b"0", b" ", b"\t", b"\\", b"[::1]", b"sip:",
    b"sips:", b"tel:", b"\xe2\x82\xac", b"\xc3", b"z9hG4bK", b";tag=", b";lr", b"SIP/2.0 ", b"a=",
    b"m=audio 0 RTP/AVP", b"((((",    b",,,,,,,,", b";;;;;;;;", b"\xc2\xb2",
]  # fmt: skip
_MOST_BYTES = 60_000


class Mutator:
    """Breaks bytes in many ways; ``others`` are what pieces are borrowed from."""

    def __init__(self, chance: Random, others: list[bytes]) -> None:
        self._chance = chance
        self._others = others

    def mutate(self, data: bytes, *, most: int = 5) -> bytes:
        """Change a message in up to ``most`` places, perhaps none."""
        for _ in range(self._chance.randint(0, most)):
            data = self._once(data)
        return data[:_MOST_BYTES]

    def _once(self, data: bytes) -> bytes:
        chance = self._chance
        at = chance.randrange(len(data) + 1)
        match chance.randrange(12):
            case 0:
                return data[:at] + chance.choice(_SPLICES) + data[at:]
            case 1:
                return data[:at] + data[at + chance.randint(1, 20) :]
            case 2:
                return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 3:
                return data[:at] + data[max(0, at - chance.randint(1, 60)) :]
            case 4:
                return data[:at]
            case 5:
                other = chance.choice(self._others)
                start = chance.randrange(len(other) + 1)
                return data[:at] + other[start : start + chance.randint(1, 200)] + data[at:]
            case 6:
                return self._lines(data, lambda lines: lines.insert(chance.randrange(len(lines)), chance.choice(lines)))
            case 7:
                return self._lines(data, lambda lines: lines.pop(chance.randrange(len(lines))))
            case 8:
                return self._lines(data, chance.shuffle)
            case 9:
                return self._borrowed_line(data)
            case 10:
                piece = data[at : at + chance.randint(1, 8)]
                return data[:at] + piece * chance.choice([2, 10, 300]) + data[at:]
            case _:
                return data[:at] + data[at : at + 1].swapcase() + data[at + 1 :]

    def _lines(self, data: bytes, change: Callable[[list[bytes]], object]) -> bytes:
        lines = data.split(b"\r\n")
        change(lines)
        return b"\r\n".join(lines)

    def _borrowed_line(self, data: bytes) -> bytes:
        lines, theirs = data.split(b"\r\n"), self._chance.choice(self._others).split(b"\r\n")
        lines[self._chance.randrange(len(lines))] = self._chance.choice(theirs)
        return b"\r\n".join(lines)


@dataclass(slots=True)
class Campaign:
    """What a run of cases cost: how many, the slowest of them, and the memory at even distances."""

    name: str
    cases: int = 0
    worst_s: float = 0.0
    worst_case: str = ""
    cpu_s: float = 0.0
    objects: list[int] = field(default_factory=list)
    resident_bytes: list[int] = field(default_factory=list)
    at_cases: list[int] = field(default_factory=list)

    def time(self, what: str, work: Callable[[], object]) -> None:
        """Count one case; ``what`` finds it again."""
        began = time.thread_time()
        work()
        took = time.thread_time() - began
        self.cases += 1
        self.cpu_s += took
        if took > self.worst_s:
            self.worst_s, self.worst_case = took, what

    def weigh(self) -> None:
        """Note how much there is in memory now."""
        gc.collect()
        self.objects.append(len(gc.get_objects()))
        self.resident_bytes.append(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES)
        self.at_cases.append(self.cases)

    def objects_per_case(self) -> float:
        """Return the slope of living objects over cases, the first weighing (warming up) left out."""
        return _slope(self.at_cases[1:], self.objects[1:])

    def bytes_per_case(self) -> float:
        """Return the slope of resident memory over cases, the first weighing left out."""
        return _slope(self.at_cases[1:], self.resident_bytes[1:])

    def __str__(self) -> str:
        mean_us = 1e6 * self.cpu_s / max(self.cases, 1)
        first, last = self.resident_bytes[0] / 2**20, self.resident_bytes[-1] / 2**20
        return (
            f"{self.name}: {self.cases:,} cases, {mean_us:.0f} µs each, worst {self.worst_s * 1000:.1f} ms "
            f"({self.worst_case}); memory {first:.1f} -> {last:.1f} MiB, "
            f"{self.bytes_per_case():+.2f} bytes and {self.objects_per_case():+.5f} objects a case"
        )


def _slope(xs: list[int], ys: list[int]) -> float:
    """Return the slope of the straight line that fits best, 0 with fewer than two points."""
    if len(xs) < 2:
        return 0.0
    mid_x, mid_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mid_x) ** 2 for x in xs)
    return sum((x - mid_x) * (y - mid_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0
