"""The call flows of RFC 3665 that concern a user agent, each named by its section, played against the core.

We are Alice where she calls and Bob where he is called. Proxies are what a user agent sees of them: challenges, Via,
Record-Route. What the core does otherwise than the flow, on purpose, is said in the test of that flow.
"""

from __future__ import annotations

from tests.support.sip_talk import PEER, Conversation, request_from_peer

from callwright.sip.ask import AskPlan
from callwright.sip.auth import Credentials, make_challenge, verify
from callwright.sip.core import InvitePlan
from callwright.sip.event import (
    Acked,
    Answered,
    AskDone,
    ByeDone,
    Ended,
    Failed,
    Invited,
    Provisional,
    Reoffered,
    Trying,
)
from callwright.sip.message import Request

ATLANTA, BILOXI = "atlanta.example.com", "biloxi.example.com"
ALICE = Credentials(user="alice", password="a")
SS1, SS2 = f"<sip:ss1.{ATLANTA};lr>", f"<sip:ss2.{BILOXI};lr>"
BOBS_CONTACT = f"<sip:bob@client.{BILOXI}>"
SDP1 = b"v=0\r\no=alice 2890844526 2890844526 IN IP4 client.atlanta.example.com\r\ns=-\r\n"
SDP2 = b"v=0\r\no=bob 2890844527 2890844527 IN IP4 client.biloxi.example.com\r\ns=-\r\n"
SDP3 = b"v=0\r\no=bob 2890844527 2890844528 IN IP4 192.0.2.111\r\ns=-\r\n"


def to_bob(*, credentials: Credentials | None = None, hop: tuple[str, int] = PEER) -> InvitePlan:
    return InvitePlan(
        request_uri=f"sip:bob@{BILOXI}",
        next_hop=hop,
        from_uri=f"sip:alice@{ATLANTA}",
        from_display="Alice",
        to_uri=f"sip:bob@{BILOXI}",
        body=SDP1,
        credentials=credentials,
    )


def challenge(realm: str, header: str = "Proxy-Authenticate") -> tuple[str, str]:
    return header, make_challenge(realm=realm, nonce=f"nonce of {realm}", algorithm="MD5")


def answers_challenge(request: Request, realm: str, header: str = "Proxy-Authorization") -> bool:
    """Tell whether a request holds the right answer to a realm's challenge."""
    return any(
        verify(value, method=request.method, nonce=f"nonce of {realm}", realm=realm, credentials=ALICE)
        for value in request.headers.all(header.lower())
    )


def cseq(request: Request) -> int:
    return request.head.cseq


# --- 2: registration


def register(**changes: object) -> AskPlan:
    plan: dict[str, object] = {
        "method": "REGISTER",
        "request_uri": f"sip:ss2.{BILOXI}",
        "next_hop": PEER,
        "from_uri": f"sip:alice@{BILOXI}",
        "to_uri": f"sip:alice@{BILOXI}",
        "contact_user": "alice",
        "credentials": ALICE,
    }
    return AskPlan(**(plan | changes))  # type: ignore[arg-type]


def registers(talk: Conversation, plan: AskPlan, *, code: int = 200) -> tuple[Request, AskDone]:
    """Play F1 to F4: REGISTER, 401, REGISTER with the answer, and its end."""
    talk.core.ask(plan, talk.now)
    first = talk.expects_request("REGISTER")
    talk.answers(first, 401, headers=(challenge(BILOXI, "WWW-Authenticate"),))
    second = talk.expects_request("REGISTER")
    assert second.head.call_id == first.head.call_id
    assert cseq(second) == cseq(first) + 1
    assert second.head.from_.tag == first.head.from_.tag
    assert answers_challenge(second, BILOXI, "Authorization") is (code == 200)
    talk.answers(second, code, headers=(challenge(BILOXI, "WWW-Authenticate"),) if code == 401 else ())
    return second, talk.hears_one(AskDone)


def test_2_1_successful_new_registration() -> None:
    with Conversation() as talk:
        _, done = registers(talk, register(headers=(("Expires", "3600"),)))
        assert done.code == 200


def test_2_2_update_of_contact_list() -> None:
    with Conversation() as talk:
        first, done = registers(talk, register())
        again, _ = registers(talk, register(call_id=done.call_id, cseq=done.cseq + 1))
        assert again.head.call_id == first.head.call_id
        assert cseq(again) > cseq(first)


def test_2_3_request_for_current_contact_list_has_no_contact() -> None:
    with Conversation() as talk:
        request, done = registers(talk, register(contact_user=""))
        assert done.code == 200
        # We never need such a list. A REGISTER of ours always says where we are: the answer lists the same bindings.
        assert request.headers.get("contact") == "<sip:192.0.2.1:5060>"


def test_2_4_cancellation_of_registration() -> None:
    with Conversation() as talk:
        request, done = registers(talk, register(headers=(("Expires", "0"),)))
        assert request.headers.get("expires") == "0"
        assert done.code == 200


def test_2_5_unsuccessful_registration_gives_up_after_the_second_challenge() -> None:
    with Conversation() as talk:
        _, done = registers(talk, register(credentials=Credentials(user="alice", password="wrong")), code=401)
        assert (done.code, done.challenged) == (401, True)


# --- 3: session establishment


def test_3_1_successful_session_establishment_as_alice() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(to_bob())
        assert invite.body == SDP1
        talk.answers(invite, 180, tag="8321234356")
        talk.hears(Provisional)
        talk.answers(invite, 200, tag="8321234356", body=SDP2, contact=BOBS_CONTACT)
        ack = talk.expects_request("ACK", to=(f"client.{BILOXI}", 0))
        assert (ack.uri, cseq(ack), ack.head.to.tag) == (f"sip:bob@client.{BILOXI}", 1, "8321234356")
        assert ack.head.via.branch != invite.head.via.branch
        talk.hears(Answered)
        bye = talk.asks("BYE", invite, tag="8321234356")  # F5 is Bob's
        answer = talk.expects_response("200 BYE")
        assert answer.head.via.branch == bye.head.via.branch
        talk.hears(Ended)
        assert handle


def test_3_1_successful_session_establishment_as_bob() -> None:
    with Conversation() as talk:
        invite = request_from_peer("INVITE", body=SDP1)
        talk.feeds(invite)
        handle = talk.hears_one(Invited).handle
        talk.core.respond(handle, 180, now=talk.now)
        ringing = talk.expects_response("180 INVITE")
        talk.core.respond(handle, 200, body=SDP2, now=talk.now)
        answer = talk.expects_response("200 INVITE")
        tag = answer.head.to.tag
        assert ringing.head.to.tag == tag != ""
        talk.feeds(request_from_peer("ACK", branch="z9hG4bK74bd5", to=f"<sip:me@example.com>;tag={tag}"))
        talk.hears(Acked)
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE")
        assert (bye.head.from_.tag, bye.head.to.tag) == (tag, "bob")
        talk.answers(bye, 200, tag="")
        talk.hears(ByeDone)


def through_proxies(talk: Conversation, *realms: str) -> Request:
    """Play an INVITE that proxies of these realms challenge, up to its ACK through both of them; returns the INVITE."""
    _, invite = talk.calls(to_bob(credentials=ALICE))
    for realm in realms:
        talk.answers(invite, 407, tag="3flal12sf", headers=(challenge(realm),))
        ack, again = talk.expects("ACK", "INVITE")
        assert isinstance(ack, Request)
        assert isinstance(again, Request)
        # The ACK of a refusal belongs to the refused transaction; the next INVITE is one of its own in the same call.
        assert ack.head.via.branch == invite.head.via.branch
        assert again.head.via.branch != invite.head.via.branch
        assert (again.head.call_id, again.head.from_) == (invite.head.call_id, invite.head.from_)
        assert cseq(again) == cseq(invite) + 1
        invite = again
    assert all(answers_challenge(invite, realm) for realm in realms)
    talk.answers(invite, 100, tag="")
    talk.hears(Trying)
    routes = (("Record-Route", f"{SS2}, {SS1}"),)
    talk.answers(invite, 180, tag="314159", headers=routes, contact=BOBS_CONTACT)
    talk.hears(Provisional)
    talk.answers(invite, 200, tag="314159", headers=routes, body=SDP2, contact=BOBS_CONTACT)
    ack = talk.expects_request("ACK", to=(f"ss1.{ATLANTA}", 0))
    assert ack.uri == f"sip:bob@client.{BILOXI}"
    assert ack.headers.listed("route") == [SS1, SS2]
    assert all(answers_challenge_of(ack, "INVITE", realm) for realm in realms)
    talk.hears(Answered)
    return invite


def answers_challenge_of(request: Request, method: str, realm: str) -> bool:
    """Tell whether an ACK carries the credentials of its INVITE (RFC 3261 section 22.1)."""
    return any(
        verify(value, method=method, nonce=f"nonce of {realm}", realm=realm, credentials=ALICE)
        for value in request.headers.all("proxy-authorization")
    )


def test_3_2_session_establishment_through_two_proxies() -> None:
    with Conversation() as talk:
        invite = through_proxies(talk, ATLANTA)
        talk.asks("BYE", invite, tag="314159")
        talk.expects_response("200 BYE")
        talk.hears(Ended)


def test_3_3_session_with_multiple_proxy_authentication() -> None:
    with Conversation() as talk:
        invite = through_proxies(talk, ATLANTA, BILOXI)
        handle = next(iter(talk.core._endpoint.calls))
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE", to=(f"ss1.{ATLANTA}", 0))
        assert bye.headers.listed("route") == [SS1, SS2]
        assert answers_challenge(bye, ATLANTA)
        assert answers_challenge(bye, BILOXI)
        assert cseq(bye) == cseq(invite) + 1
        talk.answers(bye, 200, tag="")
        talk.hears(ByeDone)


def test_3_4_session_with_proxy_failure_is_not_tried_elsewhere_by_itself() -> None:
    """The flow's Alice tries SS2 when SS1 stays silent. A silent proxy may have passed the INVITE on, so the core,
    which never lets a person be rung twice, ends the call; another trunk is for whoever knows that this one is down.
    """
    with Conversation() as talk:
        talk.calls(to_bob())
        sent = 1
        for _ in range(6):
            talk.waits_for_a_send(20)
            talk.expects("INVITE")
            sent += 1
        talk.waits(33)
        failed = talk.hears_one(Failed)
        assert (failed.code, failed.local, sent) == (408, True, 7)


def test_3_5_session_through_a_sip_alg_talks_to_the_alg() -> None:
    with Conversation() as talk:
        _, invite = talk.calls(to_bob())
        alg = f"<sip:bob@alg1.{ATLANTA}>"
        talk.answers(invite, 200, tag="314159", body=SDP2, headers=(("Record-Route", SS1),), contact=alg)
        ack = talk.expects_request("ACK", to=(f"ss1.{ATLANTA}", 0))
        assert ack.uri == f"sip:bob@alg1.{ATLANTA}"
        assert ack.headers.listed("route") == [SS1]
        talk.hears(Answered)
        talk.asks("BYE", invite, tag="314159")
        talk.expects("200 BYE")
        talk.hears(Ended)


def test_3_6_redirection_is_told_with_its_contact() -> None:
    """F1 to F3 as Alice. The next INVITE, F4, is the engine's, as it knows which contacts may be called."""
    with Conversation() as talk:
        _, invite = talk.calls(to_bob())
        contact = "<sip:bob@chicago.example.com>"
        talk.answers(invite, 302, tag="53fHlqlQ2", contact=contact)
        ack = talk.expects_request("ACK")
        assert ack.head.via.branch == invite.head.via.branch
        failed = talk.hears_one(Failed)
        assert failed.code == 302
        assert ("Contact", contact) in failed.headers


def test_3_6_session_with_sdp_in_ack_as_bob() -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer("INVITE", headers=(("Record-Route", SS2),)))
        invited = talk.hears_one(Invited)
        assert invited.body == b""
        talk.core.respond(invited.handle, 200, body=SDP2, now=talk.now)
        answer = talk.expects_response("200 INVITE")
        assert answer.body == SDP2
        assert answer.headers.listed("record-route") == [SS2]
        to = f"<sip:me@example.com>;tag={answer.head.to.tag}"
        talk.feeds(request_from_peer("ACK", branch="z9hG4bKack", to=to, body=SDP1))
        assert talk.hears_one(Acked).body == SDP1
        talk.feeds(request_from_peer("BYE", branch="z9hG4bKbye", to=to, cseq=2))
        talk.expects("200 BYE")
        talk.hears(Ended)


def test_3_7_session_with_re_invite_moves_to_the_new_address() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(to_bob())
        talk.answers(invite, 200, tag="314159", body=SDP2, contact=BOBS_CONTACT)
        talk.expects("ACK")
        talk.hears(Answered)
        moved = "<sip:bob@192.0.2.111:5070>"
        reinvite = request_from_peer(
            "INVITE",
            branch="z9hG4bKlkld5l",
            from_=f"<sip:bob@{BILOXI}>;tag=314159",
            to=invite.headers.get("from") or "",
            call_id=invite.head.call_id,
            cseq=14,
            body=SDP3,
            contact=moved,
        )
        talk.feeds(reinvite)
        assert talk.hears_one(Reoffered).body == SDP3
        talk.core.answer_reinvite(handle, SDP1, talk.now)
        assert talk.expects_response("200 INVITE").body == SDP1
        talk.asks("ACK", invite, tag="314159", cseq=14)
        talk.hears(Acked)
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE", to=("192.0.2.111", 5070))
        assert bye.uri == "sip:bob@192.0.2.111:5070"
        talk.answers(bye, 200, tag="")
        talk.hears(ByeDone)


def test_3_8_unsuccessful_no_answer_is_cancelled() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(to_bob())
        talk.answers(invite, 100, tag="")
        talk.answers(invite, 180, tag="314159")
        talk.hears(Trying, Provisional)
        talk.waits(30)
        talk.core.cancel(handle, talk.now)
        cancel = talk.expects_request("CANCEL")
        assert (cancel.uri, cancel.head.via, cseq(cancel)) == (invite.uri, invite.head.via, cseq(invite))
        assert cancel.head.to.tag == ""
        talk.answers(cancel, 200, tag="314159")
        talk.answers(invite, 487, tag="314159")
        ack = talk.expects_request("ACK")
        assert ack.head.via.branch == invite.head.via.branch
        assert talk.hears_one(Failed).code == 487


def test_3_8_unsuccessful_no_answer_as_bob() -> None:
    with Conversation() as talk:
        talk.feeds(request_from_peer("INVITE", body=SDP1))
        handle = talk.hears_one(Invited).handle
        talk.core.respond(handle, 180, now=talk.now)
        talk.expects("180 INVITE")
        talk.feeds(request_from_peer("CANCEL"))
        talk.expects("200 CANCEL", "487 INVITE")
        assert len(talk.core.take_events()) == 1
        talk.feeds(request_from_peer("ACK", to="<sip:me@example.com>;tag=any"))


def test_3_9_unsuccessful_busy() -> None:
    with Conversation() as talk:
        _, invite = talk.calls(to_bob())
        talk.answers(invite, 100, tag="")
        talk.answers(invite, 486, tag="314159")
        ack = talk.expects_request("ACK")
        assert ack.head.to.tag == "314159"
        assert [type(event) for event in talk.core.take_events()] == [Trying, Failed]
        talk.answers(invite, 486, tag="314159")
        talk.expects("ACK")  # the first was lost: again, and nobody is told twice


def test_3_10_unsuccessful_no_response_from_the_user_agent() -> None:
    with Conversation() as talk:
        _, invite = talk.calls(to_bob())
        talk.answers(invite, 100, tag="")
        talk.hears(Trying)
        talk.waits(32)
        talk.expects()  # the proxy has it: nothing is repeated, however long its own tries take
        talk.answers(invite, 480, tag="314159")
        talk.expects("ACK")
        assert talk.hears_one(Failed).code == 480


def test_3_11_unsuccessful_temporarily_unavailable() -> None:
    with Conversation() as talk:
        _, invite = talk.calls(to_bob())
        talk.answers(invite, 100, tag="")
        talk.answers(invite, 180, tag="314159")
        talk.answers(invite, 480, tag="314159")
        talk.expects("ACK")
        events = talk.core.take_events()
        assert [type(event) for event in events] == [Trying, Provisional, Failed]


# --- the same through a strict router, which RFC 3665 does not show (RFC 3261 section 16.12.1.2)


def test_a_strict_router_on_the_way_is_asked_by_its_own_uri() -> None:
    with Conversation() as talk:
        handle, invite = talk.calls(to_bob())
        routes = (("Record-Route", f"{SS2}, <sip:ss1.{ATLANTA}>"),)
        talk.answers(invite, 200, tag="314159", headers=routes, body=SDP2, contact=BOBS_CONTACT)
        ack = talk.expects_request("ACK", to=(f"ss1.{ATLANTA}", 0))
        assert ack.uri == f"sip:ss1.{ATLANTA}"
        assert ack.headers.listed("route") == [SS2, BOBS_CONTACT]
        talk.hears(Answered)
        talk.core.bye(handle, talk.now)
        bye = talk.expects_request("BYE", to=(f"ss1.{ATLANTA}", 0))
        assert (bye.uri, bye.headers.listed("route")) == (ack.uri, [SS2, BOBS_CONTACT])
        talk.answers(bye, 200, tag="")
        talk.hears(ByeDone)
