from __future__ import annotations

from tests.support.sip_talk import PEER, counted_ids, request_from_peer

from callwright.sip.agenda import Timers
from callwright.sip.endpoint import Endpoint, merge_key, response_address, response_pairs, server_key
from callwright.sip.headers import Headers


def test_an_ipv6_address_gets_brackets() -> None:
    endpoint = Endpoint(contact_host="::1", contact_port=5070, new_id=counted_ids(1), user_agent="x", timers=Timers())
    assert endpoint.contact() == "<sip:[::1]:5070>"
    assert endpoint.via("b") == "SIP/2.0/UDP [::1]:5070;branch=b;rport"


def test_an_ack_finds_the_transaction_of_its_invite() -> None:
    assert server_key(request_from_peer("ACK")) == server_key(request_from_peer("INVITE"))
    assert server_key(request_from_peer("CANCEL")) != server_key(request_from_peer("INVITE"))


def test_the_bare_cookie_identifies_nothing_so_other_facts_do() -> None:
    one = request_from_peer("INVITE", branch="z9hG4bK", call_id="one")
    two = request_from_peer("INVITE", branch="z9hG4bK", call_id="two")
    assert server_key(one) != server_key(two)
    assert server_key(one) == server_key(request_from_peer("ACK", branch="z9hG4bK", call_id="one"))


def test_the_same_branch_from_two_senders_is_two_transactions() -> None:
    one = request_from_peer("INVITE", via="SIP/2.0/UDP a;branch=z9hG4bK1")
    two = request_from_peer("INVITE", via="SIP/2.0/UDP b;branch=z9hG4bK1")
    assert server_key(one) != server_key(two)
    assert merge_key(one) == merge_key(two)


def test_received_and_rport_of_the_request_are_not_believed() -> None:
    via = "SIP/2.0/UDP [2001:db8::1]:5080;rport;received=6.6.6.6;branch=z9hG4bK1"
    pairs = response_pairs(Headers([("Via", via)]), ("2001:db8::9", 40000))
    assert pairs == [("Via", "SIP/2.0/UDP [2001:db8::1]:5080;branch=z9hG4bK1;received=2001:db8::9;rport=40000")]


def test_a_strange_via_is_copied_as_it_is() -> None:
    for via in ('SIP/2.0/UDP h;x="a,b"', ""):
        assert response_pairs(Headers([("Via", via)]), PEER)[0][1].startswith(via)


def test_a_response_without_rport_goes_to_the_port_of_the_via() -> None:
    request = request_from_peer("OPTIONS", via="SIP/2.0/UDP elsewhere:5099;branch=z9hG4bK1")
    assert response_address(request, ("192.0.2.9", 1234)) == ("192.0.2.9", 5099)
