from __future__ import annotations

import pytest
from tests.support.sip_talk import PEER, request_from_peer, response_to

from callwright.sip.dialog import called_dialog, calling_dialog, saved_dialog, usable_contact
from callwright.sip.errors import SipParseError


def test_the_calling_side_reverses_the_route_and_the_called_side_keeps_it() -> None:
    routes = (("Record-Route", "<sip:a;lr>, <sip:b;lr>"),)
    invite = request_from_peer("INVITE", headers=routes)
    called = called_dialog(invite, PEER, local_tag="me")
    assert called.route_set == ("<sip:a;lr>", "<sip:b;lr>")
    assert called.next_hop().to == ("a", 0)
    answer = response_to(invite, 200, tag="me", headers=routes)
    calling = calling_dialog(answer, PEER, local="<sip:x>;tag=1", local_tag="1", request_uri="sip:x")
    assert calling.route_set == ("<sip:b;lr>", "<sip:a;lr>")
    assert calling.next_hop().to == ("b", 0)


@pytest.mark.parametrize("route", ["broken <", "<tel:+1>", '"open'])
def test_an_unreadable_route_in_an_answer_counts_as_none(route: str) -> None:
    answer = response_to(request_from_peer("INVITE"), 200, tag="me", headers=(("Record-Route", route),))
    dialog = calling_dialog(answer, PEER, local="<sip:x>;tag=1", local_tag="1", request_uri="sip:x")
    assert dialog.route_set == ()
    assert dialog.next_hop().to == PEER


@pytest.mark.parametrize("route", ["broken <", "<tel:+1>", '"open'])
def test_an_unreadable_route_in_an_invite_is_the_peers_fault(route: str) -> None:
    with pytest.raises(SipParseError):
        called_dialog(request_from_peer("INVITE", headers=(("Record-Route", route),)), PEER, local_tag="me")


def test_a_saved_dialog_comes_back_with_a_later_cseq() -> None:
    dialog = called_dialog(request_from_peer("INVITE"), PEER, local_tag="me")
    again = saved_dialog(dialog.save())
    assert again.local_cseq > dialog.local_cseq
    assert again.uri_and_routes() == dialog.uri_and_routes()
    assert again.next_hop().to == dialog.next_hop().to


def test_an_unusable_contact_leaves_the_target_alone() -> None:
    dialog = called_dialog(request_from_peer("INVITE"), PEER, local_tag="me")
    before = dialog.remote_target
    dialog.take_target(request_from_peer("UPDATE", contact="<tel:+1>"))
    assert dialog.remote_target == before
    assert usable_contact(request_from_peer("UPDATE", contact="*")) is None
