"""How packets are moved: one datagram from every ready socket, one packet to every leg.

There are two ways: Python's own sockets, and the C helper, which does the same in one call each way without the
interpreter's lock and knows when the kernel took each datagram. Both are tested by the same tests.
"""

from __future__ import annotations

import ctypes
import select
import socket
import sys
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from callwright.media import rtp
from callwright.media.helper import HELPER, address

BATCH = 2048
DATAGRAM_BYTES = 1536
_MOST_SOCKETS = 65_536
_ADDRESS_BYTES = 32
_INET, _INET6 = (family.to_bytes(2, sys.byteorder) for family in (socket.AF_INET, socket.AF_INET6))

Packet = memoryview | bytes
Target = tuple[str, int]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Taken:
    """What one look at the sockets brought: so many datagrams at the beginning of the loops' arrays, and ready
    descriptors that are not latched.
    """

    count: int
    others: list[int]


class Loops(Protocol):
    """One way of moving packets. Rows are the legs'. What a look brings lies in the arrays until the next one; who
    reads a socket by himself may add some behind it.
    """

    buffer: rtp.U8
    rows: rtp.Ints
    lengths: rtp.Ints
    stamps: Floats
    """Arrival times in epoch seconds, 0 for an unknown one."""

    def latch(self, row: int, sock: socket.socket) -> None:
        """Read this socket, which hears its one source only, at every look."""

    def unlatch(self, sock: socket.socket) -> None:
        """Leave this socket to others again."""

    def aim(self, row: int, sock: socket.socket, target: Target | None) -> None:
        """Send a row's packets from this socket: to a target, or, None, to what the socket is connected to."""

    def forget(self, row: int) -> None:
        """Nobody is to get a row's packets any more."""

    def look(self, epoll: select.epoll) -> Taken:
        """Take one datagram from every latched socket that has one."""

    def send(self, rows: rtp.Ints, packets: rtp.U8, lengths: npt.NDArray[np.int32]) -> None:
        """Send the i-th packet to the leg of the i-th row; a length of 0 leaves it out."""

    def send_one(self, row: int, packet: bytes) -> None:
        """Send a packet that is not in the matrix."""


class _Arrays:
    """What datagrams are read into."""

    def __init__(self) -> None:
        self.buffer: rtp.U8 = np.zeros((BATCH, DATAGRAM_BYTES), np.uint8)
        self.rows: rtp.Ints = np.zeros(BATCH, np.int64)
        self.lengths: rtp.Ints = np.zeros(BATCH, np.int64)
        self.stamps: Floats = np.zeros(BATCH, np.float64)


class PythonLoops(_Arrays):
    """With Python's sockets."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._views = [memoryview(row) for row in self.buffer]
        self._latched: dict[int, tuple[int, socket.socket]] = {}
        self._senders: list[tuple[socket.socket, Target | None] | None] = [None] * capacity

    def latch(self, row: int, sock: socket.socket) -> None:
        self._latched[sock.fileno()] = (row, sock)

    def unlatch(self, sock: socket.socket) -> None:
        self._latched.pop(sock.fileno(), None)

    def aim(self, row: int, sock: socket.socket, target: Target | None) -> None:
        self._senders[row] = (sock, target)

    def forget(self, row: int) -> None:
        self._senders[row] = None

    def look(self, epoll: select.epoll) -> Taken:
        events = epoll.poll(0, BATCH)
        rows: list[int] = []
        lengths: list[int] = []
        others: list[int] = []
        latched, views = self._latched, self._views
        for fd, _ in events:
            known = latched.get(fd)
            if known is None:
                others.append(fd)
                continue
            try:
                lengths.append(known[1].recv_into(views[len(rows)]))
            except OSError:
                # An ICMP error of an earlier packet (the far end's port is closed); RTP loss is counted elsewhere.
                continue
            rows.append(known[0])
        count = len(rows)
        self.rows[:count], self.lengths[:count], self.stamps[:count] = rows, lengths, 0.0
        return Taken(count, others)

    def send(self, rows: rtp.Ints, packets: rtp.U8, lengths: npt.NDArray[np.int32]) -> None:
        # One copy for all: slicing an array for each packet would take longer than sending it.
        octets, stride = memoryview(packets.tobytes()), packets.shape[1]
        for index, (row, length) in enumerate(zip(rows.tolist(), lengths.tolist(), strict=True)):
            if length:
                self.send_one(row, octets[index * stride : index * stride + length])

    def send_one(self, row: int, packet: Packet) -> None:
        sender = self._senders[row]
        if sender is not None:
            _send(*sender, packet)


class HelperLoops(_Arrays):
    """With the C helper (`callwright/media/c/loops.c`)."""

    def __init__(self, library: ctypes.CDLL, capacity: int) -> None:
        super().__init__()
        self._receive, self._send = library.callwright_receive, library.callwright_send
        self._send.restype = None
        self._row_of = np.full(_MOST_SOCKETS, -1, np.int32)
        self._others = np.zeros(BATCH, np.int32)
        self._other_count = ctypes.c_int32()
        self._socket_of = np.full(capacity, -1, np.int32)
        self._addresses = np.zeros((capacity, _ADDRESS_BYTES), np.uint8)
        self._address_bytes = np.zeros(capacity, np.uint8)
        self._senders: dict[int, tuple[socket.socket, Target | None]] = {}
        # Addresses of arrays that live as long as this object does: looking them up takes longer than the call.
        self._receiving = [
            _at(self._row_of),
            _MOST_SOCKETS,
            _at(self.buffer),
            DATAGRAM_BYTES,
            *(_at(array) for array in (self.rows, self.lengths, self.stamps, self._others)),
            BATCH,
            ctypes.byref(self._other_count),
        ]
        self._aimed = [_at(self._socket_of), _at(self._addresses), _at(self._address_bytes)]

    def latch(self, row: int, sock: socket.socket) -> None:
        if sock.fileno() < _MOST_SOCKETS:
            self._row_of[sock.fileno()] = row

    def unlatch(self, sock: socket.socket) -> None:
        if sock.fileno() < _MOST_SOCKETS:
            self._row_of[sock.fileno()] = -1

    def aim(self, row: int, sock: socket.socket, target: Target | None) -> None:
        octets = b"" if target is None else _address(target)
        self._addresses[row, : len(octets)] = np.frombuffer(octets, np.uint8)
        self._address_bytes[row] = len(octets)
        self._socket_of[row] = sock.fileno()
        self._senders[row] = (sock, target)

    def forget(self, row: int) -> None:
        self._socket_of[row] = -1
        self._senders.pop(row, None)

    def look(self, epoll: select.epoll) -> Taken:
        count = self._receive(epoll.fileno(), *self._receiving)
        return Taken(count, self._others[: self._other_count.value].tolist())

    def send(self, rows: rtp.Ints, packets: rtp.U8, lengths: npt.NDArray[np.int32]) -> None:
        self._send(len(rows), _at(rows), _at(packets), packets.shape[1], _at(lengths), *self._aimed)

    def send_one(self, row: int, packet: bytes) -> None:
        sender = self._senders.get(row)
        if sender is not None:
            _send(*sender, packet)


def best(capacity: int) -> Loops:
    """The faster way that works here."""
    return PythonLoops(capacity) if HELPER is None else HelperLoops(HELPER, capacity)


def _send(sock: socket.socket, target: Target | None, packet: Packet) -> None:
    try:
        if target is None:
            sock.send(packet)
        else:
            sock.sendto(packet, target)
    except OSError:
        # A full buffer or an ICMP error of an earlier packet: lost, as any packet may be.
        return


def _at(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(address(array))


def _address(target: Target) -> bytes:
    """The kernel's form of an address (ip(7), ipv6(7))."""
    host, port = target[0].partition("%")[0], target[1].to_bytes(2, "big")
    if ":" in host:
        return _INET6 + port + bytes(4) + socket.inet_pton(socket.AF_INET6, host) + bytes(4)
    return _INET + port + socket.inet_aton(host) + bytes(8)
