"""Answers to INVITEs nobody here remembers: ACKed, hung up, and no way to make us send to others."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import PEER, US, Conversation, make_core, response_to

from callwright.sip.event import ByeDone, ExtraAnswer
from callwright.sip.message import Request, Response

SOMEBODY = ("198.51.100.7", 5090)


def answer_of_a_former_life(*, tag: str = "bob", contact: str | None = "<sip:bob@192.0.2.9:5060>") -> Response:
    """Return the 200 to an INVITE that another core sent from the same address."""
    with_life = Conversation(make_core(prefix=0xB))
    _, invite = with_life.calls()
    return response_to(invite, 200, tag=tag, contact=contact)


def sent_after(talk: Conversation, response: Response, source: tuple[str, int] = PEER) -> tuple[Request, Request]:
    """Feed an answer; return the ACK and the BYE that must come out, both to where it came from."""
    talk.feeds(response, source)
    ack, bye = talk.expects("ACK", "BYE", to=source)
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    return ack, bye


def test_it_is_acknowledged_and_hung_up() -> None:
    with Conversation() as talk:
        response = answer_of_a_former_life()
        ack, bye = sent_after(talk, response)
        assert ack.head.call_id == bye.head.call_id == response.head.call_id
        assert (bye.head.from_.tag, bye.head.to.tag) == (response.head.from_.tag, "bob")
        assert (ack.head.cseq, bye.head.cseq) == (1, 2)
        assert ack.uri == bye.uri == "sip:bob@192.0.2.9:5060"
        assert "restarted" in (bye.headers.get("reason") or "")
        assert talk.hears_one(ExtraAnswer).tag == "bob"
        talk.answers(bye, 200)


def test_its_repetitions_get_the_ack_again_and_no_second_bye() -> None:
    with Conversation() as talk:
        response = answer_of_a_former_life()
        _, bye = sent_after(talk, response)
        talk.hears(ExtraAnswer)
        talk.feeds(response)
        talk.expects("ACK")
        talk.answers(bye, 200)
        talk.feeds(response)
        talk.expects("ACK")


def test_each_telephone_of_a_forked_call_is_hung_up() -> None:
    with Conversation() as talk:
        life = Conversation(make_core(prefix=0xB))
        _, invite = life.calls()
        for tag in ("bob", "carol"):
            _, bye = sent_after(talk, response_to(invite, 200, tag=tag))
            assert bye.head.to.tag == tag
            talk.answers(bye, 200)
        talk.hears(ExtraAnswer, ExtraAnswer)


def test_a_second_telephone_of_a_call_that_recovery_hangs_up_is_hung_up_too() -> None:
    life = Conversation(make_core(prefix=0xB))
    handle, invite = life.calls_and_is_answered()
    saved = life.core.export(handle)
    with Conversation() as talk:
        talk.core.bye_saved(saved, talk.now)
        talk.answers(talk.expects_request("BYE"), 200)
        talk.hears(ByeDone)
        talk.feeds(response_to(invite, 200, tag="bob"))
        talk.expects("ACK")
        _, bye = sent_after(talk, response_to(invite, 200, tag="carol"))
        talk.answers(bye, 200)
        talk.hears(ExtraAnswer)


def test_a_telephone_that_hangs_up_itself_meanwhile_is_answered() -> None:
    with Conversation() as talk:
        life = Conversation(make_core(prefix=0xB))
        _, invite = life.calls()
        sent_after(talk, response_to(invite, 200, tag="bob"))
        talk.hears(ExtraAnswer)
        talk.asks("BYE", invite)
        talk.expects("200 BYE")


def test_everything_goes_to_where_it_came_from_whatever_it_says() -> None:
    with Conversation() as talk:
        response = answer_of_a_former_life(contact=f"<sip:victim@{SOMEBODY[0]}:{SOMEBODY[1]}>")
        _, bye = sent_after(talk, response, source=PEER)
        talk.answers(bye, 200)
        talk.hears(ExtraAnswer)


def test_an_answer_without_contact_is_hung_up_too() -> None:
    with Conversation() as talk:
        _, bye = sent_after(talk, answer_of_a_former_life(contact=None))
        talk.answers(bye, 200)
        talk.hears(ExtraAnswer)


@pytest.mark.parametrize("address", [("192.0.2.77", US[1]), (US[0], 5099)])
def test_an_answer_to_another_address_is_dropped(address: tuple[str, int]) -> None:
    other = Conversation(make_core(address, prefix=0xB))
    _, invite = other.calls()
    with Conversation() as talk:
        talk.feeds(response_to(invite, 200, tag="bob"))
        talk.expects()
        assert talk.core.dropped == 1


def test_a_refusal_of_a_former_life_is_nobodys_business() -> None:
    life = Conversation(make_core(prefix=0xB))
    _, invite = life.calls()
    with Conversation() as talk:
        talk.feeds(response_to(invite, 486, tag="bob"))
        talk.expects()
