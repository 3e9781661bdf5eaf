"""Provisional answers that are acknowledged (RFC 3262), and offers before the answer (RFC 3311)."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import ANSWER, OFFER, Conversation, plan, request_from_peer

from callwright.sip.auth import Credentials, make_challenge
from callwright.sip.core import SipCore
from callwright.sip.event import (
    Acked,
    Answered,
    ByeDone,
    CancelledByPeer,
    Failed,
    InfoReceived,
    Invited,
    Pracked,
    Provisional,
    Reoffered,
)
from callwright.sip.message import Request, Response


def reliable(number: int) -> tuple[tuple[str, str], ...]:
    return (("Require", "100rel"), ("RSeq", str(number)))


def finishes(talk: Conversation, handle: str, invite: Request) -> None:
    talk.answers(invite, 200, body=ANSWER)
    talk.expects("ACK")
    talk.hears(Answered)
    talk.core.bye(handle, talk.now)
    talk.answers(talk.expects_request("BYE"), 200)
    talk.hears(ByeDone)


# --- we call -------------------------------------------------------------------------------------------------------


def test_a_reliable_ringing_gets_its_prack_once_and_in_order() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        assert "100rel" in (invite.headers.get("supported") or "")
        ringing = talk.answers(invite, 183, body=ANSWER, headers=reliable(7))
        prack = talk.expects_request("PRACK")
        assert prack.headers.get("rack") == "7 1 INVITE"
        assert prack.head.cseq == 2
        assert prack.head.to.tag == "bob"
        assert talk.hears_one(Provisional).body == ANSWER
        talk.feeds(ringing)  # a repetition: its PRACK is being repeated anyway
        talk.answers(invite, 180, headers=reliable(9))  # 8 is missing: it will be repeated
        talk.expects()
        talk.hears()
        talk.waits(0.5)
        talk.expects("PRACK")
        talk.answers(prack, 200)
        talk.answers(invite, 180, headers=reliable(8))
        second = talk.expects_request("PRACK")
        assert (second.headers.get("rack"), second.head.cseq) == ("8 1 INVITE", 3)
        talk.hears(Provisional)
        talk.answers(second, 200)
        talk.answers(invite, 200, body=ANSWER)
        talk.expects("ACK")
        talk.hears(Answered)
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE")
        assert bye.head.cseq == 4  # above what the early dialog had used
        talk.answers(bye, 200)
        talk.hears(ByeDone)


def test_every_telephone_of_a_fork_has_its_own_order() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        for tag, number in (("bob", 100), ("eve", 5)):
            talk.answers(invite, 180, tag=tag, headers=reliable(number))
            prack = talk.expects_request("PRACK")
            assert prack.head.to.tag == tag
            talk.answers(prack, 200)
            talk.hears(Provisional)
        finishes(talk, handle, invite)


def test_a_challenged_prack_is_sent_again_with_credentials() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(plan(credentials=Credentials(user="a", password="b")))
        talk.answers(invite, 180, headers=reliable(1))
        talk.hears(Provisional)
        challenge = (("WWW-Authenticate", make_challenge(realm="r", nonce="n", algorithm="MD5")),)
        talk.answers(talk.expects_request("PRACK"), 401, headers=challenge)
        again = talk.expects_request("PRACK")
        assert (again.headers.get("authorization") or "").startswith("Digest ")
        talk.answers(again, 200)
        finishes(talk, handle, invite)


@pytest.mark.parametrize(
    "headers", [(("Require", "100rel"),), (("Require", "100rel"), ("RSeq", "x")), (("RSeq", "1"),)]
)
def test_what_is_not_properly_reliable_just_rings(headers: tuple[tuple[str, str], ...]) -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180, headers=headers)
        talk.expects()
        talk.hears(Provisional)
        finishes(talk, handle, invite)


def test_update_before_the_answer_is_offered_up_once_there_was_an_agreement() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180)
        talk.hears(Provisional)
        talk.asks("UPDATE", invite, cseq=1, body=OFFER)
        talk.expects("488 UPDATE")  # no offer was answered reliably yet
        talk.answers(invite, 183, body=ANSWER, headers=reliable(1))
        talk.answers(talk.expects_request("PRACK"), 200)
        talk.hears(Provisional)
        talk.asks("UPDATE", invite, cseq=2, body=OFFER)
        assert talk.hears_one(Reoffered).method == "UPDATE"
        talk.core.answer_reinvite(handle, ANSWER, talk.now)
        assert talk.expects_response("200 UPDATE").body == ANSWER
        finishes(talk, handle, invite)


def offers_before_the_answer(talk: Conversation, invite: Request) -> None:
    """Have the far end agree on sound reliably, and offer anew by UPDATE, which nobody answers."""
    talk.answers(invite, 183, body=ANSWER, headers=reliable(1))
    talk.answers(talk.expects_request("PRACK"), 200)
    talk.hears(Provisional)
    talk.asks("UPDATE", invite, body=OFFER)
    talk.hears(Reoffered)


def test_an_update_that_waits_when_the_call_is_refused_is_refused_too() -> None:
    with Conversation() as talk:
        _, invite = talk.calls()
        offers_before_the_answer(talk, invite)
        talk.answers(invite, 486)
        talk.expects("ACK", "487 UPDATE")
        talk.hears(Failed)


def test_an_update_that_waits_when_another_invite_must_be_sent_is_refused() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(plan(credentials=Credentials(user="a", password="b")))
        offers_before_the_answer(talk, invite)
        challenge = (("WWW-Authenticate", make_challenge(realm="r", nonce="n", algorithm="MD5")),)
        talk.answers(invite, 401, headers=challenge)
        again = talk.expects("ACK", "487 UPDATE", "INVITE")[2]
        assert isinstance(again, Request)
        finishes(talk, handle, again)


def test_of_several_telephones_that_ring_each_can_speak_before_the_answer() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        for tag in ("bob", "eve"):
            talk.answers(invite, 180, tag=tag)
            talk.hears(Provisional)
        talk.asks("INFO", invite, tag="eve")
        talk.expects("200 INFO")
        talk.hears(InfoReceived)
        talk.asks("INFO", invite, tag="mallory")
        talk.expects("481 INFO")
        finishes(talk, handle, invite)


# --- we are called -------------------------------------------------------------------------------------------------


def rings(
    talk: Conversation, core: SipCore, *, code: int = 183, body: bytes = ANSWER, option: str = "Supported"
) -> tuple[str, Response]:
    """Have somebody call who knows 100rel and hear a reliable provisional answer."""
    talk.feeds(request_from_peer("INVITE", body=OFFER, headers=((option, "100rel"),)))
    invited = talk.hears_one(Invited)
    core.respond(invited.handle, code, body=body, now=talk.now, reliable=option == "Supported")
    answer = talk.expects_response(f"{code} INVITE")
    assert answer.headers.get("require") == "100rel"
    return invited.handle, answer


def pracks(talk: Conversation, answer: Response, *, cseq: int = 2, rack: str | None = None, body: bytes = b"") -> None:
    talk.feeds(
        request_from_peer(
            "PRACK",
            branch=f"z9hG4bKprack{cseq}",
            to=answer.headers.get("to") or "",
            cseq=cseq,
            body=body,
            headers=(("RAck", rack or f"{answer.headers.get('rseq')} 1 INVITE"),),
        )
    )


@pytest.mark.parametrize("option", ["Supported", "Require"])
def test_a_reliable_answer_is_repeated_until_its_prack_and_the_2xx_waits_for_it(option: str) -> None:
    with Conversation() as talk:
        handle, first = rings(talk, talk.core, option=option)
        talk.waits(0.6)
        talk.expects("183 INVITE")
        talk.core.respond(handle, 180, now=talk.now, reliable=True)
        talk.core.respond(handle, 200, body=ANSWER, now=talk.now)
        talk.expects()
        pracks(talk, first, rack="77 1 INVITE")
        talk.expects("481 PRACK")
        pracks(talk, first, cseq=3)
        _, second = talk.expects("200 PRACK", "180 INVITE")
        talk.hears(Pracked)
        assert isinstance(second, Response)
        assert int(second.headers.get("rseq") or "0") == int(first.headers.get("rseq") or "0") + 1
        pracks(talk, second, cseq=4)
        talk.expects("200 PRACK", "200 INVITE")
        talk.hears(Pracked)
        talk.feeds(request_from_peer("ACK", to=second.headers.get("to") or ""))
        talk.hears(Acked)
        talk.core.bye(handle, talk.now)
        talk.answers(talk.expects_request("BYE"), 200)
        talk.hears(ByeDone)


def test_a_caller_who_does_not_know_100rel_gets_plain_ringing() -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer("INVITE", body=OFFER))
        handle = talk.hears_one(Invited).handle
        talk.core.respond(handle, 180, now=talk.now, reliable=True)
        assert talk.expects_response("180 INVITE").headers.get("rseq") is None
        talk.core.respond(handle, 486, now=talk.now)
        refusal = talk.expects_response("486 INVITE")
        talk.feeds(request_from_peer("ACK", to=refusal.headers.get("to") or ""))


def test_without_prack_the_call_ends_with_504() -> None:
    with Conversation() as talk:
        rings(talk, talk.core)
        talk.waits(31.9)
        talk.core.take_sends()
        talk.waits(0.2)
        refusal = talk.expects_response("504 INVITE")
        assert talk.hears_one(ByeDone).cause == "our reliable provisional answer was never acknowledged"
        talk.feeds(request_from_peer("ACK", to=refusal.headers.get("to") or ""))


def test_a_refusal_or_a_cancel_does_not_wait_for_the_prack() -> None:
    with Conversation() as talk:
        handle, answer = rings(talk, talk.core)
        talk.core.respond(handle, 486, now=talk.now)
        talk.expects("486 INVITE")
        talk.feeds(request_from_peer("ACK", to=answer.headers.get("to") or ""))
        talk.waits(40)
        talk.expects()
    with Conversation() as talk:
        rings(talk, talk.core)
        talk.feeds(request_from_peer("CANCEL"))
        talk.expects("200 CANCEL", "487 INVITE")
        talk.hears(CancelledByPeer)
        talk.feeds(request_from_peer("ACK", to=answer.headers.get("to") or ""))


def test_an_offer_within_prack_is_answered_in_its_200() -> None:
    with Conversation() as talk:
        handle, first = rings(talk, talk.core)
        pracks(talk, first)
        talk.expects("200 PRACK")
        talk.hears(Pracked)
        talk.core.respond(handle, 180, now=talk.now, reliable=True)
        second = talk.expects_response("180 INVITE")
        pracks(talk, second, cseq=3, body=OFFER)
        assert talk.hears_one(Reoffered).method == "PRACK"
        talk.core.answer_reinvite(handle, ANSWER, talk.now)
        assert talk.expects_response("200 PRACK").body == ANSWER
        talk.core.respond(handle, 486, now=talk.now)
        refusal = talk.expects_response("486 INVITE")
        talk.feeds(request_from_peer("ACK", to=refusal.headers.get("to") or ""))


def test_a_cancel_carries_its_reason() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180)
        talk.hears(Provisional)
        talk.core.cancel(handle, talk.now, 'SIP;cause=200;text="Call completed elsewhere"')
        cancel = talk.expects_request("CANCEL")
        assert (cancel.headers.get("reason") or "").startswith("SIP;cause=200")
        talk.answers(cancel, 200)
        talk.answers(invite, 487)
        talk.expects("ACK")
        talk.hears(Failed)
