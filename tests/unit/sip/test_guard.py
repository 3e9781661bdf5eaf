"""Strangers at the door: what is let in, what is not answered, and that a flood fills no memory."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import OFFER, PEER, US, Conversation, counted_ids, request_from_peer

from callwright.sip.core import SipCore
from callwright.sip.event import Ended, Invited
from callwright.sip.guard import GuardSettings

STRANGER = ("203.0.113.66", 5060)


def guarded(settings: GuardSettings) -> SipCore:
    return SipCore(contact_host=US[0], contact_port=US[1], new_id=counted_ids(0xA), guard=settings)


def refuses(talk: Conversation, handle: str, branch: str) -> None:
    talk.core.respond(handle, 404, now=talk.now)
    refusal = talk.expects_response("404 INVITE")
    talk.feeds(request_from_peer("ACK", branch=branch, to=refusal.headers.get("to") or ""), STRANGER)


def test_hidden_we_answer_strangers_nothing_but_calls_of_ours_go_on() -> None:
    with Conversation(guarded(GuardSettings(hide=True))) as talk:
        for method in ("INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL"):
            talk.feeds(request_from_peer(method, branch=f"z9hG4bK{method}"), STRANGER)
        talk.feeds(request_from_peer("BYE", to="<sip:me@example.com>;tag=guess", branch="z9hG4bKg"), STRANGER)
        talk.feeds(b"OPTIONS sip:a SIP/7.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\n\r\n", STRANGER)
        talk.waits(1)
        talk.expects()
        talk.hears()
        assert talk.core.dialogs() == 0
        assert talk.core.guard.turned_away == 7
        _, invite = talk.calls_and_is_answered()
        talk.asks("BYE", invite)
        talk.expects("200 BYE")
        talk.hears(Ended)


def test_hidden_we_still_know_our_trunks() -> None:
    with Conversation(guarded(GuardSettings(hide=True))) as talk:
        talk.core.guard.know([PEER[0]])
        talk.feeds(request_from_peer("OPTIONS", headers=(("User-Agent", "friendly-scanner"),)))
        talk.expects("200 OPTIONS")


@pytest.mark.parametrize("agent", ["friendly-scanner", "SIPVicious 0.3", "sipcli/v1.8", "sundayddr"])
def test_scanners_are_ignored(agent: str) -> None:
    with Conversation(guarded(GuardSettings())) as talk:
        talk.feeds(request_from_peer("OPTIONS", headers=(("User-Agent", agent),)))
        talk.expects()
        talk.feeds(request_from_peer("OPTIONS", headers=(("User-Agent", "sipp"),)))
        talk.expects("200 OPTIONS")


def test_each_source_has_its_own_allowance_that_grows_back() -> None:
    with Conversation(guarded(GuardSettings(per_second=2, burst=3))) as talk:

        def answered(count: int, source: tuple[str, int], first: int) -> int:
            for number in range(first, first + count):
                talk.feeds(request_from_peer("OPTIONS", branch=f"z9hG4bK{source[0]}{number}"), source)
            return len(talk.core.take_sends())

        assert answered(10, STRANGER, 0) == 3
        assert answered(10, PEER, 0) == 3
        talk.waits(1)
        assert answered(10, STRANGER, 20) == 2
        talk.waits(60)
        assert answered(10, STRANGER, 40) == 3


def test_a_repeated_request_costs_nothing_and_is_answered_again() -> None:
    with Conversation(guarded(GuardSettings(per_second=1, burst=1))) as talk:
        invite = request_from_peer("INVITE", body=OFFER)
        for _ in range(5):
            talk.feeds(invite, STRANGER)
        handle = talk.hears_one(Invited).handle
        refuses(talk, handle, "z9hG4bKpeer")


def test_a_flood_of_invites_is_bounded() -> None:
    core = guarded(GuardSettings(per_second=20.0, burst=60, most_open=500))
    template = request_from_peer("INVITE", branch="z9hG4bKNNNNNN", call_id="CNNNNNN", body=OFFER).render()
    sent = most = 0
    for number in range(50_000):
        forged = f"198.51.{number // 250 % 250}.{number % 250}"
        source = (forged if number % 2 else STRANGER[0], 5060)
        core.receive(template.replace(b"NNNNNN", b"%06d" % number), source, number / 10_000)
        for event in core.take_events():
            assert isinstance(event, Invited)
            core.respond(event.handle, 404, now=number / 10_000)
        sent += len(core.take_sends())
        endpoint = core._endpoint
        most = max(most, len(endpoint.servers) + len(endpoint.calls) + len(endpoint.by_tag) + len(endpoint.invited))
    assert most <= 4 * 500
    assert sent == 500
    assert core.guard.turned_away == 49_500
    while (at := core.wake_at()) is not None:
        core.wake(at)
    core.take_sends()
    assert core.dialogs() == 0


def test_sources_are_forgotten_in_the_end() -> None:
    core = guarded(GuardSettings(per_second=1.0, burst=1))
    for number in range(10_000):
        source = f"10.{number // 62_500}.{number // 250 % 250}.{number % 250}"
        core.guard.admits(request_from_peer("OPTIONS"), source, 0, 0.0)
    assert len(core.guard._allowances) == 4096


def test_forging_the_address_of_a_trunk_does_not_fill_the_memory() -> None:
    core = guarded(GuardSettings(most_open=5, most_known=50, known=frozenset({STRANGER[0]})))
    for number in range(500):
        core.receive(request_from_peer("OPTIONS", branch=f"z9hG4bK{number}").render(), STRANGER, 0.0)
    assert len(core.take_sends()) == 50
    assert core.guard.turned_away == 450
