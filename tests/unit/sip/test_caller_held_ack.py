"""Answers whose ACK waits until it is asked for."""

from __future__ import annotations

from msgspec.structs import replace
from tests.support.sip_talk import ANSWER, Conversation, plan

from callwright.sip.event import Answered, ByeDone, Ended, ExtraAnswer
from callwright.sip.message import Request


def test_a_held_ack_leaves_when_asked_for_and_repetitions_before_it_stay_unanswered() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(replace(plan(), hold_ack=True))
        answer = talk.answers(invite, 200, body=ANSWER)
        talk.hears(Answered)
        talk.feeds(answer)
        talk.expects()
        talk.core.acknowledge(handle)
        talk.expects("ACK")
        talk.core.acknowledge(handle)
        talk.expects()
        talk.feeds(answer)
        talk.expects("ACK")
        talk.asks("BYE", invite)
        talk.expects("200 BYE")
        talk.hears(Ended)


def test_hanging_up_sends_a_held_ack_before_the_bye() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(replace(plan(), hold_ack=True))
        talk.answers(invite, 200, body=ANSWER)
        talk.hears(Answered)
        talk.core.bye(handle, talk.now)
        _, bye = talk.expects("ACK", "BYE")
        assert isinstance(bye, Request)
        talk.answers(bye, 200)
        talk.hears(ByeDone)


def test_a_call_whose_ack_is_held_can_be_saved_and_hung_up_by_another_process() -> None:
    life = Conversation()
    handle, invite = life.calls(replace(plan(), hold_ack=True))
    answer = life.answers(invite, 200, body=ANSWER)
    saved = life.core.export(handle)
    with Conversation() as talk:
        talk.core.bye_saved(saved, talk.now)
        bye = talk.expects_request("BYE")
        talk.feeds(answer)
        talk.expects("ACK")
        talk.answers(bye, 200)
        talk.hears(ByeDone)


def test_the_answer_of_another_telephone_is_hung_up_while_the_ack_of_the_first_is_held() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(replace(plan(), hold_ack=True))
        talk.answers(invite, 200, body=ANSWER)
        talk.hears(Answered)
        talk.answers(invite, 200, tag="carol", body=ANSWER)
        _, bye = talk.expects("ACK", "BYE")
        assert isinstance(bye, Request)
        assert bye.head.to.tag == "carol"
        talk.answers(bye, 200)
        talk.hears(ExtraAnswer)
        talk.core.acknowledge(handle)
        ack = talk.expects_request("ACK")
        assert ack.head.to.tag == "bob"
        talk.asks("BYE", invite)
        talk.expects("200 BYE")
        talk.hears(Ended)
