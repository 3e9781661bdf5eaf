"""Within a dialog: BYE both ways, new offers both ways, INFO, OPTIONS, and what is refused (RFC 3261 12.2, 14, 15)."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import ANSWER, OFFER, PEER, Conversation, plan

from callwright.sip.core import Credentials
from callwright.sip.errors import UnsafeText, WrongMoment
from callwright.sip.event import (
    Acked,
    ByeDone,
    Ended,
    InfoReceived,
    ReofferAnswered,
    Reoffered,
    ReofferRefused,
)
from callwright.sip.headers import Headers
from callwright.sip.message import Request

ALICE = Credentials(user="alice", password="secret")
CHALLENGE = ("WWW-Authenticate", 'Digest realm="trunk", nonce="n1", algorithm=SHA-256, qop="auth"')


def hang_up(talk: Conversation, handle: str) -> None:
    talk.core.bye(handle, talk.now)
    talk.answers(talk.expects_request("BYE"), 200)
    talk.hears(ByeDone)


# --- BYE -------------------------------------------------------------------------------------------------------------


def test_bye_of_the_far_end_is_answered_and_ends_the_call() -> None:
    with Conversation() as talk:
        _, invite = talk.calls_and_is_answered()
        bye = talk.asks("BYE", invite)
        talk.expects("200 BYE", to=PEER)
        assert ("From", bye.headers.get("from")) in talk.hears_one(Ended).headers
        talk.feeds(bye)
        talk.expects("200 BYE")
        talk.asks("BYE", invite, cseq=2)
        talk.expects("481 BYE")


def test_bye_carries_the_reason_it_was_given() -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered()
        talk.core.bye(handle, talk.now, 'Q.850;cause=16;text="done"')
        bye = talk.expects_request("BYE")
        assert bye.headers.get("reason") == 'Q.850;cause=16;text="done"'
        talk.answers(bye, 200)
        assert talk.hears_one(ByeDone).code == 200


def test_a_reason_with_a_line_break_is_refused_and_the_call_stays() -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered()
        with pytest.raises(UnsafeText):
            talk.core.bye(handle, talk.now, "SIP;cause=200\r\nRoute: <sip:evil>")
        talk.expects()
        hang_up(talk, handle)


def test_bye_is_repeated_up_to_t2_and_ends_by_itself_after_timer_f() -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered()
        talk.core.bye(handle, talk.now)
        talk.expects("BYE")
        for distance in (0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0):
            talk.waits(distance - 0.001)
            talk.expects()
            talk.waits(0.001)
            talk.expects("BYE")
        talk.waits(0.5)
        done = talk.hears_one(ByeDone)
        assert (done.code, done.local, done.at) == (408, True, 32.0)


@pytest.mark.parametrize("code", [200, 202, 404, 481, 500, 603])
def test_any_final_answer_to_bye_ends_the_call(code: int) -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered()
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE")
        talk.answers(bye, 100)
        talk.hears()
        talk.answers(bye, code)
        assert talk.hears_one(ByeDone).code == code
        talk.answers(bye, code)


def test_crossing_byes_are_both_answered_and_end_the_call_once() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE")
        talk.asks("BYE", invite)
        talk.expects("200 BYE")
        assert talk.hears_one(ByeDone).code == 200
        talk.answers(bye, 481)


@pytest.mark.parametrize(("code", "name"), [(401, "authorization"), (407, "proxy-authorization")])
def test_a_challenged_bye_is_sent_again_with_credentials(code: int, name: str) -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered(plan(credentials=ALICE))
        talk.core.bye(handle, talk.now, "SIP;cause=200")
        bye = talk.expects_request("BYE")
        challenge = CHALLENGE if code == 401 else ("Proxy-Authenticate", CHALLENGE[1])
        talk.answers(bye, code, headers=(challenge,))
        again = talk.expects_request("BYE")
        assert "algorithm=SHA-256" in (again.headers.get(name) or "")
        assert again.headers.get("reason") == "SIP;cause=200"
        assert again.head.cseq == bye.head.cseq + 1
        talk.answers(again, code, headers=(challenge,))
        assert talk.hears_one(ByeDone).code == code


def test_bye_whatever_its_cseq_ends_the_call() -> None:
    with Conversation() as talk:
        _, invite = talk.calls_and_is_answered()
        talk.asks("INFO", invite, cseq=9)
        talk.expects("200 INFO")
        talk.hears(InfoReceived)
        talk.asks("BYE", invite, cseq=3)
        talk.expects("200 BYE")
        talk.hears(Ended)


def test_bye_that_cannot_be_sent_ends_the_call_with_503() -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered()
        talk.core.bye(handle, talk.now)
        talk.core.send_failed(talk.core.take_sends()[0], talk.now)
        done = talk.hears_one(ByeDone)
        assert (done.code, done.local) == (503, True)


# --- offers of the peer ----------------------------------------------------------------------------------------------


def test_reinvite_is_answered_and_the_answer_repeated_until_its_ack() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.asks("INVITE", invite, body=OFFER, branch="z9hG4bKre")
        offered = talk.hears_one(Reoffered)
        assert (offered.method, offered.body, offered.content_type) == ("INVITE", OFFER, "application/sdp")
        talk.waits(0.2)
        talk.expects("100 INVITE")
        talk.core.answer_reinvite(handle, ANSWER, talk.now)
        answer = talk.expects_response("200 INVITE")
        assert answer.body == ANSWER
        for distance in (0.5, 1.0, 2.0, 4.0, 4.0):
            talk.waits(distance)
            talk.expects("200 INVITE")
        talk.asks("ACK", invite, body=b"v=0 late")
        assert talk.hears_one(Acked).body == b"v=0 late"
        talk.waits(50)
        hang_up(talk, handle)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_offer_moves_the_remote_target(method: str) -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        first = talk.asks("UPDATE", invite, cseq=1)
        talk.expects("200 UPDATE")
        new = {"Contact": "<sip:bob@192.0.2.50>", "CSeq": f"2 {method}", "Via": "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKm"}
        pairs = [(name, new.get(name, value)) for name, value in first.headers.pairs]
        talk.feeds(Request(method=method, uri=first.uri, headers=Headers(pairs)))
        if method == "INVITE":
            talk.hears(Reoffered)
            talk.core.answer_reinvite(handle, OFFER, talk.now)
            talk.expects("200 INVITE")
            talk.asks("ACK", invite, cseq=2)
            talk.hears(Acked)
        else:
            talk.expects("200 UPDATE")
        talk.core.bye(handle, talk.now)
        talk.answers(talk.expects_request("BYE", to=("192.0.2.50", 5060)), 200)
        talk.hears(ByeDone)


def test_second_invite_while_first_is_pending_is_answered_500_with_retry_after() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.asks("INVITE", invite, cseq=1, body=OFFER)
        talk.hears(Reoffered)
        second = talk.asks("INVITE", invite, cseq=2, body=OFFER)
        refusal = talk.expects_response("500 INVITE")
        assert 0 <= int(refusal.headers.get("retry-after") or "-1") <= 10
        talk.asks("ACK", invite, cseq=2, branch=second.head.via.branch)
        talk.core.answer_reinvite(handle, ANSWER, talk.now)
        talk.expects("200 INVITE")
        talk.asks("ACK", invite, cseq=1)
        talk.hears(Acked)
        hang_up(talk, handle)


def test_reinvite_while_ours_is_under_way_is_answered_491() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.core.reoffer(handle, OFFER, talk.now)
        ours = talk.expects_request("INVITE")
        theirs = talk.asks("INVITE", invite, body=OFFER)
        talk.expects("491 INVITE")
        talk.asks("ACK", invite, branch=theirs.head.via.branch)
        talk.answers(ours, 491)
        talk.expects("ACK")
        talk.hears()
        asked_at = talk.now
        talk.waits_for_a_send(10)
        assert 2.1 <= talk.now - asked_at <= 4.0  # the Call-ID is ours (RFC 3261 section 14.1)
        again = talk.expects_request("INVITE")
        assert again.body == OFFER
        talk.answers(again, 200, body=ANSWER)
        talk.expects("ACK")
        talk.hears(ReofferAnswered)
        hang_up(talk, handle)


def test_a_glare_without_end_is_told() -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered()
        talk.core.reoffer(handle, OFFER, talk.now, "UPDATE")
        for _ in range(6):
            talk.hears()
            talk.answers(talk.expects_request("UPDATE"), 491)
            talk.waits_for_a_send(4.5)
        assert talk.hears_one(ReofferRefused).code == 491
        hang_up(talk, handle)


def test_reinvite_with_an_old_cseq_is_answered_500() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.asks("INFO", invite, cseq=5)
        talk.expects("200 INFO")
        talk.hears(InfoReceived)
        late = talk.asks("INVITE", invite, cseq=5, body=OFFER)
        talk.expects("500 INVITE")
        talk.asks("ACK", invite, cseq=5, branch=late.head.via.branch)
        hang_up(talk, handle)


def test_a_cancelled_reinvite_is_withdrawn_and_the_call_goes_on() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        offer = talk.asks("INVITE", invite, body=OFFER)
        talk.hears(Reoffered)
        talk.asks("CANCEL", invite, branch=offer.head.via.branch)
        talk.expects("200 CANCEL", "487 INVITE")
        talk.asks("ACK", invite, branch=offer.head.via.branch)
        with pytest.raises(WrongMoment):
            talk.core.answer_reinvite(handle, ANSWER, talk.now)
        hang_up(talk, handle)


def test_hanging_up_refuses_the_offer_that_waits() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        offer = talk.asks("INVITE", invite, body=OFFER)
        talk.hears(Reoffered)
        talk.core.bye(handle, talk.now)
        bye = talk.expects("487 INVITE", "BYE")[1]
        talk.asks("ACK", invite, branch=offer.head.via.branch)
        assert isinstance(bye, Request)
        talk.answers(bye, 200)
        talk.hears(ByeDone)


def test_a_reinvite_answer_nobody_acknowledges_ends_the_call_with_bye() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.asks("INVITE", invite, body=OFFER)
        talk.hears(Reoffered)
        talk.core.answer_reinvite(handle, ANSWER, talk.now)
        talk.waits(31.9)
        repeats = talk.core.take_sends()
        assert len(repeats) == 11
        talk.waits(0.1)
        bye = talk.expects_request("BYE")
        talk.answers(bye, 200)
        assert "acknowledged" in talk.hears_one(ByeDone).cause


def test_an_offer_of_something_else_than_sdp_is_refused() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        pairs = talk.asks("OPTIONS", invite).headers.pairs
        talk.expects("200 OPTIONS")
        new = {"CSeq": "2 UPDATE", "Via": "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKx"}
        headers = [(name, new.get(name, value)) for name, value in pairs] + [("Content-Type", "text/xml")]
        talk.feeds(Request(method="UPDATE", uri="sip:me@192.0.2.1", headers=Headers(headers), body=b"<xml/>"))
        talk.expects("415 UPDATE")
        hang_up(talk, handle)


def test_an_offer_may_be_refused_and_the_call_goes_on() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.asks("UPDATE", invite, body=OFFER)
        talk.hears(Reoffered)
        talk.core.refuse_reinvite(handle, 488, "", talk.now)
        talk.expects("488 UPDATE")
        hang_up(talk, handle)


def test_update_with_an_offer_is_answered_like_a_reinvite() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.asks("UPDATE", invite, body=OFFER)
        assert talk.hears_one(Reoffered).method == "UPDATE"
        talk.core.answer_reinvite(handle, ANSWER, talk.now)
        assert talk.expects_response("200 UPDATE").body == ANSWER
        talk.waits(60)
        hang_up(talk, handle)


def test_answering_an_offer_nobody_made_is_refused() -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered()
        with pytest.raises(WrongMoment):
            talk.core.answer_reinvite(handle, ANSWER, talk.now)
        with pytest.raises(WrongMoment):
            talk.core.refuse_reinvite(handle, 488, "", talk.now)
        hang_up(talk, handle)


# --- our own offers --------------------------------------------------------------------------------------------------


def test_our_reinvite_is_acknowledged_again_when_its_answer_is_repeated() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.core.reoffer(handle, OFFER, talk.now)
        ours = talk.expects_request("INVITE")
        assert ours.head.to.tag == "bob"
        assert ours.head.cseq == invite.head.cseq + 1
        talk.answers(ours, 100)
        answer = talk.answers(ours, 200, body=ANSWER)
        ack = talk.expects_request("ACK")
        assert ack.head.cseq == ours.head.cseq
        assert talk.hears_one(ReofferAnswered).body == ANSWER
        talk.feeds(answer)
        assert talk.expects_request("ACK") == ack
        talk.waits(100)
        talk.feeds(answer)
        assert talk.expects_request("ACK") == ack
        hang_up(talk, handle)


def test_our_reinvite_answers_a_challenge_and_may_be_refused_or_ignored() -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered(plan(credentials=ALICE))
        talk.core.reoffer(handle, OFFER, talk.now)
        with pytest.raises(WrongMoment):
            talk.core.reoffer(handle, OFFER, talk.now)
        talk.answers(talk.expects_request("INVITE"), 401, headers=(CHALLENGE,))
        again = talk.expects("ACK", "INVITE")[1]
        assert isinstance(again, Request)
        talk.answers(again, 488)
        talk.expects("ACK")
        assert talk.hears_one(ReofferRefused).code == 488
        talk.core.reoffer(handle, OFFER, talk.now)
        talk.waits(32)
        talk.core.take_sends()
        refused = talk.hears_one(ReofferRefused)
        assert (refused.code, refused.local) == (408, True)
        hang_up(talk, handle)


def test_a_call_that_ends_during_our_reinvite_forgets_it() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.core.reoffer(handle, OFFER, talk.now)
        talk.answers(talk.expects_request("INVITE"), 100)
        talk.asks("BYE", invite)
        talk.expects("200 BYE")
        talk.hears(Ended)


# --- other requests --------------------------------------------------------------------------------------------------


def test_info_is_answered_and_handed_up() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.asks("INFO", invite, body=b"Signal=5\r\nDuration=160\r\n")
        talk.expects("200 INFO")
        info = talk.hears_one(InfoReceived)
        assert (info.content_type, info.body) == ("application/sdp", b"Signal=5\r\nDuration=160\r\n")
        hang_up(talk, handle)


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("OPTIONS", 200),
        ("REFER", 603),
        ("SUBSCRIBE", 405),
        ("NOTIFY", 405),
        ("MESSAGE", 405),
        ("PRACK", 481),
        ("X", 405),
    ],
)
def test_other_methods_within_a_call_get_a_polite_answer(method: str, code: int) -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.asks(method, invite)
        answer = talk.expects_response(f"{code} {method}")
        if code in (200, 405):
            assert "INVITE" in (answer.headers.get("allow") or "")
        hang_up(talk, handle)


def test_a_request_with_the_wrong_remote_tag_is_answered_481() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls_and_is_answered()
        talk.asks("BYE", invite, tag="eve")
        talk.expects("481 BYE")
        talk.hears()
        hang_up(talk, handle)
