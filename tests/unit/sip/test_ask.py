"""Requests outside of calls: how they look, how challenges are answered, how they end."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import PEER, Conversation

from callwright.sip.ask import AskPlan
from callwright.sip.auth import Credentials
from callwright.sip.errors import UnsafeText
from callwright.sip.event import AskDone

PLAN = AskPlan(
    method="REGISTER",
    request_uri="sip:carrier.example",
    next_hop=PEER,
    from_uri="sip:alice@carrier.example",
    to_uri="sip:alice@carrier.example",
    headers=(("Expires", "600"),),
    credentials=Credentials(user="alice", password="open sesame"),
    contact_user="alice",
)
CHALLENGE = ("WWW-Authenticate", 'Digest realm="carrier", nonce="n", qop="auth"')


def test_the_answer_is_told_with_its_headers_and_the_numbers_of_the_request() -> None:
    with Conversation() as talk:
        handle = talk.core.ask(PLAN, talk.now)
        request = talk.expects_request("REGISTER")
        assert request.uri == "sip:carrier.example"
        assert request.headers.get("contact") == "<sip:alice@192.0.2.1:5060>"
        assert request.headers.get("expires") == "600"
        talk.answers(request, 200, headers=(("Expires", "300"),))
        done = talk.hears_one(AskDone)
        assert (done.handle, done.code, done.challenged, done.local) == (handle, 200, False, False)
        assert ("Expires", "300") in done.headers
        assert (done.call_id, done.cseq) == (request.head.call_id, 1)


def test_a_challenge_is_answered_with_the_next_number_of_the_same_series() -> None:
    with Conversation() as talk:
        talk.core.ask(PLAN, talk.now)
        first = talk.expects_request("REGISTER")
        talk.answers(first, 401, headers=(CHALLENGE,))
        second = talk.expects_request("REGISTER")
        assert 'username="alice"' in (second.headers.get("authorization") or "")
        assert (second.head.call_id, second.head.cseq) == (first.head.call_id, 2)
        talk.answers(second, 200)
        done = talk.hears_one(AskDone)
        assert (done.code, done.cseq, done.challenged) == (200, 2, True)


def test_a_refused_password_is_not_tried_again() -> None:
    with Conversation() as talk:
        talk.core.ask(PLAN, talk.now)
        talk.answers(talk.expects_request("REGISTER"), 401, headers=(CHALLENGE,))
        talk.answers(talk.expects_request("REGISTER"), 401, headers=(CHALLENGE,))
        done = talk.hears_one(AskDone)
        assert (done.code, done.challenged) == (401, True)


def test_a_series_goes_on_with_its_call_id_and_number() -> None:
    with Conversation() as talk:
        plan = AskPlan(
            method="OPTIONS",
            request_uri="sip:a",
            next_hop=PEER,
            from_uri="sip:b",
            to_uri="sip:a",
            call_id="series",
            cseq=7,
        )
        talk.core.ask(plan, talk.now)
        request = talk.expects_request("OPTIONS")
        assert (request.head.call_id, request.head.cseq) == ("series", 7)
        assert request.headers.get("contact") == "<sip:192.0.2.1:5060>"
        talk.answers(request, 404)
        assert talk.hears_one(AskDone).code == 404


def test_provisional_answers_are_waited_through_and_silence_ends_with_408() -> None:
    with Conversation() as talk:
        talk.core.ask(PLAN, talk.now)
        talk.answers(talk.expects_request("REGISTER"), 100)
        talk.waits(32)
        talk.core.take_sends()
        done = talk.hears_one(AskDone)
        assert (done.code, done.local) == (408, True)


def test_texts_that_would_break_a_line_are_refused() -> None:
    with Conversation() as talk, pytest.raises(UnsafeText):
        talk.core.ask(
            AskPlan(method="OPTIONS", request_uri="sip:a\r\nX: y", next_hop=PEER, from_uri="sip:b", to_uri="sip:a"),
            talk.now,
        )
