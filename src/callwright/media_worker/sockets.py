"""Datagrams in and out of all legs: who is latched to whom, one packet per socket and reading."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from callwright.media import rtp
from callwright.media_worker.leg import Leg
from callwright.media_worker.ports import disconnect

BATCH = 2048
_DATAGRAM_BYTES = 1536
_RTCP_BYTES = 1500
_BACKLOG = 256
_NEWCOMERS = 8
"""So many legs whose source is not known yet are looked at in a reading: each takes as long as ten others."""

Packet = memoryview | bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Datagrams read in one go, at most one per leg."""

    rows: rtp.Ints
    packets: rtp.U8
    lengths: rtp.Ints


class Sockets:
    """The epoll set of the worker.

    A leg's RTP socket hears everyone until it is known where its stream comes from; then it is connected to that
    source (symmetric RTP, RFC 4961), and the kernel keeps strangers out. `accepted` reads a datagram and returns the
    packet if it belongs to the leg's stream.
    """

    def __init__(self, accepted: Callable[[Leg, bytes], rtp.Packet | None]) -> None:
        self._epoll = select.epoll()
        self._accepted = accepted
        self._latched: dict[int, tuple[int, Callable[[memoryview], int]]] = {}
        self._open: dict[int, Leg] = {}
        self._rtcp: dict[int, Leg] = {}
        self._buffer = np.zeros((BATCH, _DATAGRAM_BYTES), np.uint8)
        self._views = [memoryview(row) for row in self._buffer]  # type: ignore[arg-type]
        self._senders: dict[int, Callable[[Packet], int]] = {}
        self.changed = True
        """Whether a leg has got another way of sending since this was last cleared."""

    def listen(self, leg: Leg) -> None:
        """Start reading a leg's sockets, or follow its new negotiated address."""
        fd = leg.sockets.rtp.fileno()
        if fd not in self._open and fd not in self._latched:
            self._epoll.register(fd, select.EPOLLIN)
            self._epoll.register(leg.sockets.rtcp.fileno(), select.EPOLLIN)
            self._open[fd] = leg
            self._rtcp[leg.sockets.rtcp.fileno()] = leg
        self._update_sender(leg)

    def unlatch(self, leg: Leg) -> None:
        """The stream was negotiated anew: send to the new address, and hear every source again."""
        self._unlock(leg)
        leg.latched = None
        leg.moves = 1

    def look_around(self, leg: Leg) -> None:
        """The leg's source has fallen silent: hear others as well, and go on sending to it."""
        if leg.locked and leg.moves > 0:
            self._unlock(leg)
            self._update_sender(leg)

    def _unlock(self, leg: Leg) -> None:
        leg.probation.clear()
        if leg.locked:
            disconnect(leg.sockets.rtp)
            leg.locked = False
            fd = leg.sockets.rtp.fileno()
            del self._latched[fd]
            self._open[fd] = leg

    def drop(self, leg: Leg) -> None:
        """Forget a leg whose sockets are about to be closed."""
        fd = leg.sockets.rtp.fileno()
        if self._open.pop(fd, None) is not None or self._latched.pop(fd, None) is not None:
            self._epoll.unregister(fd)
        if self._rtcp.pop(leg.sockets.rtcp.fileno(), None) is not None:
            self._epoll.unregister(leg.sockets.rtcp.fileno())
        self._senders.pop(leg.row, None)
        self.changed = True

    def senders(self, rows: Iterable[int]) -> list[Callable[[Packet], int]]:
        """How each of the rows sends; one that has nobody to send to drops its packets."""
        return [self._senders.get(row, len) for row in rows]

    def read(self) -> tuple[Batch | None, list[Batch], list[tuple[Leg, bytes]], bool]:
        """Read at most one datagram per socket.

        Returns a batch with one packet for each leg that got any, further batches with what else waited on legs that
        latched just now, RTCP packets with their legs, and whether there was anything.
        """
        events = self._epoll.poll(0, BATCH)
        rows: list[int] = []
        lengths: list[int] = []
        waiting: list[list[tuple[int, bytes]]] = []
        reports: list[tuple[Leg, bytes]] = []
        latched, views = self._latched, self._views
        count = 0
        newcomers = _NEWCOMERS
        for fd, _ in events:
            known = latched.get(fd)
            if known is not None:
                try:
                    lengths.append(known[1](views[count]))
                except OSError:
                    # An ICMP error of an earlier packet (the far end's port is closed); RTP loss is counted elsewhere.
                    continue
                rows.append(known[0])
                count += 1
            elif fd in self._open:
                if not newcomers:
                    continue
                newcomers -= 1
                leg = self._open[fd]
                for nth, data in enumerate(self._read_unlatched(leg)):
                    if nth == 0:
                        views[count][: len(data)] = data
                        rows.append(leg.row)
                        lengths.append(len(data))
                        count += 1
                    else:
                        if nth > len(waiting):
                            waiting.append([])
                        waiting[nth - 1].append((leg.row, data))
            elif fd in self._rtcp:
                reports.extend(self._read_rtcp(self._rtcp[fd]))
        batch = Batch(np.array(rows), self._buffer[:count], np.array(lengths)) if count else None
        return batch, [_together(each) for each in waiting], reports, bool(events)

    def _read_unlatched(self, leg: Leg) -> list[bytes]:
        taken: list[bytes] = []
        # What waited in the socket before it was connected may come from anyone, so it is read here, to its end.
        for _ in range(_BACKLOG):
            try:
                data, source = leg.sockets.rtp.recvfrom(_DATAGRAM_BYTES)
            except OSError:
                break
            if not leg.locked:
                packet = self._accepted(leg, data)
                if packet is not None and leg.probation.passes(source[:2], packet, (leg.latched, leg.remote)):
                    self._latch(leg, source)
            if leg.locked and source[:2] == leg.latched:
                taken.append(data)
            else:
                leg.stray += 1
        return taken

    def _latch(self, leg: Leg, source: tuple[str, int]) -> None:
        rtp_socket = leg.sockets.rtp
        rtp_socket.connect(source)
        if leg.latched is not None and leg.latched != source[:2]:
            leg.moves -= 1
        leg.latched = source[:2]
        leg.locked = True
        fd = rtp_socket.fileno()
        del self._open[fd]
        self._latched[fd] = (leg.row, rtp_socket.recv_into)
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
        sender = leg.sender()
        if sender is None:
            self._senders.pop(leg.row, None)
        else:
            self._senders[leg.row] = sender
        self.changed = True


def _together(datagrams: list[tuple[int, bytes]]) -> Batch:
    """One batch of datagrams of different legs."""
    lengths = [len(data) for _, data in datagrams]
    width = max(*lengths, rtp.HEADER_BYTES)
    packets = np.frombuffer(b"".join(data.ljust(width, b"\0") for _, data in datagrams), np.uint8)
    return Batch(np.array([row for row, _ in datagrams]), packets.reshape(-1, width), np.array(lengths))


def send_quietly(sock: socket.socket, data: bytes, target: tuple[str, int]) -> None:
    """Send one datagram; a full buffer or an unreachable peer loses it, as the network may."""
    try:
        sock.sendto(data, target)
    except OSError:
        return
