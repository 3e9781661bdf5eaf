"""Keys over a bad network: each one is reported exactly once, whatever is lost, doubled or swapped."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from callwright.media.dtmf import KEYS, EventPacket, KeyDown, KeyPress, KeyReceiver, KeySender

TICK_S = 0.02


def sent(keys: str, first_timestamp: int) -> list[tuple[int, EventPacket]]:
    sender = KeySender()
    sender.press(keys)
    packets = []
    tick = 0
    while sender.busy:
        if (packet := sender.tick((first_timestamp + 160 * tick) & 0xFFFFFFFF)) is not None:
            packets.append((tick, packet))
        tick += 1
    return packets


@given(
    keys=st.text(KEYS, min_size=1, max_size=8),
    timestamp=st.integers(0, 2**32 - 1),
    chance=st.randoms(use_true_random=False),
    loss=st.floats(0, 0.9),
    doubling=st.floats(0, 0.5),
    delay=st.integers(0, 3),
)
def test_a_key_of_which_anything_arrives_is_reported_once_in_order(
    keys: str, timestamp: int, chance: random.Random, loss: float, doubling: float, delay: int
) -> None:
    arrivals: list[tuple[float, EventPacket]] = []
    # At least one packet of each key gets through: what is not heard at all cannot be reported.
    by_key: dict[int, list[tuple[int, EventPacket]]] = {}
    for tick, packet in sent(keys, timestamp):
        by_key.setdefault(packet.timestamp, []).append((tick, packet))
    for packets in by_key.values():
        kept = [each for each in packets if chance.random() >= loss] or [chance.choice(packets)]
        for tick, packet in kept:
            for _ in range(2 if chance.random() < doubling else 1):
                # Late by less than the pause between two keys.
                arrivals.append((tick + chance.uniform(0, delay), packet))
    arrivals.sort(key=lambda arrival: arrival[0])
    receiver = KeyReceiver()
    told: list[KeyDown | KeyPress] = []
    for at, packet in arrivals:
        receiver.wake(at * TICK_S)
        receiver.receive(packet.payload, packet.timestamp, at * TICK_S)
        told += receiver.take_events()
    receiver.wake(arrivals[-1][0] * TICK_S + 1.0)
    told += receiver.take_events()
    assert "".join(event.key for event in told if isinstance(event, KeyPress)) == keys
    # Each key goes down before it is let go, and before the next one does.
    assert [type(event) for event in told] == [KeyDown, KeyPress] * len(keys)
    assert receiver.wake_at() is None


@given(
    packets=st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 2**32 - 1), st.floats(0, 10)), max_size=40),
)
def test_any_packets_at_all_are_survived_and_every_press_ends(packets: list[tuple[bytes, int, float]]) -> None:
    receiver = KeyReceiver()
    for payload, timestamp, now in packets:
        receiver.receive(payload, timestamp, now)
        receiver.wake(now)
    receiver.finish()
    assert len(receiver.take_presses()) <= len(packets)
    assert receiver.wake_at() is None
