"""The calling side: INVITE, answers of one telephone and of several, refusals (RFC 3261 sections 13 and 17.1.1)."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import ANSWER, OFFER, PEER, US, Conversation, plan, response_to

from callwright.sip.core import InvitePlan
from callwright.sip.errors import UnsafeText
from callwright.sip.event import Answered, ByeDone, Ended, ExtraAnswer, Failed, Provisional, Trying
from callwright.sip.message import Request


def test_invite_carries_what_a_first_request_must() -> None:
    with Conversation() as talk:
        _, invite = talk.calls(plan(headers=(("X-Tenant", "7"),), from_display='Bob "B" \\ Ltd'))
        headers = invite.headers
        assert invite.uri == f"sip:100@{PEER[0]}:{PEER[1]}"
        assert invite.head.via.branch.startswith("z9hG4bK")
        assert "rport" in invite.head.via.params
        assert invite.head.from_.display == 'Bob "B" \\ Ltd'
        assert invite.head.from_.tag
        assert invite.head.to.tag == ""
        assert headers.get("max-forwards") == "70"
        assert headers.get("contact") == f"<sip:{US[0]}:{US[1]}>"
        assert headers.get("user-agent") == "callwright"
        assert "BYE" in (headers.get("allow") or "")
        assert headers.get("x-tenant") == "7"
        assert headers.get("content-type") == "application/sdp"
        assert invite.body == OFFER
        talk.answers(invite, 486)
        talk.expects("ACK")
        talk.hears(Failed)


def test_invite_is_repeated_at_doubling_distances_until_timer_b_gives_up() -> None:
    with Conversation() as talk:
        _, first = talk.calls()
        for distance in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
            talk.waits(distance - 0.001)
            talk.expects()
            talk.waits(0.001)
            assert talk.expects_request("INVITE") == first
        talk.waits(0.5)
        talk.expects()
        failed = talk.hears_one(Failed)
        assert (failed.code, failed.local, failed.at) == (408, True, 32.0)


def test_a_provisional_answer_stops_the_repetitions_for_good() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 100)
        talk.hears(Trying)
        talk.waits(200)
        talk.expects()
        talk.core.cancel(handle, talk.now)
        talk.expects("CANCEL")
        talk.answers(invite, 487)
        talk.expects("ACK")
        talk.hears(Failed)
        talk.core.take_sends()
        talk.waits(40)
        talk.core.take_sends()


def test_early_media_of_several_telephones_is_reported_with_their_tags() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 180, tag="one")
        talk.answers(invite, 183, tag="two", body=b"v=0 early")
        one, two = talk.hears(Provisional, Provisional)
        assert isinstance(one, Provisional)
        assert isinstance(two, Provisional)
        assert (one.code, one.tag, one.body) == (180, "one", b"")
        assert (two.code, two.tag, two.body) == (183, "two", b"v=0 early")
        talk.answers(invite, 200, tag="two", body=ANSWER)
        assert talk.expects_request("ACK").head.to.tag == "two"
        assert talk.hears_one(Answered).tag == "two"
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE")
        assert bye.head.to.tag == "two"
        talk.answers(bye, 200)
        talk.hears(ByeDone)


@pytest.mark.parametrize("code", [200, 486])
def test_an_answer_to_another_cseq_is_none(code: int) -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        garbled = response_to(invite, code, tag="bob").render().replace(b"CSeq: 1 INVITE", b"CSeq: 11 INVITE")
        talk.feeds(garbled)
        talk.hears()
        talk.expects()
        talk.answers(invite, 486)
        talk.expects("ACK")
        assert talk.hears_one(Failed).handle == handle


def test_answer_is_acknowledged_along_the_route_with_a_branch_of_its_own() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        routes = (("Record-Route", "<sip:near.example.com:5080;lr>, <sip:far.example.com;lr>"),)
        talk.answers(invite, 200, body=ANSWER, headers=routes, contact="<sip:bob@10.0.0.9:5099;transport=UDP>")
        ack = talk.expects_request("ACK", to=("far.example.com", 0))
        assert ack.uri == "sip:bob@10.0.0.9:5099;transport=UDP"
        assert ack.headers.all("route") == ["<sip:far.example.com;lr>", "<sip:near.example.com:5080;lr>"]
        assert ack.head.via.branch != invite.head.via.branch
        assert ack.head.cseq == invite.head.cseq
        answered = talk.hears_one(Answered)
        assert (answered.code, answered.body, answered.source) == (200, ANSWER, PEER)
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE", to=("far.example.com", 0))
        assert bye.uri == ack.uri
        assert bye.head.cseq == invite.head.cseq + 1
        talk.answers(bye, 200)
        talk.hears(ByeDone)


def test_a_strict_router_gets_its_own_uri_as_request_uri() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 200, headers=(("Record-Route", "<sip:old.example.com>"),), contact="<sip:bob@10.0.0.9>")
        ack = talk.expects_request("ACK", to=("old.example.com", 0))
        assert ack.uri == "sip:old.example.com"
        assert ack.headers.all("route") == ["<sip:bob@10.0.0.9>"]
        talk.hears(Answered)
        talk.core.bye(handle, talk.now)
        talk.answers(talk.expects_request("BYE"), 200)
        talk.hears(ByeDone)


@pytest.mark.parametrize("contact", [None, "not a contact at all <", "<tel:+4412>", "*"])
def test_without_a_usable_contact_requests_go_where_the_answer_came_from(contact: str | None) -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        response = response_to(invite, 200, tag="bob", contact=contact)
        talk.feeds(response, ("192.0.2.77", 6000))
        assert talk.expects_request("ACK", to=("192.0.2.77", 6000)).uri == invite.uri
        talk.hears(Answered)
        talk.core.bye(handle, talk.now)
        talk.answers(talk.expects_request("BYE", to=("192.0.2.77", 6000)), 200)
        talk.hears(ByeDone)


def test_every_repeated_answer_is_acknowledged_again_even_after_the_call() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        answer = talk.answers(invite, 200)
        ack = talk.expects_request("ACK")
        talk.hears(Answered)
        for _ in range(3):
            talk.waits(1)
            talk.feeds(answer)
            assert talk.expects_request("ACK") == ack
        talk.core.bye(handle, talk.now)
        talk.answers(talk.expects_request("BYE"), 200)
        talk.hears(ByeDone)
        talk.feeds(answer)
        assert talk.expects_request("ACK") == ack


def test_a_repeated_answer_is_acknowledged_after_its_transaction_is_gone() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        answer = talk.answers(invite, 200)
        talk.expects("ACK")
        talk.hears(Answered)
        talk.waits(100)
        talk.feeds(answer)
        talk.expects("ACK")
        talk.core.bye(handle, talk.now)
        talk.answers(talk.expects_request("BYE"), 200)
        talk.hears(ByeDone)


def test_the_answer_of_another_telephone_is_acknowledged_and_hung_up() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 200, tag="one")
        talk.expects("ACK")
        talk.hears(Answered)
        other = talk.answers(invite, 200, tag="two", contact="<sip:two@192.0.2.22>")
        ack, bye = talk.expects("ACK", "BYE", to=("192.0.2.22", 5060))
        assert ack.head.to.tag == bye.head.to.tag == "two"
        assert talk.hears_one(ExtraAnswer).tag == "two"
        talk.feeds(other)
        talk.expects("ACK")
        assert isinstance(bye, Request)
        talk.answers(bye, 200)
        talk.core.bye(handle, talk.now)
        mine = talk.expects_request("BYE")
        assert mine.head.to.tag == "one"
        talk.answers(mine, 200)
        talk.hears(ByeDone)


@pytest.mark.parametrize("code", [300, 404, 480, 486, 500, 503, 600, 603])
def test_a_refusal_is_acknowledged_in_its_transaction_and_ends_the_call(code: int) -> None:
    with Conversation() as talk:
        _, invite = talk.calls()
        refusal = talk.answers(invite, code, tag="x", headers=(("Retry-After", "5"),))
        ack = talk.expects_request("ACK", to=PEER)
        assert ack.uri == invite.uri
        assert ack.head.via.branch == invite.head.via.branch
        assert ack.head.to.tag == "x"
        assert ack.head.cseq == invite.head.cseq
        failed = talk.hears_one(Failed)
        assert (failed.code, failed.local) == (code, False)
        assert ("Retry-After", "5") in failed.headers
        talk.feeds(refusal)
        assert talk.expects_request("ACK") == ack


def test_an_invite_that_cannot_be_sent_fails_with_503_at_once() -> None:
    with Conversation() as talk:
        talk.core.invite(plan(), talk.now)
        send = talk.core.take_sends()[0]
        talk.core.send_failed(send, talk.now)
        failed = talk.hears_one(Failed)
        assert (failed.code, failed.local) == (503, True)


def test_the_far_end_hanging_up_before_its_answer_arrives_is_answered_and_ended() -> None:
    with Conversation() as talk:
        _, invite = talk.calls()
        talk.answers(invite, 180)
        talk.hears(Provisional)
        talk.asks("BYE", invite)
        talk.expects("200 BYE")
        talk.answers(invite, 200)
        talk.expects("ACK")
        talk.hears(Answered, Ended)


def test_more_forks_than_a_call_can_have_are_ignored() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        for number in range(200):
            talk.answers(invite, 200, tag=f"t{number}")
        acks = [send for send in talk.core.take_sends() if send.data.startswith(b"ACK")]
        assert len(acks) == 64
        talk.core.take_events()
        talk.core.bye(handle, talk.now)
        talk.waits(100)
        talk.core.take_sends()
        talk.hears(ByeDone)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("request_uri", "sip:100@192.0.2.9\r\nX: y"),
        ("request_uri", "sip:1 0@192.0.2.9"),
        ("request_uri", "no uri"),
        ("from_uri", "sip:me@example.com\n"),
        ("to_uri", "sip:a\x00b@example.com"),
        ("from_display", "Eve\r\nRoute: <sip:evil>"),
        ("from_display", "lone \ud800 surrogate"),
        ("content_type", "application/sdp\r\nX: y"),
        ("call_id", "a b"),
        ("call_id", ""),
        ("headers", (("X-Note", "a\rb"),)),
        ("headers", (("X Note", "ab"),)),
        ("headers", (("X-Note:", "ab"),)),
        ("headers", (("v", "SIP/2.0/UDP evil"),)),
        ("headers", (("Contact", "<sip:evil>"),)),
    ],
)
def test_texts_that_would_break_a_message_are_refused_before_anything_is_sent(field: str, value: object) -> None:
    with Conversation() as talk:
        values = {
            "request_uri": "sip:100@192.0.2.9",
            "next_hop": PEER,
            "from_uri": "sip:me@example.com",
            "to_uri": "sip:100@example.com",
            "body": OFFER,
        }
        bad = InvitePlan(**{**values, field: value})  # type: ignore[arg-type]
        with pytest.raises(UnsafeText):
            talk.core.invite(bad, talk.now)
