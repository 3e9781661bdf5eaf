"""A call of a former life: BYE, challenges, and the peer's own BYE."""

from __future__ import annotations

import msgspec
from tests.support.sip_talk import PEER, Conversation, request_from_peer

from callwright.sip.core import Credentials, SavedDialog
from callwright.sip.event import ByeDone

SAVED = SavedDialog(
    call_id="old",
    local="<sip:me@example.com>;tag=us",
    remote="<sip:100@example.com>;tag=bob",
    local_tag="us",
    remote_tag="bob",
    remote_target="sip:bob@192.0.2.9",
    has_contact=False,
    route_set=(),
    source_host=PEER[0],
    source_port=PEER[1],
    local_cseq=3,
)


def test_a_saved_dialog_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(SAVED), type=SavedDialog) == SAVED


def test_a_peer_that_is_gone_ends_it_with_408() -> None:
    with Conversation() as talk:
        handle = talk.core.bye_saved(SAVED, talk.now)
        talk.expects("BYE", to=PEER)
        assert talk.core.calls() == 1
        talk.waits(32)
        talk.core.take_sends()
        done = talk.hears_one(ByeDone)
        assert (done.handle, done.code, done.local) == (handle, 408, True)
        assert talk.core.calls() == 0


def test_a_challenge_is_answered_with_the_credentials_given() -> None:
    with Conversation() as talk:
        talk.core.bye_saved(SAVED, talk.now, credentials=Credentials(user="a", password="b"))
        challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n"')
        talk.answers(talk.expects_request("BYE"), 401, headers=(challenge,))
        again = talk.expects_request("BYE")
        assert again.headers.get("authorization")
        talk.answers(again, 200)
        talk.hears(ByeDone)


def test_the_peers_own_bye_counts_as_the_end() -> None:
    with Conversation() as talk:
        talk.core.bye_saved(SAVED, talk.now)
        talk.expects("BYE")
        to, from_ = SAVED.local, SAVED.remote
        talk.feeds(request_from_peer("BYE", to=to, from_="<sip:e@h>;tag=eve", call_id="old", branch="z9hG4bKe"))
        talk.expects("481 BYE")
        talk.feeds(request_from_peer("BYE", to=to, from_=from_, call_id="old"))
        talk.expects("200 BYE")
        assert talk.hears_one(ByeDone).code == 200
        talk.feeds(request_from_peer("ACK", to=to, from_=from_, call_id="old", branch="z9hG4bKa"))
        talk.waits(100)
        talk.core.take_sends()
