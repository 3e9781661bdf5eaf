"""What each row sends in a tick."""

from __future__ import annotations

import numpy as np

from callwright.media import g711, rtp
from callwright.media.arena import Arena
from callwright.media.codec import Coding
from callwright.media.matrix import Playout


def playout() -> tuple[Playout, Arena]:
    arena = Arena(20)
    return Playout(8, arena), arena


def connected(rows: list[int], law: Coding = Coding.ALAW) -> tuple[Playout, Arena]:
    made, arena = playout()
    for row in rows:
        made.attach(row, ssrc=1000 + row, sequence=65534, timestamp=2**32 - 160)
        made.set_stream(row, coding=law, payload_type=8 if law is Coding.ALAW else 0, sending=True)
    return made, arena


def packets(made: Playout) -> list[rtp.Packet]:
    parsed = [rtp.parse(row[:length].tobytes()) for row, length in zip(made.packets, made.lengths, strict=False)]
    return [packet for packet in parsed if packet is not None]


def test_only_connected_rows_send_and_silence_is_sent_when_nothing_plays() -> None:
    made, _ = connected([5, 2])
    made.attach(3, ssrc=1, sequence=0, timestamp=0)
    assert made.tick().tolist() == []
    assert made.rows.tolist() == [2, 5]
    assert [(packet.ssrc, packet.payload) for packet in packets(made)] == [(1002, b"\xd5" * 160), (1005, b"\xd5" * 160)]


def test_sequence_and_timestamp_turn_over_and_only_the_first_packet_is_marked() -> None:
    made, _ = connected([0])
    seen = []
    for _ in range(4):
        made.tick()
        packet = packets(made)[0]
        seen.append((packet.sequence, packet.timestamp, packet.marker))
    assert seen == [(65534, 2**32 - 160, True), (65535, 0, False), (0, 160, False), (1, 320, False)]
    assert made.sent[0] == 4


def test_a_run_is_sent_frame_by_frame_and_reported_with_its_last() -> None:
    made, arena = connected([1])
    run = arena.store(np.arange(3, dtype=np.uint8)[:, None].repeat(160, axis=1))
    assert run is not None
    made.play(1, run.start, run.frames)
    sent, over = [], []
    for _ in range(5):
        over.append(made.tick().tolist())
        sent.append(packets(made)[0].payload[0])
    assert sent == [0, 1, 2, 0xD5, 0xD5]
    assert over == [[], [], [1], [], []]


def test_a_row_at_rest_sends_silence_and_tells_what_was_left() -> None:
    made, arena = connected([1], Coding.ULAW)
    run = arena.store(np.full((4, 160), 9, np.uint8))
    assert run is not None
    made.play(1, run.start, run.frames)
    made.tick()
    assert made.rest(1) == 3
    assert made.tick().tolist() == []
    assert packets(made)[0].payload == b"\xff" * 160


def test_a_wait_is_silence_with_an_end() -> None:
    made, _ = connected([1])
    made.wait(1, 2)
    assert [made.tick().tolist() for _ in range(3)] == [[], [1], []]
    assert packets(made)[0].payload == b"\xd5" * 160


def test_a_row_that_does_not_send_stands_still() -> None:
    made, arena = connected([1])
    run = arena.store(np.full((2, 160), 9, np.uint8))
    assert run is not None
    made.set_stream(1, coding=Coding.ALAW, payload_type=8, sending=False)
    made.play(1, run.start, run.frames)
    assert made.tick().tolist() == []
    made.detach(1)
    made.attach(1, ssrc=7, sequence=0, timestamp=0)
    made.set_stream(1, coding=Coding.ALAW, payload_type=8, sending=True)
    assert made.tick().tolist() == []
    assert packets(made)[0].payload == b"\xd5" * 160


def test_missed_ticks_move_the_timestamps_of_those_who_send() -> None:
    made, _ = connected([1])
    made.attach(2, ssrc=7, sequence=0, timestamp=50)
    made.skip(3)
    assert made.timestamp[:3].tolist() == [0, 320, 50]


def test_what_was_sent_can_be_heard_again() -> None:
    made, arena = connected([2])
    made.attach(4, ssrc=1, sequence=0, timestamp=0)
    made.set_stream(4, coding=Coding.ULAW, payload_type=0, sending=True)
    octets = g711.encode(np.full((1, 160), 1000, np.int16), Coding.ULAW)
    run = arena.store(octets)
    assert run is not None
    made.play(4, run.start, 1)
    made.tick()
    sound = made.sound_sent(np.array([1, 2, 4, 6]))
    assert sound[:, 0].tolist() == [0, 8, int(g711.decode(octets, Coding.ULAW)[0, 0]), 0]


def test_nothing_sent_is_nothing_heard() -> None:
    made, _ = playout()
    assert made.tick().tolist() == []
    assert not made.sound_sent(np.array([0, 3])).any()


def test_what_another_far_end_says_is_sent_where_nothing_is_played() -> None:
    made, arena = connected([1, 2, 5])
    run = arena.store(np.full((1, 160), 9, np.uint8))
    assert run is not None
    made.play(2, run.start, 1)
    made.set_stream(5, coding=Coding.ULAW, payload_type=0, sending=True)
    voices = np.repeat(np.array([[1000], [2000], [3000], [4000]], np.int16), 160, axis=1)
    made.tick()
    made.overlay(np.array([1, 2, 3, 5]), voices)
    alaw, ulaw = (
        int(g711.encode(np.array([value], np.int16), Coding(law))[0]) for value, law in ((1000, 1), (4000, 0))
    )
    assert [set(packet.payload) for packet in packets(made)] == [{alaw}, {9}, {ulaw}]
    made.tick()
    made.overlay(np.array([2]), voices[1:2])
    assert made.sound_sent(np.array([2]))[0, 0] > 1900


def test_nothing_can_be_put_where_nothing_is_sent() -> None:
    made, _ = playout()
    made.tick()
    made.overlay(np.array([0]), np.ones((1, 160), np.int16))
    assert not made.packets[:, rtp.HEADER_BYTES :].any()
