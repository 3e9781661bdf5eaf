"""CANCEL and its races, and answers that come late (RFC 3261 sections 9 and 13.2.2.4)."""

from __future__ import annotations

from tests.support.sip_talk import ALICE, CHALLENGE, PEER, Conversation, plan

from callwright.sip.event import Answered, ByeDone, ExtraAnswer, Failed, Provisional
from callwright.sip.message import Request


def hung_up_unheard(talk: Conversation) -> Request:
    """Return the BYE by which an answer that nobody waits for is hung up."""
    _, bye = talk.expects("ACK", "BYE")
    talk.hears(ExtraAnswer)
    assert isinstance(bye, Request)
    return bye


def test_cancel_waits_for_a_provisional_answer() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.core.cancel(handle, talk.now)
        talk.expects()
        talk.waits(0.5)
        talk.expects("INVITE")
        talk.answers(invite, 100)
        cancel = talk.expects_request("CANCEL", to=PEER)
        assert cancel.uri == invite.uri
        assert cancel.headers.get("via") == invite.headers.get("via")
        assert cancel.headers.get("to") == invite.headers.get("to")
        assert (cancel.head.call_id, cancel.head.cseq) == (invite.head.call_id, invite.head.cseq)
        talk.answers(cancel, 200)
        talk.answers(invite, 487)
        talk.expects("ACK")
        failed = talk.hears_one(Failed)
        assert (failed.code, failed.local) == (487, False)


def test_cancel_asked_twice_or_after_the_end_does_nothing() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180)
        talk.hears(Provisional)
        talk.core.cancel(handle, talk.now)
        talk.expects("CANCEL")
        talk.core.cancel(handle, talk.now)
        talk.expects()
        talk.answers(invite, 487)
        talk.expects("ACK")
        talk.hears(Failed)
        talk.core.cancel(handle, talk.now)
        talk.core.bye(handle, talk.now)
        talk.waits(20)
        talk.core.take_sends()  # the CANCEL was never answered, so it was repeated
        talk.waits(100)
        talk.core.take_sends()
        talk.core.cancel(handle, talk.now)
        talk.core.bye("nonsense", talk.now)


def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up_and_fails_with_487() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180)
        talk.hears(Provisional)
        talk.core.cancel(handle, talk.now)
        cancel = talk.expects_request("CANCEL")
        answer = talk.answers(invite, 200)
        _, bye = talk.expects("ACK", "BYE")
        events = talk.hears(ExtraAnswer, Failed)
        assert isinstance(events[1], Failed)
        assert (events[1].code, events[1].local) == (487, False)
        talk.answers(cancel, 200)
        talk.feeds(answer)
        talk.expects("ACK")
        assert isinstance(bye, Request)
        talk.answers(bye, 200)


def test_an_answer_to_an_invite_whose_cancel_is_held_is_hung_up() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.core.cancel(handle, talk.now)
        talk.answers(invite, 200)
        _, bye = talk.expects("ACK", "BYE")
        talk.hears(ExtraAnswer, Failed)
        assert isinstance(bye, Request)
        talk.answers(bye, 200)


def test_a_cancel_that_is_never_echoed_ends_after_64_t1_and_a_late_answer_is_still_hung_up() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180)
        talk.hears(Provisional)
        talk.waits(10)
        talk.core.cancel(handle, talk.now)
        talk.answers(talk.expects_request("CANCEL"), 200)
        talk.waits(31.9)
        talk.hears()
        talk.waits(0.1)
        failed = talk.hears_one(Failed)
        assert (failed.code, failed.local) == (487, True)
        talk.waits(31)
        answer = talk.answers(invite, 200)
        bye = hung_up_unheard(talk)
        talk.answers(bye, 200)
        talk.waits(25)
        talk.feeds(answer)
        talk.expects("ACK")


def test_a_cancelled_invite_without_an_end_is_forgotten() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180)
        talk.hears(Provisional)
        talk.core.cancel(handle, talk.now)
        talk.expects("CANCEL")
        talk.waits(32)
        talk.core.take_sends()
        talk.hears(Failed)


def test_an_answer_to_the_invite_that_was_challenged_is_hung_up_and_the_call_goes_on() -> None:
    with Conversation() as talk:
        handle, first = talk.calls(plan(credentials=ALICE))
        talk.answers(first, 401, headers=(CHALLENGE,))
        second = talk.expects("ACK", "INVITE")[1]
        assert isinstance(second, Request)
        talk.answers(first, 200, tag="odd")
        ack, bye = talk.expects("ACK", "BYE")
        assert (ack.head.cseq, bye.head.cseq) == (first.head.cseq, second.head.cseq + 1)
        assert ack.headers.get("authorization") is None
        talk.hears(ExtraAnswer)
        assert isinstance(bye, Request)
        talk.answers(bye, 200)
        talk.answers(second, 200)
        talk.expects("ACK")
        talk.hears(Answered)
        talk.core.bye(handle, talk.now)
        talk.answers(talk.expects_request("BYE"), 200)
        talk.hears(ByeDone)


def test_a_late_answer_after_487_is_still_hung_up() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180)
        talk.core.cancel(handle, talk.now)
        talk.answers(talk.expects_request("CANCEL"), 200)
        talk.answers(invite, 487)
        talk.expects("ACK")
        talk.hears(Provisional, Failed)
        talk.waits(20)
        talk.answers(invite, 200, tag="late")
        bye = hung_up_unheard(talk)
        talk.answers(bye, 200)


def test_a_hang_up_that_outlives_its_call_comes_to_its_end_without_harm() -> None:
    with Conversation() as talk:
        _, invite = talk.calls(plan(credentials=ALICE))
        talk.answers(invite, 486)
        talk.expects("ACK")
        talk.hears(Failed)
        talk.answers(invite, 200, tag="late")
        bye = hung_up_unheard(talk)
        talk.waits(20)
        talk.core.take_sends()
        talk.answers(bye, 407, headers=(CHALLENGE,))
        talk.expects("BYE")  # it may take 32 s of its own, when the call is forgotten already
        talk.waits(40)
        talk.core.take_sends()


def test_a_late_answer_after_timer_b_is_still_hung_up() -> None:
    with Conversation() as talk:
        _, invite = talk.calls()
        talk.waits(40)
        talk.core.take_sends()
        talk.hears(Failed)
        talk.answers(invite, 200)
        bye = hung_up_unheard(talk)
        talk.answers(bye, 200)


def test_cancelled_before_any_answer_and_never_answered_ends_locally() -> None:
    with Conversation() as talk:
        handle, _ = talk.calls()
        talk.core.cancel(handle, talk.now)
        talk.waits(32)
        talk.core.take_sends()
        failed = talk.hears_one(Failed)
        assert (failed.code, failed.local) == (487, True)


def test_a_true_refusal_that_crosses_the_cancel_is_reported_as_it_is() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180)
        talk.core.cancel(handle, talk.now)
        talk.answers(talk.expects_request("CANCEL"), 481)
        talk.answers(invite, 486)
        talk.expects("ACK")
        talk.hears(Provisional, Failed)


def test_a_challenge_after_the_cancel_is_not_answered_with_another_invite() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(plan(credentials=ALICE))
        talk.core.cancel(handle, talk.now)
        talk.answers(invite, 401, headers=(CHALLENGE,))
        talk.expects("ACK")
        assert talk.hears_one(Failed).code == 487
