"""Session timers (RFC 4028): calls are refreshed, and one that nobody refreshes is hung up."""

from __future__ import annotations

import gc

import pytest
from msgspec.structs import replace
from tests.support.sip_talk import ANSWER, OFFER, Conversation, plan, request_from_peer

from callwright.sip.acks import Acks
from callwright.sip.errors import SipParseError
from callwright.sip.event import Acked, Answered, ByeDone, Ended, Failed, Invited, ReofferAnswered, Reoffered
from callwright.sip.headers import Headers
from callwright.sip.message import Request
from callwright.sip.session_timer import SessionExpires, answer_to, session_expires

TIMER = ("Supported", "timer")


def answered(talk: Conversation, *headers: tuple[str, str]) -> tuple[str, Request]:
    handle, invite = talk.calls()
    assert invite.headers.get("session-expires") == "1800"
    talk.answers(invite, 200, body=ANSWER, headers=headers)
    talk.expects("ACK")
    talk.hears(Answered)
    return handle, invite


def hang_up(talk: Conversation, handle: str) -> None:
    talk.core.bye(handle, talk.now)
    talk.answers(talk.expects_request("BYE"), 200)
    talk.hears(ByeDone)


def test_we_refresh_with_update_where_the_peer_takes_it() -> None:
    with Conversation() as talk:
        handle, _ = answered(talk, ("Session-Expires", "600;refresher=uac"), ("Allow", "INVITE, UPDATE"))
        for _ in range(3):
            talk.waits(299)
            talk.expects()
            talk.waits(1.2)
            update = talk.expects_request("UPDATE")
            assert update.body == b""
            assert update.headers.get("session-expires") == "600;refresher=uac"
            talk.answers(update, 200, headers=(("Session-Expires", "600;refresher=uac"),))
            talk.hears()
        hang_up(talk, handle)


def test_we_refresh_with_the_same_offer_where_update_is_not_taken() -> None:
    with Conversation() as talk:
        handle, invite = answered(talk, ("Session-Expires", "600;refresher=uac"), ("Allow", "INVITE"))
        talk.waits(300.2)
        refresh = talk.expects_request("INVITE")
        assert refresh.body == invite.body
        talk.answers(refresh, 200, body=ANSWER, headers=(("Session-Expires", "600;refresher=uac"),))
        talk.expects("ACK")
        assert talk.hears_one(ReofferAnswered).body == ANSWER
        hang_up(talk, handle)


@pytest.mark.parametrize("code", [408, 481])
def test_a_far_end_that_lost_the_call_is_hung_up(code: int) -> None:
    with Conversation() as talk:
        answered(talk, ("Session-Expires", "600;refresher=uac"), ("Allow", "UPDATE"))
        talk.waits(300.2)
        talk.answers(talk.expects_request("UPDATE"), code)
        bye = talk.expects_request("BYE")
        assert bye.headers.get("reason") == f"SIP;cause={code}"
        talk.answers(bye, 200)
        assert str(code) in talk.hears_one(ByeDone).cause


def test_a_refused_refresh_is_tried_again_and_then_the_call_ends() -> None:
    with Conversation() as talk:
        answered(talk, ("Session-Expires", "600;refresher=uac"), ("Allow", "UPDATE"))
        talk.waits(300.2)
        talk.answers(talk.expects_request("UPDATE"), 500)
        talk.waits(134)
        talk.answers(talk.expects_request("UPDATE"), 422, headers=(("Min-SE", "900"),))
        longer = talk.expects_request("UPDATE")
        assert longer.headers.get("session-expires") == "900;refresher=uac"
        talk.answers(longer, 200, headers=(("Session-Expires", "900;refresher=uac"),))
        talk.waits(450.2)
        for _ in range(30):
            sends = talk.core.take_sends()
            if any(send.data.startswith(b"BYE") for send in sends):
                break
            talk.waits(20)
        talk.waits(40)
        assert talk.core.take_sends()[-1].data.startswith(b"BYE")
        assert talk.hears_one(ByeDone).local


def test_the_peer_refreshes_and_when_it_stops_we_hang_up() -> None:
    with Conversation() as talk:
        _, invite = answered(talk, ("Session-Expires", "300;refresher=uas"))
        for cseq in (1, 2):
            talk.waits(150)
            refresh = request_from_peer(
                "UPDATE",
                branch=f"z9hG4bKr{cseq}",
                from_=f"{invite.headers.get('to')};tag=bob",
                to=invite.headers.get("from") or "",
                call_id=invite.head.call_id,
                cseq=cseq,
                headers=(("Session-Expires", "300;refresher=uac"), TIMER),
            )
            talk.feeds(refresh)
            answer = talk.expects_response("200 UPDATE")
            assert answer.headers.get("session-expires") == "300;refresher=uac"
            assert answer.headers.get("require") == "timer"
        talk.waits(267)
        talk.expects()
        talk.waits(1.2)
        bye = talk.expects_request("BYE")
        assert bye.headers.get("reason") == 'SIP;cause=408;text="session expired"'
        talk.answers(bye, 200)
        assert talk.hears_one(ByeDone).cause == "nobody refreshed the session"


def test_a_forgotten_call_leaves_nothing_for_the_garbage_collector() -> None:
    def remembered() -> int:
        return sum(isinstance(one, Acks) for one in gc.get_objects())

    with Conversation() as talk:
        gc.collect()
        before = remembered()
        handle, _invite = answered(talk, ("Session-Expires", "600;refresher=uac"))
        hang_up(talk, handle)
        gc.disable()
        try:
            assert remembered() == before + 1
            talk.waits(33)
            assert talk.core.dialogs() == 0
            assert remembered() == before
        finally:
            gc.enable()


def test_without_session_expires_in_the_answer_there_is_no_timer() -> None:
    with Conversation() as talk:
        handle, _ = answered(talk)
        talk.waits(20_000)
        talk.expects()
        hang_up(talk, handle)


def test_too_small_an_interval_is_raised_and_asked_again() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        talk.answers(invite, 422, headers=(("Min-SE", "3600"),))
        _, again = talk.expects("ACK", "INVITE")
        assert isinstance(again, Request)
        assert again.headers.get("session-expires") == "3600"
        assert again.headers.get("min-se") == "3600"
        assert again.head.cseq == 2
        talk.answers(again, 422, headers=(("Min-SE", "3600"),))
        talk.expects("ACK")
        failed = talk.hears_one(Failed)
        assert (failed.handle, failed.code) == (handle, 422)


def test_a_call_may_be_placed_without_a_session_timer() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(replace(plan(), session_expires_s=0))
        assert invite.headers.get("session-expires") is None
        talk.answers(invite, 200, headers=(("Session-Expires", "90;refresher=uac"),))
        talk.expects("ACK")
        talk.hears(Answered)
        talk.waits(1000)
        talk.expects()
        hang_up(talk, handle)


def test_as_the_called_side_we_agree_and_may_have_to_refresh() -> None:
    with Conversation() as talk:
        headers = (("Session-Expires", "200;refresher=uas"), TIMER, ("Allow", "INVITE, UPDATE"))
        talk.feeds(request_from_peer("INVITE", body=OFFER, headers=headers))
        handle = talk.hears_one(Invited).handle
        talk.core.respond(handle, 200, body=ANSWER, now=talk.now)
        answer = talk.expects_response("200 INVITE")
        assert answer.headers.get("session-expires") == "200;refresher=uas"
        assert answer.headers.get("require") is None
        talk.feeds(request_from_peer("ACK", to=answer.headers.get("to") or ""))
        talk.hears(Acked)
        talk.waits(100.2)
        update = talk.expects_request("UPDATE")
        assert update.headers.get("session-expires") == "200;refresher=uac"  # of this transaction we are the client
        talk.answers(update, 200, headers=(("Session-Expires", "200;refresher=uac"),))
        talk.waits(100.2)
        talk.answers(talk.expects_request("UPDATE"), 200)  # no timer any more
        talk.waits(1000)
        talk.expects()
        hang_up(talk, handle)


def test_a_refresh_waits_while_another_offer_is_open() -> None:
    with Conversation() as talk:
        handle, invite = answered(talk, ("Session-Expires", "600;refresher=uac"), ("Allow", "UPDATE"))
        talk.waits(290)
        talk.asks("INVITE", invite, body=OFFER)
        talk.hears(Reoffered)
        talk.waits(15)
        assert [send for send in talk.core.take_sends() if send.data.startswith(b"UPDATE")] == []
        talk.core.answer_reinvite(handle, ANSWER, talk.now)
        talk.expects("200 INVITE")
        talk.asks("ACK", invite)
        talk.hears(Acked)
        talk.asks("BYE", invite, cseq=2)
        talk.expects("200 BYE")
        talk.hears(Ended)


@pytest.mark.parametrize("value", ["", "soon", "-1", "99999999999", '90;refresher="'])
def test_an_unreadable_interval_is_an_error(value: str) -> None:
    with pytest.raises(SipParseError):
        session_expires(Headers([("Session-Expires", value)]))


@pytest.mark.parametrize(
    ("pairs", "agreed"),
    [
        ([("Session-Expires", "600"), TIMER], SessionExpires(seconds=600, refresher="uac")),
        ([("x", "600;refresher=uas"), ("k", "timer")], SessionExpires(seconds=600, refresher="uas")),
        ([("Session-Expires", "600")], SessionExpires(seconds=600, refresher="uas")),
        ([("Session-Expires", "60")], SessionExpires(seconds=90, refresher="uas")),
        ([TIMER], None),
    ],
)
def test_what_we_agree_to(pairs: list[tuple[str, str]], agreed: SessionExpires | None) -> None:
    assert answer_to(Headers(pairs)) == agreed


def test_an_unreadable_interval_in_an_answer_counts_as_none() -> None:
    with Conversation() as talk:
        handle, _ = answered(talk, ("Session-Expires", "whenever"))
        talk.waits(2000)
        talk.expects()
        hang_up(talk, handle)
