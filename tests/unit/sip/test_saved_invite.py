"""INVITEs of a former life: cancelled by the names they had, acknowledged when they end, forgotten then."""

from __future__ import annotations

import math
from itertools import count

from callwright.sip.core import SipCore
from callwright.sip.event import ExtraAnswer
from callwright.sip.invite_plan import InvitePlan
from callwright.sip.message import Request
from callwright.sip.parser import parse_message
from callwright.sip.saved_invite import MOST_INVITES, SavedInvite, numbered

PEER = ("192.0.2.9", 5060)
_numbers = count(1)


def core() -> SipCore:
    return SipCore(contact_host="192.0.2.1", contact_port=5070, new_id=lambda: f"{next(_numbers):032x}")


def sent(one: SipCore) -> list[Request]:
    messages = [parse_message(send.data) for send in one.take_sends()]
    assert all(isinstance(message, Request) for message in messages)
    return [message for message in messages if isinstance(message, Request)]


def pass_time(one: SipCore, *, until: float = math.inf) -> None:
    """Let the timers run that are due by then."""
    while (at := one.wake_at()) is not None and at <= until:
        one.wake(at)


def killed_while_calling() -> tuple[Request, SavedInvite]:
    first = core()
    plan, saved = first.named(
        InvitePlan(
            request_uri="sip:anna@x.example",
            next_hop=PEER,
            from_uri="sip:us@y.example",
            from_display='Ü "q"',
            to_uri="sip:anna@x.example",
            body=b"",
        )
    )
    first.invite(plan, 0.0)
    [invite] = sent(first)
    return invite, saved


def answer(request: Request, start: str, to_tag: str = "") -> bytes:
    names = ("via", "from", "to", "call-id")
    via, from_, to, call_id = (request.headers.get(name) for name in names)
    tag = f";tag={to_tag}" if to_tag else ""
    cseq = f"{request.head.cseq} INVITE"
    lines = (f"Via: {via}", f"From: {from_}", f"To: {to}{tag}", f"Call-ID: {call_id}", f"CSeq: {cseq}")
    return "\r\n".join((f"SIP/2.0 {start}", *lines, "Content-Length: 0", "", "")).encode()


def test_cancel_repeats_what_the_invite_said_of_itself() -> None:
    invite, saved = killed_while_calling()
    second = core()
    second.cancel_saved(saved, 100.0)
    cancels = sent(second)
    assert [cancel.headers.get("cseq") for cancel in cancels] == [f"{n} CANCEL" for n in range(1, MOST_INVITES + 1)]
    for name in ("via", "from", "to", "call-id"):
        assert cancels[0].headers.get(name) == invite.headers.get(name)
    assert cancels[0].uri == invite.uri
    assert [cancel.head.via.branch for cancel in cancels] == [
        numbered(invite.head.via.branch, n) for n in range(1, MOST_INVITES + 1)
    ]


def test_the_end_of_the_invite_is_acknowledged_and_everything_is_forgotten() -> None:
    invite, saved = killed_while_calling()
    second = core()
    second.cancel_saved(saved, 100.0)
    sent(second)
    second.receive(answer(invite, "180 Ringing", "bob"), PEER, 100.1)
    assert sent(second) == []
    second.receive(answer(invite, "487 Request Terminated", "bob"), PEER, 100.2)
    [ack] = sent(second)
    assert (ack.method, ack.head.via.branch, ack.headers.get("cseq")) == ("ACK", invite.head.via.branch, "1 ACK")
    assert second.take_events() == []
    pass_time(second)
    assert second.dialogs() == 0


def test_ringing_that_never_ends_is_forgotten_too() -> None:
    invite, saved = killed_while_calling()
    second = core()
    second.cancel_saved(saved, 100.0)
    for n in range(200):
        second.receive(answer(invite, "180 Ringing", "bob"), PEER, 100.0 + n)
        pass_time(second, until=100.0 + n)
    assert second.dialogs() == 0


def test_an_answer_that_crosses_is_acknowledged_and_hung_up() -> None:
    invite, saved = killed_while_calling()
    second = core()
    second.cancel_saved(saved, 100.0)
    sent(second)
    second.receive(answer(invite, "200 OK", "bob"), PEER, 100.1)
    assert [request.method for request in sent(second)] == ["ACK", "BYE"]
    assert [type(event) for event in second.take_events()] == [ExtraAnswer]


def test_what_is_saved_are_texts_and_numbers_without_secrets() -> None:
    _, saved = killed_while_calling()
    values = [getattr(saved, name) for name in SavedInvite.__struct_fields__]
    assert all(isinstance(value, str | int) for value in values)
