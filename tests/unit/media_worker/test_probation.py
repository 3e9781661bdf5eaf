"""When a source nobody negotiated is believed to be the far end, and when it has to give way."""

from __future__ import annotations

from dataclasses import dataclass, field

from callwright.media.rtp import Packet
from callwright.media_worker.probation import (
    LEARN_S,
    PACKETS,
    SILENT_S,
    STAYS_PACKETS,
    STAYS_S,
    STRANGE_SILENT_S,
    Address,
    Probation,
    Verdict,
)

NEGOTIATED, NAT, STRANGER = ("192.0.2.1", 4000), ("198.51.100.7", 61000), ("203.0.113.5", 9)
OTHER_PORT = (NEGOTIATED[0], 4002)
TICK_S = 0.02


def packet(sequence: int, ssrc: int = 1) -> Packet:
    return Packet(payload_type=8, sequence=sequence & 0xFFFF, timestamp=0, ssrc=ssrc, payload=b"")


def fresh(signalled_by: str = "") -> Probation:
    probation = Probation(signalled_by=signalled_by)
    probation.negotiate(NEGOTIATED)
    probation.learn(0.0)
    return probation


def verdicts(*heard: tuple[Address, Packet]) -> list[Verdict]:
    probation = fresh()
    return [probation.judge(source, each, nth * TICK_S) for nth, (source, each) in enumerate(heard)]


@dataclass
class Speakers:
    """Several sources that speak at a time, each its own stream, to one leg whose socket follows the verdicts."""

    probation: Probation
    now: float = 0.0
    locked: bool = False
    taken: list[Address] = field(default_factory=list)
    _sequences: dict[Address, int] = field(default_factory=dict)

    def speak(self, *sources: Address, s: float = 0.5, ssrcs: dict[Address, int] | None = None) -> Address | None:
        """Let these sources speak for so long; return whose packets are taken in the end."""
        until = self.now + s
        while self.now < until - TICK_S / 2:
            self.now += TICK_S
            if self.locked and self.probation.wants_a_look(self.now) and round(self.now / TICK_S) % 50 == 0:
                self.look()
            for source in sources:
                self._sequences[source] = sequence = self._sequences.get(source, 7) + 1
                ssrc = (ssrcs or {}).get(source, source[1])
                if self.locked and source != self.probation.current:
                    continue
                if not self.locked:
                    self.locked = self.probation.judge(source, packet(sequence, ssrc), self.now) is Verdict.LOCK
                if source == self.probation.current:
                    self.taken.append(source)
                    self._last = self.now, ssrc, sequence
        return self.probation.current

    def look(self) -> None:
        self.probation.look(*self._last)
        self.locked = False

    def fall_silent(self, s: float) -> None:
        self.now += s
        self.look()


def test_the_negotiated_source_is_believed_at_once() -> None:
    assert verdicts((NEGOTIATED, packet(1))) == [Verdict.LOCK]


def test_another_source_is_believed_after_three_packets_of_one_stream() -> None:
    told = verdicts(*((NAT, packet(65534 + number)) for number in range(PACKETS + STAYS_PACKETS)))
    assert told[: PACKETS - 1] == [Verdict.IGNORE] * (PACKETS - 1)
    assert told[PACKETS - 1] == Verdict.TAKE
    assert told[-1] == Verdict.LOCK


def test_a_lost_packet_does_not_matter() -> None:
    assert verdicts((NAT, packet(1)), (NAT, packet(3)), (NAT, packet(4)))[-1] is Verdict.TAKE


def test_a_stranger_who_sends_fast_does_not_keep_better_sources_from_being_heard_sooner_than_a_slow_one() -> None:
    probation = fresh()
    told = [probation.judge(STRANGER, packet(number), STAYS_S * number / 400) for number in range(400)]
    assert Verdict.LOCK not in told
    assert probation.judge(STRANGER, packet(400), STAYS_S) is Verdict.TAKE
    assert probation.judge(STRANGER, packet(401), STAYS_S + TICK_S) is Verdict.LOCK
    probation.look(STAYS_S + TICK_S, 1, 401)
    # The same when somebody better is looked for.
    told = [probation.judge(STRANGER, packet(402 + number), 1.0 + STAYS_S * number / 400) for number in range(400)]
    assert Verdict.LOCK not in told
    assert probation.judge(NEGOTIATED, packet(1, ssrc=2), 1.0 + STAYS_S) is Verdict.LOCK


def test_packets_that_do_not_follow_each_other_are_no_stream() -> None:
    ignored = {Verdict.IGNORE}
    assert set(verdicts(*((NAT, packet(5)) for _ in range(9)))) == ignored
    assert set(verdicts(*((NAT, packet(number * 1000)) for number in range(9)))) == ignored
    assert set(verdicts(*((NAT, packet(number, ssrc=number)) for number in range(9)))) == ignored


def test_a_stranger_in_between_does_not_hold_up_the_far_end() -> None:
    heard = [(source, packet(number)) for number in range(3) for source in (STRANGER, NAT)]
    told = verdicts(*[(source, each if source == NAT else packet(7)) for source, each in heard])
    assert told == [Verdict.IGNORE] * 5 + [Verdict.TAKE]


def test_many_strangers_take_no_memory_but_the_known_source_still_counts() -> None:
    probation = fresh()
    for port in range(1000):
        assert probation.judge(("203.0.113.5", port), packet(1), 0.0) is Verdict.IGNORE
    assert len(probation._candidates) < 10
    assert probation.judge(NEGOTIATED, packet(1), 0.0) is Verdict.LOCK


def test_many_sources_with_one_packet_each_do_not_keep_the_far_end_behind_a_nat_out() -> None:
    probation = fresh()
    for port in range(100):
        probation.judge(("203.0.113.5", port), packet(1), 0.0)
    for number in range(PACKETS):
        for port in range(5):
            probation.judge(("203.0.113.6", 10 * number + port), packet(1), 0.0)
        told = probation.judge(NAT, packet(number), 0.0)
    assert told is Verdict.TAKE


def test_a_stranger_who_was_first_gives_way_to_the_negotiated_address_however_long_he_goes_on() -> None:
    at = Speakers(fresh())
    assert at.speak(STRANGER, s=1.9) == STRANGER
    assert at.locked
    assert at.speak(STRANGER, NEGOTIATED, s=1.2) == NEGOTIATED
    assert at.speak(STRANGER, NEGOTIATED, s=20.0) == NEGOTIATED


def test_three_packets_of_a_stranger_do_not_keep_the_far_end_behind_a_nat_waiting() -> None:
    at = Speakers(fresh())
    assert at.speak(STRANGER, s=3 * TICK_S) == STRANGER
    at.now += 0.1
    assert at.speak(NAT, s=3 * TICK_S) == NAT


def test_a_stranger_who_was_first_gives_way_to_the_host_that_sip_comes_from() -> None:
    at = Speakers(fresh(signalled_by=NAT[0]))
    at.speak(STRANGER, s=2.0)
    assert at.speak(STRANGER, NAT, s=1.2) == NAT
    assert at.speak(STRANGER, NAT, s=20.0) == NAT


def test_another_port_of_the_negotiated_host_goes_before_strangers_and_behind_the_address_itself() -> None:
    at = Speakers(fresh())
    at.speak(STRANGER, s=0.5)
    assert at.speak(STRANGER, OTHER_PORT, s=1.2) == OTHER_PORT
    assert at.speak(OTHER_PORT, NEGOTIATED, s=1.2) == NEGOTIATED


def test_a_far_end_behind_a_nat_keeps_its_place_against_strangers_who_come_later() -> None:
    at = Speakers(fresh())
    at.speak(NAT, s=0.2)
    assert at.speak(STRANGER, NAT, s=20.0) == NAT
    assert STRANGER not in at.taken


def test_nobody_is_looked_for_once_the_negotiated_address_speaks_or_the_time_to_learn_is_over() -> None:
    known, learned = Speakers(fresh()), Speakers(fresh())
    known.speak(NEGOTIATED)
    assert not known.probation.wants_a_look(known.now)
    learned.speak(NAT)
    assert learned.probation.wants_a_look(learned.now)
    assert not learned.probation.wants_a_look(LEARN_S + TICK_S)


def test_a_source_that_fell_silent_is_followed_sooner_by_its_own_host_and_its_own_stream_than_by_strangers() -> None:
    def after(silence_s: float, source: Address, **options: dict[Address, int]) -> Address | None:
        at = Speakers(fresh())
        at.speak(NEGOTIATED)
        at._sequences[NAT] = at._sequences[NEGOTIATED]
        at.fall_silent(silence_s)
        return at.speak(source, s=4 * TICK_S, **options)

    assert after(SILENT_S, OTHER_PORT) == OTHER_PORT
    assert after(SILENT_S, STRANGER) == NEGOTIATED
    assert after(SILENT_S, NAT, ssrcs={NAT: NEGOTIATED[1]}) == NAT
    assert after(STRANGE_SILENT_S, STRANGER) == STRANGER


def test_the_negotiated_address_has_its_place_back_when_it_speaks_again_after_a_long_silence() -> None:
    at = Speakers(fresh())
    at.speak(NEGOTIATED)
    at.fall_silent(STRANGE_SILENT_S)
    assert at.speak(STRANGER, s=60.0) == STRANGER
    assert at.speak(STRANGER, NEGOTIATED, s=1.2) == NEGOTIATED


def test_a_far_end_behind_a_nat_has_its_place_back_by_its_own_stream_and_nobody_else_by_its_address() -> None:
    at = Speakers(fresh())
    at.speak(NAT, s=LEARN_S + 1)
    at.fall_silent(STRANGE_SILENT_S)
    assert at.speak(STRANGER, s=10.0) == STRANGER
    assert at.speak(STRANGER, NAT, s=2.0, ssrcs={NAT: 99}) == STRANGER
    assert at.speak(STRANGER, NAT, s=1.2) == NAT


def test_a_source_moves_once() -> None:
    at = Speakers(fresh())
    at.speak(NEGOTIATED)
    at.fall_silent(STRANGE_SILENT_S)
    at.speak(STRANGER)
    at.fall_silent(10.0)
    assert at.speak(NAT, s=10.0) == STRANGER


def test_a_new_negotiated_address_starts_anew() -> None:
    probation = fresh()
    probation.judge(NEGOTIATED, packet(1), 0.0)
    probation.negotiate(NAT)
    assert probation.current is None
    assert probation.judge(NAT, packet(9, ssrc=2), 1.0) is Verdict.LOCK
