"""One RTP socket: bound to an even port of a range, read from the event loop."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from callwright.values.errors import OutsideError

_MAX_DATAGRAM = 2048
_TRIES_WITHOUT_RANGE = 50


class NoFreePort(OutsideError):
    """Every RTP port of the range is taken: end calls or give a wider `--rtp-range`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRange:
    """Even ports from `low` to `high`; (0, 0) lets the system choose."""

    low: int = 0
    high: int = 0

    @property
    def ports(self) -> range:
        return range(self.low + self.low % 2, self.high + 1, 2)


class RtpPorts:
    """Opens RTP sockets on one address, each on the next port of the range, so that late packets meet nobody new."""

    def __init__(self, host: str, ports: PortRange) -> None:
        self._host = host
        self._ports = ports
        self._next = itertools.cycle(ports.ports or (0,))

    def open(self, on_packet: Callable[[bytes], None]) -> RtpPort:
        """Open a socket; `on_packet` gets each datagram. Raise `NoFreePort`."""
        for port in self._candidates():
            sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            try:
                sock.bind((self._host, port))
            except OSError:
                sock.close()
                continue
            if sock.getsockname()[1] % 2:
                # RTP takes an even port, RTCP the odd one above it (RFC 3550, section 11).
                sock.close()
                continue
            return RtpPort(sock, self._host, on_packet)
        raise NoFreePort(f"no free RTP port on {self._host} in {self._ports.low}-{self._ports.high}")

    def _candidates(self) -> Iterator[int]:
        tries = len(self._ports.ports) if self._ports.high else _TRIES_WITHOUT_RANGE
        return itertools.islice(self._next, tries)


class RtpPort:
    """An open socket. It must be closed by its owner."""

    def __init__(self, sock: socket.socket, host: str, on_packet: Callable[[bytes], None]) -> None:
        self._sock = sock
        self._on_packet = on_packet
        self._loop = asyncio.get_running_loop()
        self.host = host
        self.port: int = sock.getsockname()[1]
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, packet: bytes, to: tuple[str, int]) -> None:
        """Send one packet; one that cannot leave now is lost, as on any network."""
        try:
            self._sock.sendto(packet, to)
        except OSError:
            return

    def close(self) -> None:
        """Close the socket; closing it again changes nothing."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _readable(self) -> None:
        while self._sock.fileno() >= 0:
            try:
                packet = self._sock.recv(_MAX_DATAGRAM)
            except OSError:
                return  # nothing more to read, or an ICMP error for something sent earlier
            self._on_packet(packet)
