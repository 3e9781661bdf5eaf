"""Codecs, the arena and the order of received sound, against simple models."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from callwright.media import g711, rtp
from callwright.media.arena import Arena, Run
from callwright.media.codec import Coding
from callwright.media.g711 import Law
from callwright.media.jitter import DELAY_FRAMES
from callwright.media.reception import Reception

SAMPLES = st.integers(-32768, 32767)


@given(st.lists(SAMPLES, min_size=1, max_size=200), st.sampled_from(Law))
def test_coding_twice_is_coding_once(samples: list[int], law: Law) -> None:
    once = g711.decode(g711.encode(np.array(samples, np.int16), law), law)
    assert np.array_equal(g711.decode(g711.encode(once, law), law), once)


@given(SAMPLES, st.sampled_from(Law))
def test_negative_sound_mirrors_positive_sound(sample: int, law: Law) -> None:
    pair = np.array([sample, ~sample], np.int16)
    one, other = g711.decode(g711.encode(pair, law), law).tolist()
    assert one == -other


@given(st.lists(st.one_of(st.integers(1, 12), st.just(0)), max_size=60), st.randoms(use_true_random=False))
def test_the_arena_never_gives_a_row_twice_and_loses_none(sizes: list[int], chance: random.Random) -> None:
    arena = Arena(30)
    held: list[tuple[Run, int]] = []
    for mark, size in enumerate(sizes):
        if size == 0 and held:
            run, _ = held.pop(chance.randrange(len(held)))
            arena.release(run)
        elif size:
            octet = mark % 250
            run_or_none = arena.store(np.full((size, 160), octet, np.uint8))
            if run_or_none is not None:
                held.append((run_or_none, octet))
        rows = [row for run, _ in held for row in range(run.start, run.start + run.frames)]
        assert len(rows) == len(set(rows))
        assert arena.free_rows == 30 - len(rows)
        for run, octet in held:
            assert (arena.frames[run.start : run.start + run.frames] == octet).all()
    for run, _ in held:
        arena.release(run)
    assert arena.store(np.zeros((30, 160), np.uint8)) is not None


@given(
    count=st.integers(1, 25),
    start=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 2**16 - 1),
    chance=st.randoms(use_true_random=False),
    loss=st.floats(0, 0.5),
)
def test_received_frames_are_read_in_order_whatever_is_lost_between_them(
    count: int, start: int, sequence: int, chance: random.Random, loss: float
) -> None:
    reception = Reception(1)
    reception.attach(0)
    reception.set_stream(0, coding=Coding.ALAW, payload_type=8, event_types=())
    reception.listen(0, True)
    row = np.array([0])
    lost = {number for number in range(1, count) if chance.random() < loss}
    arrivals = [0, *sorted(set(range(1, count)) - lost, key=lambda number: number + chance.uniform(0, 1.9))]
    arrivals += [number for number in arrivals if chance.random() < 0.2]
    for number in arrivals:
        packet = rtp.build(
            rtp.Packet(
                payload_type=8,
                sequence=(sequence + number) & 0xFFFF,
                timestamp=(start + 160 * number) & 0xFFFFFFFF,
                ssrc=1,
                payload=bytes([number + 1]) * 160,
            )
        )
        reception.receive(row, np.frombuffer(packet, np.uint8).reshape(1, -1), np.array([len(packet)]), 0.0)
    # One sample of each frame, behind the part in which sound that comes back is blended in.
    read = [int(reception.frames(row)[0, 100]) for _ in range(DELAY_FRAMES + count)]
    assert read[:DELAY_FRAMES] == [0] * DELAY_FRAMES
    for number, sample in enumerate(read[DELAY_FRAMES:]):
        assert number in lost or sample == int(g711.DECODE[Law.ALAW, number + 1])
    assert reception.counts(0).received == len(arrivals)
