"""A far end for RTP tests: one UDP socket on the loopback address that keeps every packet and sends what it is told.

It is built on the standard library alone, so that it does not share mistakes with the code under test.
"""

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import soundfile

DEADLINE_S = 20.0
FRAME = 160
_UNHEARD_S = 0.005
KEYS = "0123456789*#ABCD"


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet as it came."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    source: tuple[str, int]


def rtp(payload_type: int, sequence: int, timestamp: int, payload: bytes, *, ssrc: int, marker: bool = False) -> bytes:
    """One RTP packet (RFC 3550, 5.1)."""
    kind = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHII", 0x80, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def companded(pcm: npt.NDArray[np.int16], payload_type: int) -> bytes:
    """Samples as G.711 octets, made by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, pcm, 8000, format="RAW", subtype="ALAW" if payload_type == 8 else "ULAW")
    return file.getvalue()


def expanded(octets: bytes, payload_type: int) -> npt.NDArray[np.int16]:
    """G.711 octets as samples, read by libsndfile."""
    if not octets:
        return np.zeros(0, np.int16)
    samples, _ = soundfile.read(
        io.BytesIO(octets),
        dtype="int16",
        samplerate=8000,
        channels=1,
        format="RAW",
        subtype="ALAW" if payload_type == 8 else "ULAW",
    )
    return np.asarray(samples, np.int16)


@dataclass(eq=False)
class RtpPeer(asyncio.DatagramProtocol):
    """The far end of one leg. `target` is where it sends to, `stuttered_ms` by how much it fell behind while it spoke,
    as on a busy machine: so much longer, or shorter, what it said may be heard.
    """

    payload_type: int = 8
    target: tuple[str, int] = ("127.0.0.1", 9)
    heard: list[Heard] = field(default_factory=list)
    ssrc: int = 0x1234ABCD
    sequence: int = 65_530
    timestamp: int = 2**32 - 4_000
    stuttered_ms: float = 0.0

    @classmethod
    async def open(cls, payload_type: int = 8, *, host: str = "127.0.0.1") -> RtpPeer:
        peer = cls(payload_type=payload_type)
        loop = asyncio.get_running_loop()
        peer._transport, _ = await loop.create_datagram_endpoint(lambda: peer, local_addr=(host, 0))
        return peer

    def __post_init__(self) -> None:
        self._transport: asyncio.DatagramTransport
        self._arrived = asyncio.Event()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) < 12 or data[0] >> 6 != 2:
            return
        _, kind, sequence, timestamp, ssrc = struct.unpack("!BBHII", data[:12])
        self.heard.append(Heard(kind & 0x7F, kind > 0x7F, sequence, timestamp, ssrc, data[12:], addr))
        self._arrived.set()

    def send(self, data: bytes) -> None:
        self._transport.sendto(data, self.target)

    def send_sound(self, payload: bytes, *, marker: bool = False) -> None:
        """One packet of sound; its timestamp goes on by its length."""
        self.send(rtp(self.payload_type, self.sequence, self.timestamp, payload, ssrc=self.ssrc, marker=marker))
        self.sequence += 1
        self.timestamp += len(payload)

    async def speak(self, pcm: npt.NDArray[np.int16]) -> None:
        """Send sound in its own time, 20 ms a packet."""
        octets = companded(pcm, self.payload_type)
        due = asyncio.get_running_loop().time()
        late_before = 0.0
        for start in range(0, len(octets) - FRAME + 1, FRAME):
            self.send_sound(octets[start : start + FRAME])
            late = asyncio.get_running_loop().time() - due
            if late - late_before > _UNHEARD_S:
                self.stuttered_ms += (late - late_before) * 1000
            late_before = late
            due += 0.02
            await asyncio.sleep(due - asyncio.get_running_loop().time())

    def press(self, key: str, *, event_type: int = 101, frames: int = 5, ends: int = 3) -> None:
        """Send a whole key at once (RFC 4733): the network may bunch packets."""
        for frame in range(frames + ends - 1):
            ended = frame >= frames - 1
            duration = min(frame + 1, frames) * FRAME
            event = struct.pack("!BBH", KEYS.index(key), 10 | (0x80 if ended and ends else 0), duration)
            self.send(rtp(event_type, self.sequence, self.timestamp, event, ssrc=self.ssrc, marker=frame == 0))
            self.sequence += 1
        self.timestamp += (frames + 3) * FRAME

    async def until(self, reached: Callable[[list[Heard]], bool]) -> None:
        """Wait until what was heard fulfils a condition."""
        async with asyncio.timeout(DEADLINE_S):
            while not reached(self.heard):
                self._arrived.clear()
                await self._arrived.wait()

    def sound(self) -> npt.NDArray[np.int16]:
        """Everything heard, in the order of the timestamps, as samples."""
        packets = [packet for packet in self.heard if packet.payload_type == self.payload_type]
        return expanded(b"".join(packet.payload for packet in packets), self.payload_type)

    def keys(self) -> str:
        """The keys heard: one for each event timestamp."""
        seen: dict[int, str] = {}
        for packet in self.heard:
            if packet.payload_type == 101:
                seen.setdefault(packet.timestamp, KEYS[packet.payload[0]])
        return "".join(seen.values())

    def close(self) -> None:
        self._transport.close()
