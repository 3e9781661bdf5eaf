"""What is made of packets that come late, twice, not at all, in the other law, or from a new source."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from callwright.media import g711, rtp
from callwright.media.codec import FRAME_SAMPLES, Coding
from callwright.media.g711 import Pcm
from callwright.media.jitter import DELAY_FRAMES, RING_FRAMES
from callwright.media.reception import Heard, Reception

ROW = 3


def reception(*, listening: bool = True, event_types: tuple[int, ...] = (101,)) -> Reception:
    made = Reception(6)
    made.attach(ROW)
    made.set_stream(ROW, coding=Coding.ALAW, payload_type=8, event_types=event_types)
    made.listen(ROW, listening)
    return made


def frame(number: int) -> rtp.Packet:
    """Frame `number` of a sound whose samples say which frame they are of."""
    return rtp.Packet(
        payload_type=8,
        sequence=(65530 + number) & 0xFFFF,
        timestamp=(2**32 - 500 + 160 * number) & 0xFFFFFFFF,
        ssrc=77,
        payload=g711.encode(np.full(160, value(number), np.int16), Coding.ALAW).tobytes(),
    )


def value(number: int) -> int:
    exact = 264 + 16 * (number % 500)
    return int(g711.decode(g711.encode(np.array([exact], np.int16), Coding.ALAW), Coding.ALAW)[0])


def feed(made: Reception, packets: Iterable[rtp.Packet], now: float = 0.0) -> list[Heard]:
    return [feed_bytes(made, rtp.build(packet), now) for packet in packets]


def feed_bytes(made: Reception, datagram: bytes, now: float = 0.0) -> Heard:
    row = np.frombuffer(datagram.ljust(200, b"\0"), np.uint8).reshape(1, -1)
    return made.receive(np.array([ROW]), row, np.array([len(datagram)]), now)


def read(made: Reception, frames: int) -> Pcm:
    return np.concatenate([made.frames(np.array([ROW]))[0] for _ in range(frames)])


def values(sound: Pcm) -> list[int]:
    """One sample of each frame, behind the part in which sound that comes back is blended in."""
    return [int(sound[at]) for at in range(100, len(sound), FRAME_SAMPLES)]


@pytest.mark.parametrize(
    "order",
    [[0, 1, 2, 3], [1, 0, 2, 3], [0, 1, 1, 2, 3, 3], [0, 3, 2, 1]],
    ids=["in order", "first two", "doubled", "swapped"],
)
def test_sound_is_put_in_order_behind_a_short_delay(order: list[int]) -> None:
    made = reception()
    feed(made, [frame(number) for number in order])
    read(made, DELAY_FRAMES - (1 if order[0] == 1 else 0))
    assert values(read(made, 4)) == [value(number) for number in range(4)]


def test_a_lost_packet_is_counted_and_made_up_for() -> None:
    made = reception()
    feed(made, [frame(0), frame(2)])
    heard = values(read(made, DELAY_FRAMES + 3))
    assert heard[:4] + heard[5:] == [0, 0, 0, value(0), value(2)]
    assert 0 < heard[4] < value(0)
    counts = made.counts(ROW)
    assert (counts.received, counts.expected, counts.lost) == (2, 3, 1)


def test_packets_may_have_any_length() -> None:
    made = reception()
    whole = np.repeat(np.array([value(0), value(1), value(2)], np.int16), 160)
    at = 0
    for number, length in enumerate((80, 240, 160)):
        payload = g711.encode(whole[at : at + length], Coding.ALAW).tobytes()
        packet = rtp.Packet(payload_type=8, sequence=number, timestamp=at, ssrc=7, payload=payload)
        for index in feed(made, [packet])[0].unusual:
            assert index == 0
            made.receive_unusual(ROW, packet)
        at += length
    read(made, DELAY_FRAMES)
    assert values(read(made, 3)) == [value(0), value(1), value(2)]


def test_headers_with_extensions_are_handed_back() -> None:
    made = reception()
    datagram = bytearray(rtp.build(frame(0)))
    datagram[0] |= 0x10
    datagram[12:12] = b"\xbe\xde\x00\x00"
    heard = feed_bytes(made, bytes(datagram))
    assert (heard.unusual.tolist(), heard.events.tolist()) == ([0], [])


def test_the_other_law_is_understood_at_any_time() -> None:
    made = reception()
    payload = g711.encode(np.full(160, 1000, np.int16), Coding.ULAW).tobytes()
    feed(made, [frame(0), rtp.Packet(payload_type=0, sequence=65531, timestamp=2**32 - 340, ssrc=77, payload=payload)])
    read(made, DELAY_FRAMES + 1)
    assert values(read(made, 1)) == [int(g711.decode(np.frombuffer(payload, np.uint8)[:1], Coding.ULAW)[0])]


def test_a_dynamic_payload_type_means_what_was_agreed() -> None:
    made = reception()
    made.set_stream(ROW, coding=Coding.ULAW, payload_type=98, event_types=())
    payload = g711.encode(np.full(160, 1000, np.int16), Coding.ULAW).tobytes()
    feed(made, [rtp.Packet(payload_type=98, sequence=1, timestamp=0, ssrc=77, payload=payload)])
    assert values(read(made, DELAY_FRAMES + 1))[-1] == pytest.approx(1000, abs=20)


def test_events_are_pointed_out_and_strange_payloads_only_counted() -> None:
    made = reception(event_types=(96, 101))
    kinds = [96, 101, 14, 50, 8]
    heard = feed(
        made, [rtp.Packet(payload_type=kind, sequence=1, timestamp=0, ssrc=7, payload=b"1234") for kind in kinds]
    )
    assert [each.events.tolist() for each in heard] == [[0], [0], [], [], []]
    feed_bytes(made, b"junk")
    counts = made.counts(ROW)
    assert (counts.received, counts.ignored) == (3, 3)
    assert made.understands(ROW, 0)
    assert made.understands(ROW, 96)
    assert not made.understands(ROW, 50)


def test_a_row_nobody_listens_to_is_counted_but_not_kept() -> None:
    made = reception(listening=False)
    heard = feed(made, [frame(0), frame(1)])
    assert all(not len(each.unusual) for each in heard)
    made.listen(ROW, True)
    assert not read(made, 6).any()
    assert made.counts(ROW).received == 2


def test_a_far_end_that_restarts_is_followed_and_its_losses_stay_counted() -> None:
    made = reception()
    feed(made, [frame(0), frame(2)])
    restarted = [
        rtp.Packet(payload_type=8, sequence=sequence, timestamp=5_000_000, ssrc=99, payload=frame(9).payload)
        for sequence in (100, 102)
    ]
    feed(made, restarted)
    counts = made.counts(ROW)
    assert (counts.ssrc, counts.received, counts.expected, counts.lost) == (99, 4, 6, 2)
    assert values(read(made, DELAY_FRAMES + 1))[-1] == value(9)


def test_sequence_numbers_are_extended_over_their_wheel() -> None:
    made = reception()
    feed(made, [frame(number) for number in range(10)])
    assert made.counts(ROW).highest == 65530 + 9
    assert made.counts(ROW).lost == 0


def test_jitter_is_that_of_the_rfc() -> None:
    made = reception()
    jitter, last = 0.0, None
    for number, arrival in enumerate((0.0, 0.02, 0.07, 0.06, 0.1)):
        feed(made, [frame(number)], now=100 + arrival)
        transit = arrival * 8000 - 160 * number
        if last is not None:
            jitter += (abs(transit - last) - jitter) / 16
        last = transit
    assert made.counts(ROW).jitter_samples == pytest.approx(jitter, abs=1e-3)


def test_first_and_last_arrival_are_kept() -> None:
    made = reception()
    assert made.counts(ROW).first_at is None
    feed(made, [frame(0)], now=5.0)
    feed(made, [frame(1)], now=7.0)
    assert (made.counts(ROW).first_at, made.counts(ROW).last_at) == (5.0, 7.0)


def test_after_a_pause_of_the_far_end_its_sound_is_found_again() -> None:
    made = reception()
    feed(made, [frame(0)])
    read(made, 40)
    for number in range(1, 6):
        feed(made, [frame(number)])
    heard = values(read(made, DELAY_FRAMES + 5))[DELAY_FRAMES:]
    assert heard == [value(number) for number in range(1, 6)]


def test_a_leap_of_the_timestamp_is_followed() -> None:
    made = reception()
    feed(made, [frame(0), frame(RING_FRAMES * 3), frame(RING_FRAMES * 3 + 1)])
    heard = values(read(made, DELAY_FRAMES + 2))[DELAY_FRAMES:]
    assert heard == [value(RING_FRAMES * 3), value(RING_FRAMES * 3 + 1)]


@pytest.mark.parametrize("samples", [80, 240, 320, 480], ids=["10 ms", "30 ms", "40 ms", "60 ms"])
def test_packets_of_other_lengths_are_taken_many_at_a_time(samples: int) -> None:
    made = reception()
    whole = np.repeat(np.array([value(number) for number in range(12)], np.int16), 160)
    for number in range(len(whole) // samples):
        payload = g711.encode(whole[number * samples : (number + 1) * samples], Coding.ALAW).tobytes()
        packet = rtp.Packet(payload_type=8, sequence=number, timestamp=number * samples, ssrc=7, payload=payload)
        assert not len(feed(made, [packet])[0].unusual)
    assert values(read(made, DELAY_FRAMES + 12))[DELAY_FRAMES:] == [value(number) for number in range(12)]


def test_a_far_end_that_pauses_may_say_how_its_silence_sounds() -> None:
    made = reception()
    feed(made, [frame(0)])
    pause = rtp.Packet(payload_type=13, sequence=65531, timestamp=2**32 - 340, ssrc=77, payload=bytes((55,)))
    (heard,) = feed(made, [pause])
    assert (heard.unusual.tolist(), made.counts(ROW).ignored) == ([0], 0)
    made.receive_unusual(ROW, pause)
    sound = read(made, 60)[-40 * FRAME_SAMPLES :].astype(float)
    assert 10 * np.log10((sound**2).mean() / 32768**2) == pytest.approx(-55, abs=1)


def test_a_row_given_to_a_new_leg_starts_from_nothing() -> None:
    made = reception()
    feed(made, [frame(0), frame(2)], now=9.0)
    made.attach(ROW)
    counts = made.counts(ROW)
    assert (counts.received, counts.expected, counts.ignored, counts.first_at) == (0, 0, 0, None)
    made.listen(ROW, True)
    assert not read(made, RING_FRAMES).any()
