"""When a source nobody negotiated is believed to be the far end."""

from __future__ import annotations

from callwright.media.rtp import Packet
from callwright.media_worker.probation import Probation

NEGOTIATED, NAT, STRANGER = ("192.0.2.1", 4000), ("198.51.100.7", 61000), ("203.0.113.5", 9)


def packet(sequence: int, ssrc: int = 1) -> Packet:
    return Packet(payload_type=8, sequence=sequence & 0xFFFF, timestamp=0, ssrc=ssrc, payload=b"")


def verdicts(*heard: tuple[tuple[str, int], Packet]) -> list[bool]:
    probation = Probation()
    return [probation.passes(source, each, (NEGOTIATED, None)) for source, each in heard]


def test_the_negotiated_source_is_believed_at_once() -> None:
    assert verdicts((NEGOTIATED, packet(1))) == [True]


def test_another_source_is_believed_after_three_packets_of_one_stream() -> None:
    assert verdicts(*((NAT, packet(65534 + number)) for number in range(3))) == [False, False, True]


def test_a_lost_packet_does_not_matter() -> None:
    assert verdicts((NAT, packet(1)), (NAT, packet(3)), (NAT, packet(4)))[-1]


def test_packets_that_do_not_follow_each_other_are_no_stream() -> None:
    assert not any(verdicts(*((NAT, packet(5)) for _ in range(9))))
    assert not any(verdicts(*((NAT, packet(number * 1000)) for number in range(9))))
    assert not any(verdicts(*((NAT, packet(number, ssrc=number)) for number in range(9))))


def test_a_stranger_in_between_does_not_hold_up_the_far_end() -> None:
    heard = [(source, packet(number)) for number in range(3) for source in (STRANGER, NAT)]
    told = verdicts(*[(source, each if source == NAT else packet(7)) for source, each in heard])
    assert told == [False, False, False, False, False, True]


def test_many_strangers_take_no_memory_but_the_known_source_still_counts() -> None:
    probation = Probation()
    for port in range(1000):
        assert not probation.passes(("203.0.113.5", port), packet(1), (NEGOTIATED, None))
    assert len(probation._candidates) < 10
    assert probation.passes(NEGOTIATED, packet(1), (NEGOTIATED, None))
