"""A registration is kept alive: refreshes, 423, failures with growing pauses, and its removal."""

from __future__ import annotations

import pytest

from callwright.sip.event import Pairs
from callwright.sip.registration import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    Registered,
    Registration,
    RegistrationFailed,
    RegistrationState,
    SendRegister,
    Unregistered,
    granted_expires,
    margin,
)

CONTACT = "sip:100@192.0.2.1:5060"


def ours(expires_s: int) -> Pairs:
    return (("Contact", f"<{CONTACT}>;expires={expires_s}"),)


class Talk:
    """A registration and the time in our hands."""

    def __init__(self, *, expires_s: int = 600, chance: float = 0.0) -> None:
        self.now = 100.0
        self.machine = Registration(contact=CONTACT, expires_s=expires_s, chance=lambda: chance, now=self.now)

    def waits(self) -> float:
        """Go to the moment it asked for; return how long that took."""
        at = self.machine.wake_at()
        assert at is not None
        passed, self.now = at - self.now, at
        self.machine.wake(at)
        return passed

    def sends(self, expires_s: int) -> None:
        assert self.machine.take_sends() == [SendRegister(expires_s=expires_s)]

    def sends_nothing(self) -> None:
        assert self.machine.take_sends() == []

    def hears(self, code: int, headers: Pairs = (), *, local: bool = False) -> None:
        self.machine.receive(code=code, reason="Because", headers=headers, local=local, now=self.now)

    def told(self) -> object:
        (event,) = self.machine.take_events()
        return event


def registered(expires_s: int = 600) -> Talk:
    talk = Talk(expires_s=expires_s)
    talk.waits()
    talk.sends(expires_s)
    talk.hears(200, ours(expires_s))
    assert talk.told() == Registered(at=talk.now, until=talk.now + expires_s)
    return talk


def test_it_registers_at_once_and_refreshes_a_minute_before_the_end() -> None:
    talk = registered(600)
    assert talk.machine.is_registered(talk.now)
    assert talk.waits() == 540
    talk.sends(600)
    assert talk.machine.is_registered(talk.now)


def test_the_time_the_registrar_grants_counts_not_the_time_asked_for() -> None:
    talk = Talk(expires_s=600)
    talk.waits()
    talk.sends(600)
    talk.hears(200, ours(100))
    assert talk.told() == Registered(at=talk.now, until=talk.now + 100)
    assert talk.waits() == 80


@pytest.mark.parametrize(("expires_s", "before"), [(2, 1.0), (10, 5.0), (20, 5.0), (100, 20.0), (3600, 60.0)])
def test_the_margin_leaves_time_to_try_again(expires_s: int, before: float) -> None:
    assert margin(expires_s) == before


def test_423_is_asked_again_at_once_with_the_time_the_registrar_wants() -> None:
    talk = Talk(expires_s=60)
    talk.waits()
    talk.sends(60)
    talk.hears(423, (("Min-Expires", "1800"),))
    talk.sends(1800)
    talk.hears(200, ours(1800))
    assert talk.waits() == 1740
    talk.sends(1800)


@pytest.mark.parametrize("headers", [(), (("Min-Expires", "60"),), (("Min-Expires", "999999999"),)])
def test_423_that_asks_for_nothing_better_is_a_failure(headers: Pairs) -> None:
    talk = Talk(expires_s=60)
    talk.waits()
    talk.sends(60)
    talk.hears(423, headers)
    talk.sends_nothing()
    assert isinstance(talk.told(), RegistrationFailed)


def test_failures_are_tried_again_after_growing_pauses_up_to_a_limit() -> None:
    talk = Talk(chance=0.999999)
    talk.waits()
    pauses = []
    for _ in range(9):
        talk.sends(600)
        talk.hears(503)
        event = talk.told()
        assert isinstance(event, RegistrationFailed)
        assert event.code == 503
        pauses.append(round(talk.waits()))
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_the_pause_is_between_half_and_all_of_its_limit_so_that_nodes_do_not_come_together() -> None:
    shortest, longest = Talk(chance=0.0), Talk(chance=0.999999)
    for talk in (shortest, longest):
        talk.waits()
        talk.hears(408, local=True)
    assert shortest.waits() == FIRST_PAUSE_S / 2
    assert longest.waits() == pytest.approx(FIRST_PAUSE_S)


@pytest.mark.parametrize(("asked", "pause"), [("30", 30), ("30 (busy);duration=9", 30), ("99999", LONGEST_PAUSE_S)])
def test_retry_after_is_waited_for_within_reason(asked: str, pause: float) -> None:
    talk = Talk()
    talk.waits()
    talk.hears(503, (("Retry-After", asked),))
    assert talk.waits() == pause


def test_a_success_makes_the_pauses_short_again() -> None:
    talk = Talk()
    talk.waits()
    for _ in range(4):
        talk.hears(500)
        talk.waits()
    talk.hears(200, ours(600))
    talk.waits()
    talk.hears(500)
    assert talk.waits() == FIRST_PAUSE_S / 2


def test_a_registration_outlives_failed_refreshes_until_it_expires() -> None:
    talk = registered(600)
    talk.waits()
    talk.hears(408, local=True)
    assert talk.machine.is_registered(talk.now)
    assert not talk.machine.is_registered(talk.now + 60)


def test_stopping_removes_the_registration() -> None:
    talk = registered()
    talk.machine.stop(talk.now)
    talk.sends(0)
    assert talk.machine.state is RegistrationState.UNREGISTERING
    talk.hears(200)
    assert talk.told() == Unregistered(at=talk.now)
    assert talk.machine.wake_at() is None
    talk.machine.stop(talk.now)
    talk.sends_nothing()


def test_stopping_waits_for_the_open_register_before_it_removes() -> None:
    talk = Talk()
    talk.waits()
    talk.sends(600)
    talk.machine.stop(talk.now)
    talk.sends_nothing()
    talk.hears(200, ours(600))
    talk.sends(0)
    talk.hears(408, local=True)
    assert talk.machine.state is RegistrationState.OVER


def test_stopping_without_a_registration_sends_nothing() -> None:
    talk = Talk()
    talk.waits()
    talk.machine.take_sends()
    talk.hears(403)
    talk.machine.take_events()
    talk.machine.stop(talk.now)
    talk.sends_nothing()
    assert talk.told() == Unregistered(at=talk.now)


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    talk = registered()
    talk.hears(403)
    assert talk.machine.state is RegistrationState.REGISTERED
    assert talk.machine.take_events() == []


def test_a_registrar_that_grants_nothing_is_a_failure() -> None:
    talk = Talk()
    talk.waits()
    talk.hears(200, ours(0))
    assert isinstance(talk.told(), RegistrationFailed)
    assert not talk.machine.is_registered(talk.now)


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        (ours(90), 90),
        ((("Contact", f"<sip:100@192.0.2.7:5060>;expires=9, <{CONTACT}>;expires=90"),), 90),
        ((("m", f"<{CONTACT};ob>;expires=90"), ("Expires", "5")), 90),
        ((("Contact", "<sip:100@192.0.2.1>;expires=90"),), 90),
        ((("Contact", f"<{CONTACT}>"), ("Expires", "77")), 77),
        ((("Contact", "<sip:100@198.51.100.3:6000>;expires=90"),), 90),
        ((("Contact", "<sip:1@192.0.2.7>;expires=9, <sip:2@192.0.2.8>;expires=8"), ("Expires", "77")), 77),
        ((("Contact", "garbage <"), ("Expires", "77")), 77),
        ((("Contact", f"<{CONTACT}>;expires=soon"),), None),
        ((), None),
    ],
)
def test_the_granted_time_is_that_of_our_contact_else_of_the_expires_header(
    headers: Pairs, granted: int | None
) -> None:
    assert granted_expires(headers, CONTACT) == granted
