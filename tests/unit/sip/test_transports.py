"""Calls over TCP and TLS: nothing is repeated, everything stays on its connection, Via and Contact say how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs
from tests.support.sip_talk import PEER, Conversation, counted_ids, make_core, plan, request_from_peer

from callwright.sip.ask import AskPlan
from callwright.sip.core import SipCore
from callwright.sip.event import Acked, Answered, AskDone, ByeDone, Ended, Failed, Invited, PingDone, Send
from callwright.sip.way import Target, Transport, Way

TCP = Way(transport=Transport.TCP)
TLS = Way(transport=Transport.TLS, name="example.com")
FLOW = Way(transport=Transport.TCP, flow=7)


def tcp_core() -> SipCore:
    core = make_core()
    core.listens(Transport.TCP, 5060)
    core.listens(Transport.TLS, 5061)
    return core


def test_an_invite_by_tcp_is_sent_once_and_given_up_after_64_t1() -> None:
    with Conversation(tcp_core()) as talk:
        talk.core.invite(structs.replace(plan(), way=TCP), talk.now)
        invite = talk.expects_request("INVITE", to=PEER)
        assert talk.ways == [TCP]
        assert (invite.headers.get("via") or "").startswith("SIP/2.0/TCP 192.0.2.1:5060;")
        assert invite.headers.get("contact") == "<sip:192.0.2.1:5060;transport=tcp>"
        talk.waits(31.9)
        talk.expects()
        talk.waits(0.2)
        failed = talk.hears_one(Failed)
        assert (failed.code, failed.local) == (408, True)


def test_a_call_by_tls_stays_on_its_connection_to_the_end() -> None:
    with Conversation(tcp_core()) as talk:
        handle = talk.core.invite(structs.replace(plan(), way=TLS), talk.now)
        invite = talk.expects_request("INVITE")
        assert invite.headers.get("contact") == "<sip:192.0.2.1:5061;transport=tls>"
        on_flow = replace(TLS, flow=3)
        talk.answers(invite, 200, contact=f"<sip:bob@{PEER[0]}:5061>", way=on_flow)
        ack = talk.expects_request("ACK", to=(PEER[0], 5061))
        assert talk.ways == [on_flow]  # a Contact without transport keeps to the stream its host uses
        assert ack.head.via.transport == "TLS"
        talk.hears(Answered)
        assert talk.core.export(handle).transport == "tls"
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE")
        assert talk.ways == [on_flow]
        talk.waits(10)
        talk.expects()
        talk.answers(bye, 200, way=on_flow)
        talk.hears(ByeDone)


def test_a_refusal_by_tcp_is_forgotten_at_once() -> None:
    with Conversation(tcp_core()) as talk:
        talk.core.invite(structs.replace(plan(), way=TCP), talk.now)
        talk.answers(talk.expects_request("INVITE"), 486, way=FLOW)
        talk.expects("ACK")
        assert talk.ways == [FLOW]
        talk.hears(Failed)
        talk.core.wake(talk.now)
        assert not talk.core._endpoint.clients  # timer D is zero


def test_a_contact_elsewhere_leaves_the_connection() -> None:
    with Conversation(tcp_core()) as talk:
        handle = talk.core.invite(structs.replace(plan(), way=TCP), talk.now)
        invite = talk.expects_request("INVITE")
        routes = (("Record-Route", "<sip:edge.example.com;transport=tls;lr>"),)
        talk.answers(invite, 200, headers=routes, way=FLOW)
        talk.expects_request("ACK", to=("edge.example.com", 0))
        assert talk.ways == [Way(transport=Transport.TLS)]
        talk.hears(Answered)
        talk.core.bye(handle, talk.now)
        talk.answers(talk.expects_request("BYE"), 200)
        talk.hears(ByeDone)


def test_an_incoming_call_is_answered_by_the_connection_it_came_by() -> None:
    with Conversation(tcp_core()) as talk:
        invite = request_from_peer("INVITE", via="SIP/2.0/TCP 10.0.0.9;branch=z9hG4bKa", contact="<sip:bob@10.0.0.9>")
        talk.feeds(invite, (PEER[0], 40_123), FLOW)
        invited = talk.hears_one(Invited)
        talk.core.respond(invited.handle, 200, now=talk.now)
        answer = talk.expects_response("200 INVITE", to=(PEER[0], 5060))  # where to connect to when the flow is gone
        assert talk.ways == [FLOW]
        assert answer.headers.get("contact") == "<sip:192.0.2.1:5060;transport=tcp>"
        talk.waits(0.6)
        talk.expects("200 INVITE")  # a 2xx is repeated whatever the transport: its ACK may have been lost further on
        ack = request_from_peer("ACK", to=answer.headers.get("to") or "", via="SIP/2.0/TCP 10.0.0.9;branch=z9hG4bKb")
        talk.feeds(ack, (PEER[0], 40_123), FLOW)
        talk.hears(Acked)
        talk.core.bye(invited.handle, talk.now)
        bye = talk.expects_request("BYE")
        assert [way.flow for way in talk.ways] == [0]  # the Contact says UDP and another host
        talk.answers(bye, 200)
        talk.hears(ByeDone)


def test_a_client_behind_nat_is_reached_by_its_connection() -> None:
    with Conversation(tcp_core()) as talk:
        contact = "<sip:bob@10.0.0.9:5060;transport=tcp>"
        invite = request_from_peer("INVITE", via="SIP/2.0/TCP 10.0.0.9;branch=z9hG4bKa", contact=contact)
        talk.feeds(invite, (PEER[0], 40_123), FLOW)
        invited = talk.hears_one(Invited)
        talk.core.respond(invited.handle, 200, now=talk.now)
        answer = talk.expects_response("200 INVITE")
        talk.feeds(request_from_peer("ACK", to=answer.headers.get("to") or ""), way=FLOW)
        talk.hears(Acked)
        talk.core.bye(invited.handle, talk.now)
        bye = talk.expects_request("BYE")
        assert talk.ways == [FLOW]
        talk.answers(bye, 200, way=FLOW)
        talk.hears(ByeDone)


def long_plan() -> tuple[tuple[str, str], ...]:
    return tuple((f"X-Fact-{number}", "f" * 90) for number in range(12))


def test_a_long_request_goes_by_tcp_and_by_udp_when_nobody_takes_the_connection() -> None:
    with Conversation(tcp_core()) as talk:
        talk.core.invite(plan(headers=long_plan()), talk.now)
        (by_tcp,) = talk.core.take_sends()
        assert by_tcp.way == TCP
        assert b"Via: SIP/2.0/TCP" in by_tcp.data
        talk.core.send_failed(by_tcp, talk.now)
        invite = talk.expects_request("INVITE")
        assert [way.transport for way in talk.ways] == [Transport.UDP]
        assert invite.head.via.transport == "UDP"
        talk.waits(0.5)
        talk.expects("INVITE")  # and is repeated now
        talk.answers(invite, 486)
        talk.expects("ACK")
        talk.hears(Failed)


@pytest.mark.parametrize(("core", "way"), [(make_core, Way()), (tcp_core, Way(is_fixed=True))])
def test_a_long_request_stays_with_udp_where_tcp_is_not_spoken(core: Callable[[], SipCore], way: Way) -> None:
    with Conversation(core()) as talk:
        talk.core.invite(structs.replace(plan(headers=long_plan()), way=way), talk.now)
        invite = talk.expects_request("INVITE")
        assert talk.ways[0].transport is Transport.UDP
        talk.answers(invite, 486)
        talk.expects("ACK")
        talk.hears(Failed)


def test_the_next_place_is_tried_when_nothing_could_be_sent() -> None:
    with Conversation(tcp_core()) as talk:
        second = Target(host="192.0.2.10", port=5070, way=TCP)
        handle = talk.core.invite(structs.replace(plan(), alternatives=(second,)), talk.now)
        (first,) = talk.core.take_sends()
        talk.core.send_failed(first, talk.now)
        invite = talk.expects_request("INVITE", to=second.to)
        assert talk.ways == [TCP]
        assert invite.head.cseq == 2
        assert invite.head.via.branch.encode() not in first.data
        (again,) = [Send(data=b"", to=second.to, transaction=f"{invite.head.via.branch}|INVITE")]
        talk.core.send_failed(again, talk.now)
        failed = talk.hears_one(Failed)
        assert (failed.handle, failed.code, failed.local) == (handle, 503, True)


def test_a_silent_place_has_no_alternative_for_it_may_ring() -> None:
    with Conversation() as talk:
        second = Target(host="192.0.2.10", port=5070)
        talk.core.invite(structs.replace(plan(), alternatives=(second,)), talk.now)
        talk.waits(33)
        assert {send.to for send in talk.core.take_sends()} == {PEER}
        assert talk.hears_one(Failed).code == 408


def test_a_broken_connection_fails_what_was_not_heard_of_yet() -> None:
    with Conversation(tcp_core()) as talk:
        asked = talk.core.ping(PEER, talk.now, TCP)
        (options,) = talk.core.take_sends()
        talk.core.sent(options, 7)
        elsewhere = Target(host="192.0.2.10", port=5070, way=TCP)
        handle = talk.core.invite(structs.replace(plan(), way=TCP, alternatives=(elsewhere,)), talk.now)
        (data,) = talk.core.take_sends()
        talk.core.sent(data, 8)
        talk.core.lost(7, talk.now)
        done = talk.hears_one(PingDone)
        assert (done.handle, done.code, done.local) == (asked, 503, True)
        talk.core.lost(8, talk.now)
        failed = talk.hears_one(Failed)
        assert (failed.handle, failed.code, failed.local) == (handle, 408, True)
        assert talk.core.take_sends() == [], "the INVITE may have arrived: somebody else must not be asked, too"


def test_a_saved_dialog_remembers_its_transport() -> None:
    with Conversation(tcp_core()) as talk:
        handle = talk.core.invite(structs.replace(plan(), way=TLS), talk.now)
        talk.answers(talk.expects_request("INVITE"), 200, contact=None, way=replace(TLS, flow=3))
        talk.expects("ACK")
        talk.hears(Answered)
        with Conversation(make_core(prefix=0xC)) as later:
            later.core.bye_saved(talk.core.export(handle), 0.0)
            bye = later.expects_request("BYE", to=PEER)
            assert later.ways == [TLS]
            later.answers(bye, 200)
            later.hears(ByeDone)
        talk.feeds(
            request_from_peer(
                "BYE",
                from_=bye.headers.get("to") or "",
                to=bye.headers.get("from") or "",
                call_id=bye.head.call_id,
                via="SIP/2.0/TLS 192.0.2.9:5061;branch=z9hG4bKbye",
            ),
            way=TLS,
        )
        talk.expects("200 BYE")
        talk.hears(Ended)


def test_any_request_can_be_asked_by_any_way() -> None:
    with Conversation(tcp_core()) as talk:
        asked = AskPlan(
            method="REGISTER",
            request_uri="sip:example.com",
            next_hop=PEER,
            from_uri="sip:me@example.com",
            to_uri="sip:me@example.com",
            contact_user="me",
            way=TCP,
        )
        talk.core.ask(asked, talk.now)
        request = talk.expects_request("REGISTER")
        assert request.headers.get("contact") == "<sip:me@192.0.2.1:5060;transport=tcp>"
        talk.answers(request, 200, way=FLOW)
        assert talk.hears_one(AskDone).code == 200


@pytest.mark.parametrize("transport", list(Transport))
def test_ports_are_told_for_every_transport(transport: Transport) -> None:
    core = SipCore(contact_host="2001:db8::1", contact_port=5070, new_id=counted_ids(1))
    core.listens(Transport.TLS, 5071)
    way = Way(transport=transport)
    port = 5071 if transport is Transport.TLS else 5070
    assert f"[2001:db8::1]:{port}" in core._endpoint.contact(way)
    assert f"/{transport.upper()} [2001:db8::1]:{port};" in core._endpoint.via("z9hG4bKx", way)
