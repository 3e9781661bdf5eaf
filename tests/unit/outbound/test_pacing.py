from __future__ import annotations

from collections import Counter

import pytest

from callwright.outbound.pacing import SECOND, Limits, Pacer, Slot
from callwright.values.ids import ServiceId

A, B, C = ServiceId(1), ServiceId(2), ServiceId(3)


def pacer(account: Limits, services: dict[ServiceId, Limits] | None = None) -> Pacer:
    made = Pacer(account)
    for service_id, limits in (services or {A: Limits()}).items():
        made.set_service(service_id, limits)
    return made


def give(made: Pacer, many: int, *, waiting: tuple[ServiceId, ...] = (A,), now: int = 0) -> list[Slot]:
    slots = []
    for _ in range(many):
        slot = made.next_slot(now, waiting)
        assert slot is not None
        made.take(slot, waiting)
        slots.append(slot)
    return slots


def times(slots: list[Slot]) -> list[float]:
    return [slot.at / SECOND for slot in slots]


def test_slots_are_evenly_spaced() -> None:
    assert times(give(pacer(Limits(max_cps=10)), 4)) == [0.0, 0.1, 0.2, 0.3]


def test_a_third_of_a_second_is_rounded_so_that_the_maximum_holds() -> None:
    slots = give(pacer(Limits(max_cps=3)), 4)
    assert slots[3].at - slots[0].at >= SECOND


def test_half_a_start_per_second_is_one_every_two_seconds() -> None:
    assert times(give(pacer(Limits(max_cps=0.5)), 3)) == [0.0, 2.0, 4.0]


def test_two_and_a_half_starts_per_second_allow_two_in_any_second() -> None:
    assert times(give(pacer(Limits(max_cps=2.5)), 3)) == [0.0, 0.5, 1.0]


def test_the_slower_of_account_and_service_decides() -> None:
    assert times(give(pacer(Limits(max_cps=10), {A: Limits(max_cps=2)}), 3)) == [0.0, 0.5, 1.0]
    assert times(give(pacer(Limits(max_cps=2), {A: Limits(max_cps=10)}), 3)) == [0.0, 0.5, 1.0]


def test_time_without_starts_saves_nothing_up() -> None:
    made = pacer(Limits(max_cps=2))
    give(made, 1)
    assert times(give(made, 3, now=100 * SECOND)) == [100.0, 100.5, 101.0]


def test_nothing_waiting_gets_no_slot() -> None:
    assert pacer(Limits(max_cps=2)).next_slot(0, ()) is None


def test_looking_at_the_next_slot_does_not_use_it_up() -> None:
    made = pacer(Limits(max_cps=2))
    give(made, 1)
    assert made.next_slot(0, (A,)) == made.next_slot(0, (A,)) == Slot(service_id=A, at=SECOND // 2)


def test_services_take_turns() -> None:
    made = pacer(Limits(max_cps=10), {A: Limits(), B: Limits(), C: Limits()})
    assert Counter(slot.service_id for slot in give(made, 30, waiting=(A, B, C))) == {A: 10, B: 10, C: 10}


def test_a_service_held_back_by_its_own_maximum_leaves_the_rest_to_the_others() -> None:
    made = pacer(Limits(max_cps=10), {A: Limits(max_cps=1), B: Limits()})
    slots = [slot for slot in give(made, 40, waiting=(A, B)) if slot.at < 4 * SECOND]
    assert Counter(slot.service_id for slot in slots) == {A: 4, B: 36}


def test_a_service_that_was_idle_does_not_catch_up_on_the_others() -> None:
    made = pacer(Limits(max_cps=10), {A: Limits(), B: Limits()})
    give(made, 100)
    later = give(made, 10, waiting=(A, B), now=10 * SECOND)
    assert Counter(slot.service_id for slot in later) == {A: 5, B: 5}


def test_a_guaranteed_minimum_goes_before_fair_shares() -> None:
    made = pacer(Limits(max_cps=10), {A: Limits(min_cps=8), B: Limits(), C: Limits()})
    slots = [slot for slot in give(made, 100, waiting=(A, B, C)) if slot.at < 10 * SECOND]
    assert Counter(slot.service_id for slot in slots) == {A: 80, B: 10, C: 10}


def test_a_guaranteed_minimum_below_the_fair_share_changes_nothing() -> None:
    made = pacer(Limits(max_cps=12), {A: Limits(min_cps=2), B: Limits(), C: Limits()})
    slots = [slot for slot in give(made, 120, waiting=(A, B, C)) if slot.at < 10 * SECOND]
    assert Counter(slot.service_id for slot in slots) == {A: 40, B: 40, C: 40}


def test_a_guarantee_taken_away_is_soon_forgotten() -> None:
    made = pacer(Limits(max_cps=10), {A: Limits(min_cps=9), B: Limits()})
    give(made, 1000, waiting=(A, B))
    made.set_service(A, Limits())
    later = give(made, 40, waiting=(A, B), now=1000 * SECOND)
    assert Counter(slot.service_id for slot in later)[A] >= 15


def test_minimums_above_the_maximum_are_scaled_together() -> None:
    made = pacer(Limits(max_cps=6), {A: Limits(min_cps=8), B: Limits(min_cps=4)})
    slots = [slot for slot in give(made, 60, waiting=(A, B)) if slot.at < 10 * SECOND]
    assert Counter(slot.service_id for slot in slots) == {A: 40, B: 20}


def test_a_plan_counts_what_would_leave_and_changes_nothing() -> None:
    made = pacer(Limits(max_cps=10), {A: Limits(), B: Limits()})
    assert made.plan(0, SECOND // 4, {A: 100, B: 1}, limit=100) == {A: 2, B: 1}
    assert made.plan(0, SECOND // 4, {A: 100, B: 0}, limit=2) == {A: 2}
    assert made.plan(0, SECOND, {}, limit=100) == {}
    assert times(give(made, 1)) == [0.0]


def test_the_gate_lets_a_start_leave_in_its_slot() -> None:
    made = pacer(Limits(max_cps=10))
    for slot in give(made, 30):
        assert made.may_send_at(slot) == slot.at
        made.sent(slot, slot.at)


def test_a_late_start_holds_back_the_one_that_would_break_the_sliding_second() -> None:
    made = pacer(Limits(max_cps=2))
    first, second, third = give(made, 3)
    made.sent(first, 400_000)
    assert made.may_send_at(second) == 650_000  # half an interval after its neighbour
    made.sent(second, 650_000)
    assert made.may_send_at(third) == 1_400_000  # a second after the first


def test_slots_given_after_a_late_start_keep_their_distance_from_it() -> None:
    made = pacer(Limits(max_cps=2))
    (first,) = give(made, 1)
    made.sent(first, 3 * SECOND)
    assert times(give(made, 1)) == [3.5]


def test_a_lowered_maximum_remembers_what_already_left() -> None:
    made = pacer(Limits(max_cps=10))
    for slot in give(made, 10):
        made.sent(slot, slot.at)
    made.set_account(Limits(max_cps=2))
    (slot,) = give(made, 1)
    assert made.may_send_at(slot) == 1_800_000  # a second after the last but one


def test_limits_of_a_service_can_change() -> None:
    made = pacer(Limits(max_cps=10))
    give(made, 1)
    made.set_service(A, Limits(max_cps=1))
    assert times(give(made, 2)) == [1.0, 2.0]


def test_a_restart_paces_after_what_left_before_it() -> None:
    made = pacer(Limits(max_cps=2), {A: Limits(), B: Limits(max_cps=1)})
    made.restore(A, [-700_000])
    made.restore(B, [-200_000])
    assert times(give(made, 1, waiting=(A,))) == [0.3]
    made = pacer(Limits(max_cps=2), {A: Limits(), B: Limits(max_cps=1)})
    made.restore(B, [-200_000])
    assert times(give(made, 1, waiting=(B,))) == [0.8]


def test_restoring_nothing_changes_nothing() -> None:
    made = pacer(Limits(max_cps=2))
    made.restore(A, [])
    assert times(give(made, 1)) == [0.0]


@pytest.mark.parametrize("max_cps", [1, 7, 0.3])
def test_no_limit_on_the_service_means_the_accounts(max_cps: float) -> None:
    unlimited = pacer(Limits(max_cps=max_cps), {A: Limits(max_cps=None)})
    assert give(unlimited, 20) == give(pacer(Limits(max_cps=max_cps), {A: Limits(max_cps=max_cps)}), 20)


def test_a_start_that_left_later_than_noted_counts_from_when_it_left() -> None:
    made = pacer(Limits(max_cps=2))
    first, second, third = give(made, 3)
    made.sent(first, first.at)
    made.sent(second, second.at)
    made.left(first, first.at, first.at + SECOND // 10)
    assert made.may_send_at(third) == first.at + SECOND + SECOND // 10


def test_correcting_a_start_that_is_not_remembered_any_more_changes_nothing() -> None:
    made = pacer(Limits(max_cps=2))
    first, second = give(made, 2)
    made.sent(first, first.at)
    made.left(first, first.at + 1, first.at + SECOND)
    assert made.may_send_at(second) == second.at
