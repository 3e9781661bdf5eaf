"""The C helper takes long, troubled streams exactly as the Python code does."""

from __future__ import annotations

import numpy as np
import pytest

from callwright.media.codec import Coding
from callwright.media.helper import HELPER
from callwright.media.reception import Reception

ROWS = 8
EVENTS = 101

pytestmark = pytest.mark.skipif(HELPER is None, reason="the C helper is not there")


@pytest.mark.parametrize("seed", range(2))
def test_counts_and_sound_are_the_same_on_lines_of_every_kind(seed: int) -> None:
    chance = np.random.default_rng(seed)
    both = [Reception(ROWS, None), Reception(ROWS, HELPER)]
    for reception in both:
        for row in range(ROWS):
            reception.attach(row)
            coding = Coding.ALAW if row % 2 else Coding.ULAW
            reception.set_stream(row, coding=coding, payload_type=int(coding) * 8, event_types=(EVENTS,))
            reception.listen(row, row < ROWS - 1)
    # How much each line delays, loses and disturbs; the first is steady and early, so that it is read closer.
    lateness = np.array([0.0, 0.0, 0.02, 0.05, 0.1, 0.3, 0.05, 0.05])
    sequence, timestamp = np.full(ROWS, 65_000), np.full(ROWS, 2**32 - 40_000)
    waiting: list[tuple[float, int, np.ndarray[tuple[int], np.dtype[np.uint8]], int]] = []
    for tick in range(400):
        for row in range(ROWS):
            sequence[row] += 1 + 3500 * (chance.random() < 0.003) - 3500 * (chance.random() < 0.003)
            timestamp[row] += 160 + 40 * int(chance.integers(-12, 13)) * (row > 3 and chance.random() < 0.01)
            packet = chance.integers(0, 256, 400).astype(np.uint8)
            kind = (8, 0, 13, EVENTS)[int(chance.integers(0, 4))] if chance.random() < 0.02 else 8 * (row % 2)
            size = 12 + (160 if chance.random() > 0.02 else int(chance.integers(0, 200)))
            head = b"\x80" + bytes([kind]) + (int(sequence[row]) & 0xFFFF).to_bytes(2, "big")
            head += (int(timestamp[row]) & 0xFFFFFFFF).to_bytes(4, "big")
            packet[:12] = np.frombuffer(head + (7).to_bytes(4, "big"), np.uint8)
            if row < 2 or chance.random() > 0.03:
                waiting.append((tick + chance.exponential(10) * (chance.random() < lateness[row]), row, packet, size))
        due = [each for each in waiting if each[0] <= tick]
        waiting = [each for each in waiting if each[0] > tick]
        while due:
            batch = {each[1]: each for each in reversed(due)}
            due = [each for each in due if batch[each[1]] is not each]
            rows = np.array(list(batch), np.int64)
            packets = np.stack([each[2] for each in batch.values()])
            lengths = np.array([each[3] for each in batch.values()], np.int64)
            at = 100 + 0.02 * tick + chance.uniform(0, 0.005, len(rows))
            told = [reception.receive(rows, packets, lengths, at) for reception in both]
            assert told[0].events.tolist() == told[1].events.tolist()
            assert told[0].unusual.tolist() == told[1].unusual.tolist()
        if tick > 3:
            heard = [reception.frames(np.arange(ROWS - 1)) for reception in both]
            assert np.array_equal(heard[0], heard[1])
    for row in range(ROWS):
        assert both[0].counts(row) == both[1].counts(row)


@pytest.mark.parametrize("first", [8, 0, 13, EVENTS, 77, "short", "extended", "padded", "other version"])
@pytest.mark.parametrize("agreed", [8, EVENTS])
def test_first_packets_of_every_kind_are_taken_the_same(first: int | str, agreed: int) -> None:
    both = [Reception(ROWS, None), Reception(ROWS, HELPER)]
    for reception in both:
        for row in range(ROWS):
            reception.attach(row)
            reception.set_stream(row, coding=Coding.ALAW, payload_type=agreed, event_types=(EVENTS,))
            reception.listen(row, row % 4 == 3)
    heads = {"extended": b"\x90\x08", "padded": b"\xa0\x08", "other version": b"\x40\x08", "short": b"\x80\x08"}
    head = heads[first] if isinstance(first, str) else bytes([0x80, first])
    for number in range(3):
        packets = np.full((ROWS, 172), 0xD5, np.uint8)
        for row in range(ROWS):
            stamp = (2**32 - 100 + 160 * number).to_bytes(5, "big")[1:]
            octets = (65_535 + number & 0xFFFF).to_bytes(2, "big") + stamp + (2**31 + row).to_bytes(4, "big")
            packets[row, :12] = np.frombuffer((head if number == 0 else b"\x80\x08") + octets, np.uint8)
        length = 11 if first == "short" and number == 0 else 172
        at = np.linspace(5.0, 5.001, ROWS) + 0.02 * number
        told = [reception.receive(np.arange(ROWS), packets, np.full(ROWS, length), at) for reception in both]
        assert told[0].events.tolist() == told[1].events.tolist()
        assert told[0].unusual.tolist() == told[1].unusual.tolist()
    for row in range(ROWS):
        assert both[0].counts(row) == both[1].counts(row)
