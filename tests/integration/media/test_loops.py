"""Both ways of moving packets, Python's and the C helper's, do the same."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from callwright.media.helper import HELPER
from callwright.media.rtp import U8
from callwright.media_worker.loops import HelperLoops, Loops, PythonLoops
from callwright.media_worker.ports import tell_arrivals

ROWS = 6


@dataclass
class Bench:
    """Sockets of some rows, and one far end for each."""

    loops: Loops
    family: int
    host: str
    epoll: select.epoll = field(default_factory=select.epoll)
    ours: list[socket.socket] = field(default_factory=list)
    theirs: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        for _ in range(ROWS):
            one, other = (socket.socket(self.family, socket.SOCK_DGRAM) for _ in range(2))
            for each in (one, other):
                each.bind((self.host, 0))
                each.settimeout(5)
            one.setblocking(False)
            tell_arrivals(one)
            self.epoll.register(one, select.EPOLLIN)
            self.ours.append(one)
            self.theirs.append(other)

    def latch(self, row: int) -> None:
        self.ours[row].connect(self.theirs[row].getsockname())
        self.loops.latch(row, self.ours[row])

    def look(self) -> dict[int, bytes]:
        taken = self.loops.look(self.epoll)
        assert self.loops.rows[: taken.count].tolist() == list(dict.fromkeys(self.loops.rows[: taken.count].tolist()))
        return {
            int(self.loops.rows[at]): self.loops.buffer[at, : self.loops.lengths[at]].tobytes()
            for at in range(taken.count)
        }

    def close(self) -> None:
        self.epoll.close()
        for each in (*self.ours, *self.theirs):
            each.close()


@pytest.fixture(params=["Python", "C"])
def loops(request: pytest.FixtureRequest) -> Loops:
    if request.param == "Python":
        return PythonLoops(ROWS)
    if HELPER is None:
        pytest.skip("the C helper is not there")
    return HelperLoops(HELPER, ROWS)


@pytest.fixture(params=["127.0.0.1", "::1"])
def bench(request: pytest.FixtureRequest, loops: Loops) -> Iterator[Bench]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    made = Bench(loops, family, request.param)
    yield made
    made.close()


def packets() -> tuple[U8, npt.NDArray[np.int32]]:
    matrix = np.zeros((ROWS, 40), np.uint8)
    matrix[:] = np.arange(ROWS, dtype=np.uint8)[:, None] + 1
    return matrix, np.full(ROWS, 40, np.int32)


def test_one_datagram_of_every_latched_socket_is_taken_at_a_look(bench: Bench) -> None:
    for row in range(4):
        bench.latch(row)
        bench.theirs[row].sendto(bytes([row]) * (row + 10), bench.ours[row].getsockname())
    bench.theirs[2].sendto(b"second", bench.ours[2].getsockname())
    assert bench.look() == {row: bytes([row]) * (row + 10) for row in range(4)}
    assert bench.look() == {2: b"second"}
    assert bench.look() == {}


def test_sockets_that_are_not_latched_are_only_named(bench: Bench) -> None:
    bench.theirs[1].sendto(b"hello", bench.ours[1].getsockname())
    taken = bench.loops.look(bench.epoll)
    assert (taken.count, taken.others) == (0, [bench.ours[1].fileno()])
    assert bench.ours[1].recv(100) == b"hello"
    bench.latch(1)
    bench.loops.unlatch(bench.ours[1])
    bench.theirs[1].sendto(b"again", bench.ours[1].getsockname())
    assert bench.loops.look(bench.epoll).others == [bench.ours[1].fileno()]


def test_packets_go_to_targets_and_over_connected_sockets_and_nowhere_else(bench: Bench) -> None:
    matrix, lengths = packets()
    for row in range(5):
        if row % 2:
            bench.latch(row)
            bench.loops.aim(row, bench.ours[row], None)
        else:
            host, port = bench.theirs[row].getsockname()[:2]
            bench.loops.aim(row, bench.ours[row], (host, port))
    lengths[1], lengths[3] = 0, 12
    bench.loops.forget(4)
    bench.loops.send(np.arange(ROWS), matrix, lengths)
    for row, expected in ((0, b"\1" * 40), (2, b"\3" * 40), (3, b"\4" * 12)):
        data, source = bench.theirs[row].recvfrom(100)
        assert data == expected
        assert source[:2] == bench.ours[row].getsockname()[:2]
    for row in (1, 4, 5):
        bench.theirs[row].setblocking(False)
        with pytest.raises(BlockingIOError):
            bench.theirs[row].recv(100)
    bench.loops.send_one(1, b"one")
    bench.theirs[1].setblocking(True)
    assert bench.theirs[1].recv(100) == b"one"


def test_rows_of_packets_are_not_rows_of_legs(bench: Bench) -> None:
    matrix, lengths = packets()
    host, port = bench.theirs[5].getsockname()[:2]
    bench.loops.aim(5, bench.ours[5], (host, port))
    bench.loops.send(np.array([2, 5]), matrix, lengths[:2])
    assert bench.theirs[5].recv(100) == b"\2" * 40


def test_a_far_end_that_is_gone_harms_nobody(bench: Bench) -> None:
    for row in (0, 1):
        bench.latch(row)
        bench.loops.aim(row, bench.ours[row], None)
    bench.theirs[0].close()
    matrix, lengths = packets()
    for _ in range(3):
        bench.loops.send(np.arange(ROWS), matrix, lengths)
        bench.look()
    for _ in range(3):
        assert bench.theirs[1].recv(100) == b"\2" * 40


def test_a_datagram_longer_than_the_buffer_is_cut(bench: Bench) -> None:
    bench.latch(3)
    bench.theirs[3].sendto(b"x" * 4000, bench.ours[3].getsockname())
    assert bench.look() == {3: b"x" * bench.loops.buffer.shape[1]}


def test_the_kernels_arrival_times_are_known_with_the_helper(bench: Bench) -> None:
    bench.latch(0)
    before = time.time()
    bench.theirs[0].sendto(b"now", bench.ours[0].getsockname())
    bench.look()
    stamp = float(bench.loops.stamps[0])
    assert before - 0.01 < stamp < time.time() + 0.01 if isinstance(bench.loops, HelperLoops) else stamp == 0
