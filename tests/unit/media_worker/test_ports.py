"""RTP ports: which are given out, and what is thrown away of what came to them before their call."""

from __future__ import annotations

import errno
import os
import socket
import time

import pytest

from callwright.media_worker.ports import NoPortError, PortPool, drop_older, tell_arrivals


def test_without_descriptors_not_every_port_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = PortPool("127.0.0.1", 20_000, 30_000)
    tried: list[int] = []

    def refused(port: int) -> tuple[socket.socket, socket.socket]:
        tried.append(port)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(pool, "_bind", refused)
        with pytest.raises(NoPortError, match="Too many open files"):
            pool.open(0.0)
    assert tried == [20_000]
    pool.open(0.0).close()  # it lost none of its ports over that


def test_what_came_before_a_time_is_thrown_away_and_the_rest_is_kept_in_its_order() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs,
    ):
        ours.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        tell_arrivals(ours)
        for text in (b"old", b"", b"older than the rest"):
            theirs.sendto(text, ours.getsockname())
        time.sleep(0.01)
        since = time.time()
        for text in (b"", b"first", b"second"):
            theirs.sendto(text, ours.getsockname())
        drop_older(ours, since)
        assert [ours.recv(100) for _ in range(3)] == [b"", b"first", b"second"]
        drop_older(ours, since)  # nothing is there
