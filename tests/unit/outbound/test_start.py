from __future__ import annotations

from callwright.outbound.start import MAY_FOLLOW, NOT_DIALLED, OVER, StartState


def test_every_state_has_its_row_in_the_table() -> None:
    assert set(MAY_FOLLOW) == set(StartState)


def test_a_stamped_start_can_only_finish_or_wait_for_another_attempt() -> None:
    assert MAY_FOLLOW[StartState.RUNNING] == {StartState.FINISHED, StartState.QUEUED}


def test_every_state_leads_to_an_end() -> None:
    ending = set(OVER)
    for _ in StartState:
        ending |= {state for state, following in MAY_FOLLOW.items() if following & ending}
    assert ending == set(StartState)


def test_nothing_follows_an_end() -> None:
    assert {StartState.FINISHED, StartState.FAILED, StartState.CANCELLED, StartState.EXPIRED} == OVER


def test_cancelling_is_possible_exactly_before_the_stamp() -> None:
    assert {state for state, following in MAY_FOLLOW.items() if StartState.CANCELLED in following} == NOT_DIALLED
