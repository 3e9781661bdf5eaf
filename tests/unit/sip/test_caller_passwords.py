"""Challenges to an INVITE and what answers them (RFC 3261 section 22)."""

from __future__ import annotations

from tests.support.sip_talk import ALICE, CHALLENGE, Conversation, plan

from callwright.sip.event import Answered, ByeDone, Failed
from callwright.sip.message import Request


def test_a_challenge_is_answered_with_the_next_cseq_and_the_same_call_id() -> None:
    with Conversation() as talk:
        handle, first = talk.calls(plan(credentials=ALICE))
        talk.answers(first, 401, headers=(CHALLENGE,))
        ack, second = talk.expects("ACK", "INVITE")
        assert isinstance(second, Request)
        assert ack.head.cseq == first.head.cseq
        assert second.head.cseq == first.head.cseq + 1
        assert second.head.call_id == first.head.call_id
        assert second.head.from_ == first.head.from_
        assert second.head.to.tag == ""
        assert second.head.via.branch != first.head.via.branch
        authorization = second.headers.get("authorization") or ""
        assert "nc=00000001" in authorization
        assert "secret" not in authorization
        talk.answers(second, 200)
        ack = talk.expects_request("ACK")
        assert ack.headers.get("authorization") == authorization
        assert ack.head.cseq == second.head.cseq
        talk.hears(Answered)
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE")
        assert bye.head.cseq == second.head.cseq + 1
        assert "nc=00000002" in (bye.headers.get("authorization") or "")
        talk.answers(bye, 200)
        talk.hears(ByeDone)


def test_a_refused_password_ends_the_call_and_a_stale_nonce_does_not() -> None:
    with Conversation() as talk:
        _, first = talk.calls(plan(credentials=ALICE))
        talk.answers(first, 407, headers=(("Proxy-Authenticate", 'Digest realm="p", nonce="n1"'),))
        second = talk.expects("ACK", "INVITE")[1]
        assert isinstance(second, Request)
        assert second.headers.get("proxy-authorization")
        talk.answers(second, 407, headers=(("Proxy-Authenticate", 'Digest realm="p", nonce="n2", stale=TRUE'),))
        third = talk.expects("ACK", "INVITE")[1]
        assert isinstance(third, Request)
        assert 'nonce="n2"' in (third.headers.get("proxy-authorization") or "")
        talk.answers(third, 407, headers=(("Proxy-Authenticate", 'Digest realm="p", nonce="n3"'),))
        talk.expects("ACK")
        assert talk.hears_one(Failed).code == 407


def test_a_challenge_without_credentials_is_a_refusal() -> None:
    with Conversation() as talk:
        _, invite = talk.calls()
        talk.answers(invite, 401, headers=(CHALLENGE,))
        talk.expects("ACK")
        assert talk.hears_one(Failed).code == 401


def test_proxy_and_far_end_may_both_ask_for_a_password() -> None:
    with Conversation() as talk:
        _, first = talk.calls(plan(credentials=ALICE))
        talk.answers(first, 407, headers=(("Proxy-Authenticate", 'Digest realm="p", nonce="n1"'),))
        second = talk.expects("ACK", "INVITE")[1]
        assert isinstance(second, Request)
        talk.answers(second, 401, headers=(CHALLENGE,))
        third = talk.expects("ACK", "INVITE")[1]
        assert isinstance(third, Request)
        assert third.headers.get("authorization")
        assert third.headers.get("proxy-authorization")
        talk.answers(third, 486)
        talk.expects("ACK")
        talk.hears(Failed)
