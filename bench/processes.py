"""What processes use, as the kernel counts it: processor time, memory, descriptors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Of one process: seconds of processor time so far, kilobytes in memory, open descriptors."""

    cpu_s: float
    resident_kb: float
    descriptors: int


def usage(pid: int) -> Usage:
    """Return what a running process uses now, all its threads together."""
    folder = Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        resident_kb=int((folder / "statm").read_text().split()[1]) * _PAGE / 1024,
        descriptors=len(os.listdir(folder / "fd")),
    )


def sockets(pid: int) -> int:
    """Return how many sockets a running process has open."""
    found = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += os.readlink(each).startswith("socket:")
        except FileNotFoundError:
            continue  # closed meanwhile
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time a running process has used so far."""
    return sum(cpu_parts(pid))


def cpu_parts(pid: int) -> tuple[float, float]:
    """Return the processor time a running process has used so far, in seconds: its own, and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / _TICKS, int(fields[12]) / _TICKS


def children(pid: int) -> list[int]:
    """Return the processes a process has started that still run."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found
