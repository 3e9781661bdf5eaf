"""What the core answers by itself, and that nothing it is fed makes it raise or remember for ever."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import OFFER, PEER, Conversation, counted_ids, request_from_peer

from callwright.sip.core import SipCore
from callwright.sip.errors import UnknownCall, UnsafeText, WrongMoment
from callwright.sip.event import Answered, ByeDone, Invited, PingDone


def test_options_is_answered_with_what_we_can() -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer("OPTIONS"))
        answer = talk.expects_response("200 OPTIONS")
        assert answer.headers.get("accept") == "application/sdp"
        assert "UPDATE" in (answer.headers.get("allow") or "")
        assert answer.headers.get("supported") == "100rel, timer"
        assert answer.head.to.tag


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "PRACK", "OPTIONS", "INVITE"])
def test_requests_for_unknown_dialogs_are_answered_481(method: str) -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer(method, to="<sip:me@example.com>;tag=ghost"))
        answer = talk.expects_response(f"481 {method}")
        assert answer.headers.get("to") == "<sip:me@example.com>;tag=ghost"
        assert answer.headers.get("server") is None  # a To tag alone makes nobody a far end of ours
        talk.waits(60)
        talk.core.take_sends()


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE"])
def test_requests_that_need_a_dialog_are_answered_481_without_one(method: str) -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer(method))
        talk.expects(f"481 {method}")


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PUBLISH", "WHATEVER"])
def test_other_methods_are_answered_405_with_allow(method: str) -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer(method))
        assert "INVITE" in (talk.expects_response(f"405 {method}").headers.get("allow") or "")


def test_a_repeated_request_gets_the_same_answer_for_64_t1() -> None:
    with Conversation() as talk:
        request = request_from_peer("OPTIONS")
        talk.feeds(request)
        first = talk.expects_response("200 OPTIONS")
        talk.waits(31)
        talk.feeds(request)
        assert talk.expects_response("200 OPTIONS") == first


@pytest.mark.parametrize(
    ("changes", "code", "header"),
    [
        ({"headers": (("Require", "100rel, x, y"),)}, 420, ("unsupported", "x, y")),
        ({"headers": (("Session-Expires", "60"), ("Supported", "timer"))}, 422, ("min-se", "90")),
        ({"headers": (("Session-Expires", "soon"),)}, 400, None),
        ({"uri": "http://example.com"}, 416, None),
        ({"headers": (("Accept", "text/plain, text/html"),)}, 406, ("accept", "application/sdp")),
        ({"headers": (("Content-Encoding", "gzip"),)}, 415, ("accept-encoding", "identity")),
        ({"headers": (("Require", 'open "quote, x'),)}, 400, None),
    ],
)
def test_an_invite_we_cannot_serve_is_told_why(
    changes: dict[str, object], code: int, header: tuple[str, str] | None
) -> None:
    with Conversation() as talk:
        invite = request_from_peer("INVITE", **{"body": OFFER, **changes})  # type: ignore[arg-type]
        talk.feeds(invite)
        answer = talk.expects_response(f"{code} INVITE")
        if header is not None:
            assert answer.headers.get(header[0]) == header[1]
        talk.feeds(request_from_peer("ACK", uri=invite.uri, to=answer.headers.get("to") or ""))
        talk.waits(10)


def test_an_invite_with_another_body_is_answered_415() -> None:
    with Conversation() as talk:
        data = request_from_peer("INVITE", body=OFFER).render().replace(b"application/sdp", b"text/plain")
        talk.feeds(data)
        assert talk.expects_response("415 INVITE").headers.get("accept") == "application/sdp"
        talk.waits(60)
        talk.core.take_sends()


@pytest.mark.parametrize("accept", ["application/sdp;level=1", "application/*", "text/html, */*;q=0.1"])
def test_an_invite_that_accepts_sdp_in_any_way_is_taken(accept: str) -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer("INVITE", uri="tel:+44123", headers=(("Accept", accept),)))
        handle = talk.hears_one(Invited).handle
        talk.core.respond(handle, 486, now=talk.now)
        talk.core.take_sends()
        talk.waits(60)
        talk.core.take_sends()


def test_responses_go_where_rport_or_via_says() -> None:
    with Conversation() as talk:
        nat = ("203.0.113.7", 40000)
        request = request_from_peer("OPTIONS", via="SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1")
        talk.feeds(request, nat)
        via = talk.expects_response("200 OPTIONS", to=nat).head.via
        assert (via.params["received"], via.params["rport"]) == ("203.0.113.7", "40000")
        talk.feeds(request_from_peer("OPTIONS", via="SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK2"), nat)
        via = talk.expects_response("200 OPTIONS", to=("203.0.113.7", 5070)).head.via
        assert via.params["received"] == "203.0.113.7"
        talk.feeds(request_from_peer("OPTIONS", via="SIP/2.0/UDP 203.0.113.7;branch=z9hG4bK3"), nat)
        via = talk.expects_response("200 OPTIONS", to=("203.0.113.7", 5060)).head.via
        assert "received" not in via.params


def test_every_via_is_copied_in_order() -> None:
    with Conversation() as talk:
        more = (("Via", "SIP/2.0/UDP second;branch=z9, SIP/2.0/TCP third"), ("v", "SIP/2.0/UDP fourth"))
        talk.feeds(request_from_peer("OPTIONS", headers=more))
        answer = talk.core.take_sends()[0].data
        assert b"\r\nVia: SIP/2.0/UDP second;branch=z9, SIP/2.0/TCP third\r\nVia: SIP/2.0/UDP fourth\r\n" in answer


def test_broken_requests_are_answered_without_remembering_them() -> None:
    with Conversation() as talk:
        data = request_from_peer("OPTIONS").render()
        talk.feeds(data.replace(b"1 OPTIONS", b"1 BYE"))
        assert talk.core.take_sends()[0].data.startswith(b"SIP/2.0 400 ")
        talk.feeds(data.replace(b"SIP/2.0\r\n", b"SIP/9.0\r\n", 1))
        assert talk.core.take_sends()[0].data.startswith(b"SIP/2.0 505 ")
        talk.feeds(data.replace(b"Via: SIP/2.0/UDP", b"Via: ;;"), ("192.0.2.33", 99))
        assert talk.core.take_sends()[0].to == ("192.0.2.33", 99)
        talk.feeds(data.replace(b"Via", b"X-Via"))
        talk.feeds(request_from_peer("ACK").render().replace(b"1 ACK", b"1 BYE"))
        assert talk.core.dialogs() == 0
        assert talk.core.dropped == 2


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0", b"\r\n"])
def test_keep_alives_are_ignored(data: bytes) -> None:
    with Conversation() as talk:
        talk.feeds(data)
        assert talk.core.dropped == 0


def test_stray_acks_and_responses_are_dropped() -> None:
    with Conversation() as talk:
        _, invite = talk.calls()
        talk.feeds(request_from_peer("ACK", to="<sip:me@example.com>;tag=ghost"))
        stranger = talk.answers(request_from_peer("INVITE"), 200)
        assert stranger.code == 200
        doubled = (("Via", "SIP/2.0/UDP elsewhere"),)
        talk.answers(invite, 486, headers=doubled)
        talk.expects()
        talk.waits(100)
        talk.core.take_sends()
        talk.core.take_events()


def test_ping_reports_any_answer() -> None:
    with Conversation() as talk:
        handle = talk.core.ping(PEER, talk.now)
        options = talk.expects_request("OPTIONS", to=PEER)
        assert options.uri == "sip:192.0.2.9:5060"
        talk.answers(options, 100)
        talk.hears()
        talk.answers(options, 405)
        done = talk.hears_one(PingDone)
        assert (done.handle, done.code, done.local) == (handle, 405, False)


def test_ping_without_an_answer_is_408_and_unsent_503() -> None:
    with Conversation() as talk:
        talk.core.ping(("::1", 5060), talk.now)
        talk.waits(32)
        assert b"sip:[::1]:5060" in talk.core.take_sends()[0].data
        done = talk.hears_one(PingDone)
        assert (done.code, done.local) == (408, True)
        talk.core.ping(("nowhere.invalid", 5060), talk.now)
        talk.core.send_failed(talk.core.take_sends()[0], talk.now)
        assert talk.hears_one(PingDone).code == 503
        with pytest.raises(UnsafeText):
            talk.core.ping(("a\r\nb", 5060), talk.now)


def test_a_saved_dialog_is_hung_up_by_another_core() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls()
        with pytest.raises(WrongMoment):
            talk.core.export(handle)
        routes = (("Record-Route", "<sip:proxy.example.com;lr>"),)
        talk.answers(invite, 200, headers=routes)
        ack = talk.expects_request("ACK")
        talk.hears(Answered)
        saved = talk.core.export(handle)
        with Conversation(SipCore(contact_host="192.0.2.1", contact_port=5060, new_id=counted_ids(0xB))) as second_life:
            again = second_life.core.bye_saved(saved, 0.0, reason="SIP;cause=500")
            bye = second_life.expects_request("BYE", to=("proxy.example.com", 0))
            assert bye.uri == ack.uri
            assert bye.headers.get("route") == "<sip:proxy.example.com;lr>"
            assert bye.headers.get("reason") == "SIP;cause=500"
            assert (bye.head.call_id, bye.head.from_, bye.head.to) == (ack.head.call_id, ack.head.from_, ack.head.to)
            assert bye.head.cseq > ack.head.cseq
            second_life.answers(bye, 200)
            assert second_life.hears_one(ByeDone).handle == again
        talk.asks("BYE", invite)
        talk.core.take_sends()
        talk.core.take_events()


def test_asking_about_strange_handles_is_refused() -> None:
    core = SipCore(contact_host="::1", contact_port=5060, new_id=counted_ids(1))
    for ask in (
        lambda: core.export("x"),
        lambda: core.answer_reinvite("x", b"", 0.0),
        lambda: core.reoffer("x", b"", 0.0),
        lambda: core.set_credentials("x", None),  # type: ignore[arg-type]
    ):
        with pytest.raises(UnknownCall):
            ask()
    with pytest.raises(UnsafeText):
        SipCore(contact_host="h", contact_port=1, new_id=counted_ids(1), user_agent="a\r\nb")


def test_live_calls_and_everything_remembered_are_counted_apart() -> None:
    with Conversation() as talk:
        handle, _ = talk.calls_and_is_answered()
        assert talk.core.calls() == 1
        talk.core.bye(handle, talk.now)
        talk.answers(talk.expects_request("BYE"), 200)
        talk.hears(ByeDone)
        assert talk.core.calls() == 0
        assert talk.core.dialogs() > 0
