"""Datagrams in and out of all legs: who is latched to whom, one packet per socket and reading."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from callwright.media import rtp
from callwright.media_worker.leg import Leg
from callwright.media_worker.loops import DATAGRAM_BYTES, Floats, Loops
from callwright.media_worker.ports import disconnect, drop_older
from callwright.media_worker.probation import Verdict

_RTCP_BYTES = 1500
_BACKLOG = 256
_FRESH_S = 0.5
"""Sound may overtake the answer that says where it comes from, but not by more."""
_NEWCOMERS = 8
"""So many legs whose source is not known yet are looked at in a reading: each takes as long as ten others."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Datagrams read in one go, at most one per leg. `stamps` are epoch seconds, 0 where the kernel told none."""

    rows: rtp.Ints
    packets: rtp.U8
    lengths: rtp.Ints
    stamps: Floats


class Sockets:
    """The epoll set of the worker.

    A leg's RTP socket hears everyone until its probation knows where its stream comes from; then it is connected to
    that source (symmetric RTP, RFC 4961), and the kernel keeps strangers out. `accepted` reads a datagram and returns
    the packet if it belongs to the leg's stream.
    """

    def __init__(self, loops: Loops, accepted: Callable[[Leg, bytes], rtp.Packet | None]) -> None:
        self._loops = loops
        self._epoll = select.epoll()
        self._accepted = accepted
        self._open: dict[int, Leg] = {}
        self._locked: dict[int, Leg] = {}
        self._rtcp: dict[int, Leg] = {}

    def listen(self, leg: Leg, wall: float) -> None:
        """Start reading a leg's sockets, or follow its new negotiated address; `wall` is the epoch time. What came long
        before is not of this call: its port was open in advance, and others may have gone on sending to it.
        """
        fd = leg.sockets.rtp.fileno()
        if fd not in self._open and fd not in self._locked:
            drop_older(leg.sockets.rtp, wall - _FRESH_S)
            self._epoll.register(fd, select.EPOLLIN)
            self._epoll.register(leg.sockets.rtcp.fileno(), select.EPOLLIN)
            self._open[fd] = leg
            self._rtcp[leg.sockets.rtcp.fileno()] = leg
        self._update_sender(leg)

    def open_up(self, leg: Leg) -> None:
        """Hear other sources of a leg as well, and go on sending to the one it has; `listen` follows a new one."""
        if leg.locked:
            disconnect(leg.sockets.rtp)
            leg.locked = False
            fd = leg.sockets.rtp.fileno()
            self._loops.unlatch(leg.sockets.rtp)
            del self._locked[fd]
            self._open[fd] = leg
            self._update_sender(leg)

    def drop(self, leg: Leg) -> None:
        """Forget a leg whose sockets are about to be closed."""
        fd = leg.sockets.rtp.fileno()
        if self._open.pop(fd, None) is not None or self._locked.pop(fd, None) is not None:
            self._epoll.unregister(fd)
            self._loops.unlatch(leg.sockets.rtp)
        if self._rtcp.pop(leg.sockets.rtcp.fileno(), None) is not None:
            self._epoll.unregister(leg.sockets.rtcp.fileno())
        self._loops.forget(leg.row)

    def read(self, now: float) -> tuple[Batch | None, list[Batch], list[tuple[Leg, bytes]], bool]:
        """Read at most one datagram per socket; `now` is the clock of the legs' probations.

        Returns a batch with one packet for each leg that got any, further batches with what else waited on legs that
        latched just now, RTCP packets with their legs, and whether there was anything. The first batch is good until
        the next reading.
        """
        loops = self._loops
        taken = loops.look(self._epoll)
        count = taken.count
        waiting: list[list[tuple[int, bytes]]] = []
        reports: list[tuple[Leg, bytes]] = []
        newcomers = _NEWCOMERS
        for fd in taken.others:
            if fd in self._open:
                if not newcomers:
                    continue
                newcomers -= 1
                leg = self._open[fd]
                for nth, data in enumerate(self._read_open(leg, now)):
                    if nth == 0:
                        loops.buffer[count, : len(data)] = np.frombuffer(data, np.uint8)
                        loops.rows[count], loops.lengths[count], loops.stamps[count] = leg.row, len(data), 0.0
                        count += 1
                    else:
                        if nth > len(waiting):
                            waiting.append([])
                        waiting[nth - 1].append((leg.row, data))
            elif fd in self._rtcp:
                reports.extend(self._read_rtcp(self._rtcp[fd]))
        batch = Batch(loops.rows[:count], loops.buffer[:count], loops.lengths[:count], loops.stamps[:count])
        return batch if count else None, [_together(each) for each in waiting], reports, bool(count or taken.others)

    def _read_open(self, leg: Leg, now: float) -> list[bytes]:
        taken: list[bytes] = []
        # What waited in the socket before it was connected may come from anyone, so it is read here, to its end.
        for _ in range(_BACKLOG):
            try:
                data, source = leg.sockets.rtp.recvfrom(DATAGRAM_BYTES)
            except OSError:
                break
            if not leg.locked and (packet := self._accepted(leg, data)) is not None:
                before = leg.target
                verdict = leg.probation.judge(source[:2], packet, now)
                if verdict is Verdict.LOCK:
                    self._lock(leg, source)
                elif leg.target != before:
                    self._update_sender(leg)
            if source[:2] == leg.probation.current:
                taken.append(data)
            else:
                leg.stray += 1
        return taken

    def _lock(self, leg: Leg, source: tuple[str, int]) -> None:
        rtp_socket = leg.sockets.rtp
        rtp_socket.connect(source)
        leg.locked = True
        fd = rtp_socket.fileno()
        del self._open[fd]
        self._locked[fd] = leg
        self._loops.latch(leg.row, rtp_socket)
        self._update_sender(leg)

    def _read_rtcp(self, leg: Leg) -> list[tuple[Leg, bytes]]:
        try:
            data, source = leg.sockets.rtcp.recvfrom(_RTCP_BYTES)
        except OSError:
            return []
        if leg.target is None or source[0] != leg.target[0]:
            leg.stray += 1
            return []
        return [(leg, data)]

    def _update_sender(self, leg: Leg) -> None:
        if leg.locked:
            self._loops.aim(leg.row, leg.sockets.rtp, None)
        elif leg.target is not None:
            self._loops.aim(leg.row, leg.sockets.rtp, leg.target)
        else:
            self._loops.forget(leg.row)


def _together(datagrams: list[tuple[int, bytes]]) -> Batch:
    """One batch of datagrams of different legs."""
    lengths = [len(data) for _, data in datagrams]
    width = max(*lengths, rtp.HEADER_BYTES)
    packets = np.frombuffer(b"".join(data.ljust(width, b"\0") for _, data in datagrams), np.uint8)
    rows = np.array([row for row, _ in datagrams])
    return Batch(rows, packets.reshape(-1, width), np.array(lengths), np.zeros(len(rows)))


def send_quietly(sock: socket.socket, data: bytes, target: tuple[str, int]) -> None:
    """Send one datagram; a full buffer or an unreachable peer loses it, as the network may."""
    try:
        sock.sendto(data, target)
    except OSError:
        return
