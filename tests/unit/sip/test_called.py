"""The called side: answers, CANCEL, ACK, several telephones for one INVITE (RFC 3261 sections 9.2, 13.3, 15)."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import ANSWER, OFFER, PEER, Conversation, request_from_peer

from callwright.sip.auth import make_challenge, verify
from callwright.sip.core import Credentials
from callwright.sip.errors import UnknownCall, UnsafeText, WrongMoment
from callwright.sip.event import Acked, ByeDone, CancelledByPeer, Ended, ForkEnded, Invited
from callwright.sip.message import Request, Response


def is_called(talk: Conversation, **changes: object) -> tuple[str, Request]:
    """Feed an INVITE; returns the handle and the INVITE."""
    invite = request_from_peer("INVITE", **{"body": OFFER, **changes})  # type: ignore[arg-type]
    talk.feeds(invite)
    return talk.hears_one(Invited).handle, invite


def within(invite: Request, answer: Response, method: str, cseq: int, branch: str) -> Request:
    """Build a request of the caller in the dialog of our answer."""
    return request_from_peer(
        method, branch=branch, to=answer.headers.get("to") or "", cseq=cseq, call_id=invite.head.call_id
    )


def test_the_facts_of_the_invite_are_handed_up() -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer("INVITE", from_='"Bob \xe9" <sip:bob@example.com>;tag=bob', body=OFFER))
        invited = talk.hears_one(Invited)
        assert invited.from_display == "Bob \xe9"
        assert invited.from_uri == "sip:bob@example.com"
        assert invited.to_uri == "sip:me@example.com"
        assert invited.source == PEER
        assert (invited.body, invited.content_type) == (OFFER, "application/sdp")
        talk.core.respond(invited.handle, 486, now=talk.now)
        talk.expects("486 INVITE")


def test_100_goes_out_when_nobody_answers_for_200_ms() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        talk.waits(0.199)
        talk.feeds(invite)
        talk.expects()
        talk.waits(0.001)
        trying = talk.expects_response("100 INVITE")
        assert trying.head.to.tag == ""
        talk.feeds(invite)
        talk.expects("100 INVITE")
        talk.core.respond(handle, 404, now=talk.now)
        talk.core.take_sends()


def test_a_repeated_invite_gets_the_last_answer_again_and_no_second_call() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        talk.core.respond(handle, 180, now=talk.now)
        ringing = talk.expects_response("180 INVITE")
        assert ringing.head.to.tag
        talk.feeds(invite)
        assert talk.expects_response("180 INVITE") == ringing
        talk.core.respond(handle, 486, now=talk.now)
        busy = talk.expects_response("486 INVITE")
        assert busy.head.to.tag == ringing.head.to.tag
        talk.feeds(invite)
        assert talk.expects_response("486 INVITE") == busy
        talk.feeds(within(invite, busy, "ACK", 1, "z9hG4bKpeer"))
        talk.feeds(invite)
        talk.expects()


def test_a_refusal_is_repeated_until_its_ack() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        talk.core.respond(handle, 486, "No Time", now=talk.now)
        busy = talk.expects_response("486 INVITE")
        assert busy.reason == "No Time"
        for distance in (0.5, 1.0, 2.0, 4.0, 4.0):
            talk.waits(distance - 0.001)
            talk.expects()
            talk.waits(0.001)
            talk.expects("486 INVITE")
        talk.feeds(within(invite, busy, "ACK", 1, "z9hG4bKpeer"))
        talk.waits(60)
        talk.expects()


def test_an_answer_is_repeated_until_its_ack_and_then_the_caller_hangs_up() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk, headers=(("Record-Route", "<sip:proxy.example.com;lr>"),))
        assert talk.core.respond(handle, 200, body=ANSWER, now=talk.now)
        answer = talk.expects_response("200 INVITE", to=PEER)
        assert answer.headers.get("record-route") == "<sip:proxy.example.com;lr>"
        assert answer.headers.get("contact")
        assert answer.body == ANSWER
        talk.waits(0.5)
        assert talk.expects_response("200 INVITE") == answer
        talk.feeds(invite)
        talk.expects()  # the Accepted state swallows it
        talk.feeds(within(invite, answer, "ACK", 1, "z9hG4bKack"))
        assert talk.hears_one(Acked).tag == answer.head.to.tag
        talk.waits(40)
        talk.feeds(within(invite, answer, "ACK", 1, "z9hG4bKack"))
        talk.feeds(within(invite, answer, "BYE", 2, "z9hG4bKbye"))
        talk.expects("200 BYE")
        talk.hears(Ended)


def test_bye_waits_for_the_ack_and_goes_along_the_route() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk, headers=(("Record-Route", "<sip:proxy.example.com;lr>"),))
        talk.core.respond(handle, 200, body=ANSWER, now=talk.now)
        answer = talk.expects_response("200 INVITE")
        talk.core.bye(handle, talk.now, "SIP;cause=200")
        talk.expects()
        talk.feeds(within(invite, answer, "ACK", 1, "z9hG4bKack"))
        bye = talk.expects_request("BYE", to=("proxy.example.com", 0))
        assert bye.uri == "sip:bob@192.0.2.9:5060"
        assert bye.headers.get("reason") == "SIP;cause=200"
        assert bye.head.from_.tag == answer.head.to.tag
        talk.answers(bye, 200)
        talk.hears(Acked, ByeDone)


def test_an_answer_that_is_never_acknowledged_is_hung_up_after_64_t1() -> None:
    with Conversation() as talk:
        handle, _ = is_called(talk)
        talk.core.respond(handle, 200, body=ANSWER, now=talk.now)
        talk.waits(31.999)
        assert len(talk.core.take_sends()) == 11
        talk.waits(0.001)
        talk.answers(talk.expects_request("BYE"), 481)
        done = talk.hears_one(ByeDone)
        assert (done.code, done.cause) == (481, "our answer was never acknowledged")


def test_cancel_gets_200_and_the_invite_487() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        talk.core.respond(handle, 180, now=talk.now)
        ringing = talk.expects_response("180 INVITE")
        cancel = request_from_peer("CANCEL", headers=(("Reason", "SIP;cause=600"),))
        talk.feeds(cancel)
        ok, ended = talk.expects("200 CANCEL", "487 INVITE")
        assert ok.head.to.tag == ended.head.to.tag == ringing.head.to.tag
        assert ("Reason", "SIP;cause=600") in talk.hears_one(CancelledByPeer).headers
        talk.feeds(cancel)
        talk.expects("200 CANCEL")
        assert isinstance(ended, Response)
        talk.feeds(within(invite, ended, "ACK", 1, "z9hG4bKpeer"))
        assert not talk.core.respond(handle, 200, body=ANSWER, now=talk.now)
        talk.core.bye(handle, talk.now)
        talk.waits(100)
        assert not talk.core.respond(handle, 200, body=ANSWER, now=talk.now)


def test_cancel_after_the_answer_changes_nothing() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        talk.core.respond(handle, 200, body=ANSWER, now=talk.now)
        answer = talk.expects_response("200 INVITE")
        talk.feeds(request_from_peer("CANCEL"))
        talk.expects("200 CANCEL")
        talk.feeds(within(invite, answer, "ACK", 1, "z9hG4bKack"))
        talk.hears(Acked)
        talk.feeds(within(invite, answer, "BYE", 2, "z9hG4bKbye"))
        talk.expects("200 BYE")
        talk.hears(Ended)


def test_cancel_of_nothing_is_answered_481() -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer("CANCEL", branch="z9hG4bKstranger"))
        talk.expects("481 CANCEL")


def test_two_telephones_may_answer_one_invite() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        talk.core.respond(handle, 180, to_tag="one", now=talk.now)
        talk.core.respond(handle, 180, to_tag="two", now=talk.now)
        assert [m.head.to.tag for m in talk.expects("180 INVITE", "180 INVITE")] == ["one", "two"]
        assert talk.core.respond(handle, 200, body=ANSWER, to_tag="one", now=talk.now)
        assert talk.core.respond(handle, 200, body=ANSWER, to_tag="two", now=talk.now)
        assert not talk.core.respond(handle, 200, body=ANSWER, to_tag="two", now=talk.now)
        first, second = talk.expects("200 INVITE", "200 INVITE")
        assert isinstance(first, Response)
        assert isinstance(second, Response)
        talk.waits(0.5)
        talk.expects("200 INVITE", "200 INVITE")
        for number, answer in enumerate((first, second)):
            talk.feeds(within(invite, answer, "ACK", 1, f"z9hG4bKack{number}"))
        talk.hears(Acked, Acked)
        talk.feeds(within(invite, second, "BYE", 2, "z9hG4bKbye2"))
        talk.expects("200 BYE")
        assert talk.hears_one(ForkEnded).tag == "two"
        talk.feeds(within(invite, first, "BYE", 2, "z9hG4bKbye1"))
        talk.expects("200 BYE")
        talk.hears(Ended)


def test_bye_in_an_early_dialog_ends_the_invite() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        talk.core.respond(handle, 180, now=talk.now)
        ringing = talk.expects_response("180 INVITE")
        talk.feeds(within(invite, ringing, "BYE", 2, "z9hG4bKbye"))
        talk.expects("200 BYE", "487 INVITE")
        talk.hears(Ended)


def test_hanging_up_before_the_answer_declines() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        talk.core.bye(handle, talk.now)
        declined = talk.expects_response("603 INVITE")
        talk.feeds(within(invite, declined, "ACK", 1, "z9hG4bKpeer"))


def test_a_challenged_caller_calls_again_with_credentials() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        challenge = make_challenge(realm="sandbox", nonce="n0", algorithm="SHA-256")
        talk.core.respond(handle, 401, headers=(("WWW-Authenticate", challenge),), now=talk.now)
        refusal = talk.expects_response("401 INVITE")
        assert refusal.headers.get("www-authenticate") == challenge
        talk.feeds(within(invite, refusal, "ACK", 1, "z9hG4bKpeer"))
        again, second = is_called(talk, cseq=2, branch="z9hG4bKsecond", headers=(("Authorization", "Digest x=y"),))
        alice = Credentials(user="alice", password="secret")
        assert not verify("Digest x=y", method="INVITE", nonce="n0", realm="sandbox", credentials=alice)
        talk.core.respond(again, 403, now=talk.now)
        talk.feeds(within(second, talk.expects_response("403 INVITE"), "ACK", 2, "z9hG4bKsecond"))


def test_our_bye_answers_a_challenge_when_it_was_given_credentials() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk)
        talk.core.set_credentials(handle, Credentials(user="alice", password="secret"))
        talk.core.respond(handle, 200, body=ANSWER, now=talk.now)
        answer = talk.expects_response("200 INVITE")
        talk.feeds(within(invite, answer, "ACK", 1, "z9hG4bKack"))
        talk.hears(Acked)
        talk.core.bye(handle, talk.now)
        header = ("Proxy-Authenticate", make_challenge(realm="p", nonce="n1"))
        talk.answers(talk.expects_request("BYE"), 407, headers=(header,))
        again = talk.expects_request("BYE")
        assert "proxy-authorization" in {name.lower() for name, _ in again.headers.pairs}
        talk.answers(again, 200)
        talk.hears(ByeDone)


def test_the_same_invite_by_two_ways_is_answered_482() -> None:
    with Conversation() as talk:
        handle, _ = is_called(talk)
        talk.feeds(request_from_peer("INVITE", branch="z9hG4bKother", body=OFFER))
        talk.expects("482 INVITE")
        talk.core.respond(handle, 486, now=talk.now)
        talk.core.take_sends()
        talk.waits(60)
        talk.core.take_sends()


def test_an_invite_of_rfc_2543_without_cookie_or_contact_is_served() -> None:
    with Conversation() as talk:
        handle, invite = is_called(talk, via=f"SIP/2.0/UDP {PEER[0]}", contact=None)
        talk.feeds(invite)
        talk.hears()
        talk.core.respond(handle, 200, body=ANSWER, now=talk.now)
        answer = talk.expects_response("200 INVITE", to=(PEER[0], 5060))
        ack = request_from_peer("ACK", via=f"SIP/2.0/UDP {PEER[0]}", to=answer.headers.get("to") or "")
        talk.feeds(ack)
        talk.hears(Acked)
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE", to=PEER)
        assert bye.uri == "sip:bob@example.com"
        talk.answers(bye, 200)
        talk.hears(ByeDone)


def test_responding_to_nothing_or_with_nonsense_is_refused() -> None:
    with Conversation() as talk:
        assert not talk.core.respond("nobody", 200, now=talk.now)
        ours, invite = talk.calls()
        with pytest.raises(UnknownCall):
            talk.core.respond(ours, 200, now=talk.now)
        talk.answers(invite, 486)
        talk.expects("ACK")
        talk.core.take_events()
        handle, _ = is_called(talk)
        with pytest.raises(WrongMoment):
            talk.core.respond(handle, 99, now=talk.now)
        with pytest.raises(UnsafeText):
            talk.core.respond(handle, 180, "Ring\r\nVia: x", now=talk.now)
        with pytest.raises(UnsafeText):
            talk.core.respond(handle, 180, headers=(("X-Evil", "a\nb"),), now=talk.now)
        with pytest.raises(UnsafeText):
            talk.core.respond(handle, 180, to_tag="a;b", now=talk.now)
        with pytest.raises(WrongMoment):
            talk.core.export(handle)
        talk.expects()
        talk.core.respond(handle, 486, now=talk.now)
        talk.core.take_sends()
        talk.waits(60)
        talk.core.take_sends()


def test_an_invite_whose_contact_cannot_be_read_is_refused() -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer("INVITE", contact="<http://example.com>", body=OFFER))
        talk.expects("400 INVITE")
        talk.feeds(request_from_peer("INVITE", contact='"open', branch="z9hG4bK2", cseq=2, body=OFFER))
        talk.expects("400 INVITE")
        talk.hears()
        talk.waits(60)
        talk.core.take_sends()
