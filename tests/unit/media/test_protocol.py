"""The wire between node and worker."""

from __future__ import annotations

import pytest

from callwright.media import protocol as wire
from callwright.media.sounds import Keys, Silence, SoundFile, Tone
from callwright.values.errors import InternalError

COMMANDS: list[wire.Command] = [
    wire.Configure(host="127.0.0.1", first_port=2, end_port=4, no_rtp_s=10.0),
    wire.OpenLeg(leg=1),
    wire.ConnectLeg(
        leg=1, host="127.0.0.1", port=9, coding="PCMA", payload=8, dtmf_payload=None, send=True, receive=False
    ),
    wire.Play(leg=1, playback=2, sounds=[SoundFile("a.wav"), Keys("1"), Silence(20), Tone((400.0, 450.0), 100)]),
    wire.CloseLeg(leg=1),
]
REPORTS: list[wire.Report] = [
    wire.Ready(legs=3),
    wire.KeyHeard(leg=1, key="#", duration_ms=100, at=1.5),
    wire.LegClosed(leg=1, stats=wire.LegStats(packets_sent=5, round_trip_ms=None)),
]


def test_messages_arrive_as_they_were_sent() -> None:
    frames = wire.Frames()
    bodies = frames.feed(wire.pack(COMMANDS) + wire.pack(COMMANDS[:1]))
    assert [wire.read_commands(body) for body in bodies] == [COMMANDS, COMMANDS[:1]]
    assert [wire.read_reports(body) for body in frames.feed(wire.pack(REPORTS))] == [REPORTS]


def test_frames_may_come_octet_by_octet() -> None:
    frames = wire.Frames()
    bodies = [body for octet in wire.pack(REPORTS) for body in frames.feed(bytes([octet]))]
    assert [wire.read_reports(body) for body in bodies] == [REPORTS]


def test_an_absurd_length_is_our_own_fault() -> None:
    with pytest.raises(InternalError, match="out of step"):
        wire.Frames().feed(b"\xff\xff\xff\xff")


def test_statistics_as_facts_leave_out_what_is_not_known() -> None:
    facts = wire.LegStats(packets_sent=5, jitter_ms=0.5, remote_host="192.0.2.1").as_facts()
    assert facts["packets_sent"] == 5.0
    assert facts["jitter_ms"] == 0.5
    assert "round_trip_ms" not in facts
    assert "remote_host" not in facts
