from __future__ import annotations

import numpy as np

from callwright.media import g711
from callwright.media.g711 import Law, Pcm
from callwright.media.rtp import Packet
from callwright.sandbox.heard import LONGEST_S, HeardSound, PacketCount

FRAME = 160


def packet(number: int, level: int = 1000, *, timestamp: int | None = None, ssrc: int = 1) -> Packet:
    """Packet `number` of a stream of constant samples, beginning just before both counters wrap."""
    return Packet(
        payload_type=8,
        sequence=(65_530 + number) & 0xFFFF,
        timestamp=(4_294_967_000 + number * FRAME) & 0xFFFFFFFF if timestamp is None else timestamp,
        ssrc=ssrc,
        payload=g711.encode(np.full(FRAME, level, np.int16), Law.ALAW).tobytes(),
    )


def samples(heard: HeardSound) -> Pcm:
    return np.frombuffer(heard.pcm_bytes(), "<i2").astype(np.int16)


def loud_frames(heard: HeardSound) -> list[bool]:
    return [bool(np.any(frame)) for frame in samples(heard).reshape(-1, FRAME)]


def test_sound_lies_where_its_timestamp_says_and_gaps_are_silence() -> None:
    heard = HeardSound()
    for number in (0, 1, 4, 2):
        heard.add(packet(number), Law.ALAW, 50.0 + number * 0.02)

    assert loud_frames(heard) == [True, True, True, False, True]
    assert heard.first_at == 50.0
    assert heard.seconds == 0.1


def test_a_packet_that_comes_twice_is_there_once() -> None:
    heard = HeardSound()
    for number in (0, 1, 1, 2):
        heard.add(packet(number), Law.ALAW, 50.0 + number * 0.02)

    assert len(samples(heard)) == 3 * FRAME


def test_a_stream_that_starts_anew_goes_on_where_it_arrived() -> None:
    heard = HeardSound()
    heard.add(packet(0), Law.ALAW, 50.0)
    heard.add(packet(1, timestamp=77, ssrc=2), Law.ALAW, 50.1)
    heard.add(packet(2, timestamp=77 + FRAME, ssrc=2), Law.ALAW, 50.12)

    assert loud_frames(heard) == [True, False, False, False, False, True, True]


def test_a_jump_of_the_timestamps_does_not_move_the_sound() -> None:
    heard = HeardSound()
    heard.add(packet(0, timestamp=1000), Law.ALAW, 50.0)
    heard.add(packet(1, timestamp=900_000_000), Law.ALAW, 50.02)
    heard.add(packet(2, timestamp=900_000_160), Law.ALAW, 50.04)

    assert loud_frames(heard) == [True, True, True]


def test_a_pause_without_packets_keeps_the_time() -> None:
    heard = HeardSound()
    heard.add(packet(0), Law.ALAW, 50.0)
    heard.add(packet(500), Law.ALAW, 60.0)

    assert heard.seconds == 10.02


def test_a_forgotten_call_does_not_fill_the_memory() -> None:
    heard = HeardSound()
    heard.add(packet(0), Law.ALAW, 0.0)
    heard.add(packet(50 * LONGEST_S + 1), Law.ALAW, LONGEST_S + 0.02)

    assert heard.seconds == 0.02


def count(numbers: list[int]) -> PacketCount:
    counted = PacketCount()
    for number in numbers:
        counted.add(packet(number))
    return counted


def test_packets_in_order_are_only_received() -> None:
    assert count(list(range(100))).facts() == {"received": 100, "lost": 0, "out_of_order": 0, "duplicates": 0}


def test_what_never_came_is_lost() -> None:
    assert count([0, 1, 4, 5]).facts() == {"received": 4, "lost": 2, "out_of_order": 0, "duplicates": 0}


def test_what_came_late_is_out_of_order_and_not_lost() -> None:
    assert count([0, 1, 3, 2, 4]).facts() == {"received": 5, "lost": 0, "out_of_order": 1, "duplicates": 0}


def test_what_came_twice_is_a_duplicate() -> None:
    assert count([0, 1, 1, 2]).facts() == {"received": 4, "lost": 0, "out_of_order": 0, "duplicates": 1}


def test_a_late_first_packet_is_not_a_loss() -> None:
    assert count([1, 0, 2]).facts() == {"received": 3, "lost": 0, "out_of_order": 1, "duplicates": 0}


def test_losses_of_an_earlier_stream_are_kept() -> None:
    counted = count([0, 1, 4])
    counted.add(packet(9000, ssrc=2))
    counted.add(packet(9002, ssrc=2))

    assert counted.facts() == {"received": 5, "lost": 3, "out_of_order": 0, "duplicates": 0}


def test_nothing_received_is_nothing_lost() -> None:
    assert PacketCount().facts() == {"received": 0, "lost": 0, "out_of_order": 0, "duplicates": 0}
