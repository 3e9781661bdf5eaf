"""A capture has the lengths, checksums, addresses and times of the messages; read here byte by byte, and by tshark."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from callwright.trace.message import KeptMessage, Place
from callwright.trace.pcap import capture

OK = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/%s 192.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:c@d>;tag=2\r\nCall-ID: w%d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def kept(
    number: int, *, far: Place, near: Place = ("192.0.2.1", 40_001), by: str = "UDP", sent: bool = True
) -> KeptMessage:
    data = OK % (by.encode(), number)
    return KeptMessage("c", "w", 1_700_000_000.25 + number, sent, by, near, far, data, len(data))


MESSAGES = [
    kept(1, far=("192.0.2.9", 50_060)),
    kept(2, far=("192.0.2.9", 50_060), sent=False),
    kept(3, far=("2001:db8::9", 50_060), near=("2001:db8::1", 40_001)),
    kept(4, far=("192.0.2.9", 50_060), by="TCP"),
    kept(5, far=("192.0.2.9", 50_060), by="TCP"),
    kept(6, far=("192.0.2.9", 50_060), by="TCP", sent=False),
    kept(7, far=("2001:db8::9", 50_061), near=("node.example", 40_001), by="TLS"),
]


def packets(data: bytes) -> list[tuple[float, bytes, int]]:
    assert struct.unpack("<IHHiIII", data[:24]) == (0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
    found, at = [], 24
    while at < len(data):
        seconds, micros, here, whole = struct.unpack("<IIII", data[at : at + 16])
        found.append((seconds + micros / 1e6, data[at + 16 : at + 16 + here], whole))
        at += 16 + here
    assert at == len(data)
    return found


def folded(data: bytes) -> int:
    """The sum that is 0xFFFF over anything with a right checksum in it (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[index : index + 2]) for index in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_lengths_and_checksums_are_right_for_every_framing() -> None:
    for (at, packet, whole), message in zip(packets(b"".join(capture(MESSAGES))), MESSAGES, strict=True):
        assert at == pytest.approx(message.at)
        assert whole == len(packet)
        is_six = ":" in message.far[0]
        assert packet[12:14] == (b"\x86\xdd" if is_six else b"\x08\x00")
        ip = packet[14:]
        if is_six:
            assert ip[0] >> 4 == 6
            length, protocol = struct.unpack(">HB", ip[4:7])
            addresses, segment = ip[8:40], ip[40:]
            assert length == len(segment)
            pseudo = addresses + struct.pack(">II", length, protocol)
        else:
            assert ip[0] == 0x45
            assert int.from_bytes(ip[2:4]) == len(ip)
            assert folded(ip[:20]) == 0xFFFF
            protocol, addresses, segment = ip[9], ip[12:20], ip[20:]
            pseudo = addresses + struct.pack(">HH", protocol, len(segment))
        assert protocol == (17 if message.transport == "UDP" else 6)
        assert folded(pseudo + segment) == 0xFFFF
        ports = struct.unpack(">HH", segment[:4])
        assert ports == ((message.near[1], message.far[1]) if message.sent else (message.far[1], message.near[1]))
        assert segment[8 if protocol == 17 else 20 :] == message.data


def test_tcp_goes_on_where_it_was() -> None:
    tcp = [packet[34:] for _, packet, _ in packets(b"".join(capture(MESSAGES[3:6])))]
    numbers = [struct.unpack(">II", segment[4:12]) for segment in tcp]
    one, two = len(MESSAGES[3].data), len(MESSAGES[4].data)
    assert numbers == [(1, 1), (1 + one, 1), (1, 1 + one + two)]


def test_a_message_that_was_cut_is_a_packet_that_was_cut() -> None:
    data = OK % (b"UDP", 1)
    cut = KeptMessage("c", "w", 1.0, True, "UDP", ("192.0.2.1", 1), ("192.0.2.9", 2), data, len(data) + 1000)
    [(_, packet, whole)] = packets(b"".join(capture([cut])))
    assert whole == len(packet) + 1000
    assert int.from_bytes(packet[16:18]) == 20 + 8 + len(data) + 1000


def test_wireshark_reads_it_without_complaint(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed (Debian: apt-get install tshark): the bytes were read by the other tests")
    file = tmp_path / "calls.pcap"
    file.write_bytes(b"".join(capture(MESSAGES)))
    fields = ["frame.protocols", "sip.Status-Code", "_ws.malformed", "_ws.expert.severity"]
    command = [tshark, "-r", str(file), "-T", "fields", "-E", "separator=;"]
    command += [each for name in fields for each in ("-e", name)]
    for protocol in ("ip", "udp", "tcp"):
        command += ["-o", f"{protocol}.check_checksum:TRUE"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert len(told) == len(MESSAGES)
    for line, message in zip(told, MESSAGES, strict=True):
        protocols, status, malformed, severity = line.split(";")
        assert protocols.endswith(f"{'udp' if message.transport == 'UDP' else 'tcp'}:sip"), line
        assert status == "200"
        assert malformed == ""
        assert int(severity or "0", 0) < 0x00600000, f"a warning or an error: {line}"
