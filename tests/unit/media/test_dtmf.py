"""Keys as RTP events: what is sent, and what is made of what arrives."""

from __future__ import annotations

import pytest

from callwright.media.dtmf import (
    LOST_END_S,
    EventPacket,
    KeyDown,
    KeyPress,
    KeyReceiver,
    KeySender,
    event_payload,
    is_key,
)


def sent(sender: KeySender, ticks: int, timestamp: int = 1000) -> list[EventPacket | None]:
    return [sender.tick(timestamp + 160 * tick) for tick in range(ticks)]


def hear(receiver: KeyReceiver, *packets: tuple[str, int, int, bool], now: float = 0.0) -> list[KeyPress]:
    for key, timestamp, duration, end in packets:
        receiver.receive(event_payload(key, duration=duration, end=end), timestamp, now)
    return receiver.take_presses()


def test_a_key_is_five_updates_three_of_the_last_and_a_pause() -> None:
    sender = KeySender()
    sender.press("5")
    packets = sent(sender, 13)
    assert [packet is not None for packet in packets] == [True] * 7 + [False] * 6
    events = [packet for packet in packets if packet is not None]
    assert {event.timestamp for event in events} == {1000}
    assert [event.marker for event in events] == [True] + [False] * 6
    assert [int.from_bytes(event.payload[2:]) for event in events] == [160, 320, 480, 640, 800, 800, 800]
    assert [event.payload[1] >> 7 for event in events] == [0, 0, 0, 0, 1, 1, 1]
    assert {event.payload[0] for event in events} == {5}
    assert not sender.busy


def test_each_key_has_a_timestamp_of_its_own() -> None:
    sender = KeySender()
    sender.press("*D")
    events = [packet for packet in sent(sender, 24) if packet is not None]
    assert [event.payload[0] for event in events] == [10] * 7 + [15] * 7
    assert [event.timestamp for event in events] == [1000] * 7 + [1000 + 12 * 160] * 7


def test_cleared_keys_are_not_sent_but_the_current_one_is_finished() -> None:
    sender = KeySender()
    sender.press("12")
    sent(sender, 2)
    sender.clear()
    assert sent(sender, 5, 1320)[-1] is not None
    assert sent(sender, 7, 2120) == [None] * 7
    assert not sender.busy


@pytest.mark.parametrize("text", ["x", "1 2", "a", "é"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a telephone key"):
        KeySender().press(text)


def test_only_single_characters_are_keys() -> None:
    assert is_key("#")
    assert not is_key("")
    assert not is_key("12")


def test_what_is_sent_is_heard_once_with_its_duration() -> None:
    sender, receiver = KeySender(), KeyReceiver()
    sender.press("147*#ABCD0")
    presses = []
    for tick in range(130):
        if (packet := sender.tick(160 * tick)) is not None:
            receiver.receive(packet.payload, packet.timestamp, tick * 0.02)
            presses += receiver.take_presses()
    assert [(press.key, press.duration_ms) for press in presses] == [(key, 100) for key in "147*#ABCD0"]
    assert [round(press.at, 3) for press in presses] == [round(0.24 * n - 0.02, 3) for n in range(10)]


def test_a_lost_beginning_does_not_lose_the_key() -> None:
    assert hear(KeyReceiver(), ("7", 0, 800, True)) == [KeyPress(key="7", at=-0.1, duration_ms=100)]


def test_a_key_is_told_as_it_goes_down_and_again_as_a_whole() -> None:
    receiver = KeyReceiver()
    receiver.receive(event_payload("4", duration=160, end=False), 0, 1.0)
    assert receiver.take_events() == [KeyDown(key="4", at=0.98, duration_ms=20)]
    for duration in (320, 480):
        receiver.receive(event_payload("4", duration=duration, end=False), 0, 1.0 + duration / 8000)
    assert receiver.take_events() == []
    for _ in range(3):
        receiver.receive(event_payload("4", duration=800, end=True), 0, 1.1)
    assert receiver.take_events() == [KeyPress(key="4", at=0.98, duration_ms=100)]


def test_a_key_of_which_only_the_end_arrives_is_still_told_twice() -> None:
    receiver = KeyReceiver()
    receiver.receive(event_payload("4", duration=800, end=True), 0, 1.0)
    assert receiver.take_events() == [
        KeyDown(key="4", at=0.9, duration_ms=100),
        KeyPress(key="4", at=0.9, duration_ms=100),
    ]


def test_a_lost_end_is_made_up_for_by_time() -> None:
    receiver = KeyReceiver()
    assert hear(receiver, ("7", 0, 480, False), now=1.0) == []
    assert receiver.wake_at() == 1.0 + LOST_END_S
    receiver.wake(1.0 + LOST_END_S - 0.01)
    assert receiver.take_presses() == []
    receiver.wake(1.0 + LOST_END_S)
    assert [(press.key, press.duration_ms) for press in receiver.take_presses()] == [("7", 60)]
    assert receiver.wake_at() is None
    assert hear(receiver, ("7", 0, 800, True), now=2.0) == []


def test_a_lost_end_is_made_up_for_by_the_next_key() -> None:
    presses = hear(KeyReceiver(), ("7", 0, 480, False), ("7", 1600, 160, False), ("7", 1600, 800, True))
    assert [(press.key, press.duration_ms) for press in presses] == [("7", 60), ("7", 100)]


def test_the_leg_ending_ends_the_key() -> None:
    receiver = KeyReceiver()
    hear(receiver, ("9", 0, 320, False))
    receiver.finish()
    assert [press.key for press in receiver.take_presses()] == ["9"]


def test_repeats_and_latecomers_are_not_keys() -> None:
    receiver = KeyReceiver()
    one = [("1", 0, 160, False), ("1", 0, 800, True), ("1", 0, 800, True)]
    two = [("2", 2000, 160, False), ("2", 2000, 800, True)]
    assert [press.key for press in hear(receiver, *one, *two[:1], one[0], *two[1:], *one, *two)] == ["1", "2"]


def test_a_key_held_longer_than_a_segment_is_one_key() -> None:
    presses = hear(
        KeyReceiver(),
        ("3", 0, 60000, False),
        ("3", 0, 0xFFFF, False),
        ("3", 0xFFFF, 160, False),
        ("3", 0xFFFF, 800, True),
    )
    assert [(press.key, press.duration_ms) for press in presses] == [("3", (0xFFFF + 800) // 8)]


def test_the_timestamp_wheel_may_turn_over_between_keys() -> None:
    presses = hear(KeyReceiver(), ("1", 2**32 - 400, 800, True), ("2", 1200, 800, True))
    assert [press.key for press in presses] == ["1", "2"]


def test_a_sender_that_starts_its_clock_anew_is_heard() -> None:
    presses = hear(KeyReceiver(), ("1", 10_000_000, 800, True), ("2", 50, 800, True))
    assert [press.key for press in presses] == ["1", "2"]


@pytest.mark.parametrize("payload", [b"", b"\x01\x0a\x00", bytes((16, 0x8A, 0, 160)), bytes((255, 0x8A, 0, 160))])
def test_flash_hooks_and_damage_are_no_keys(payload: bytes) -> None:
    receiver = KeyReceiver()
    receiver.receive(payload, 0, 0.0)
    receiver.finish()
    assert receiver.take_presses() == []
