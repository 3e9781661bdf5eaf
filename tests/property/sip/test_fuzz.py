"""A campaign of mutated messages against one core that lives through all of them: nothing raised, memory flat.

CALLWRIGHT_FUZZ_CASES makes it longer; the seed is the number of the case, so a failure can be found again.
"""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

from tests.support.sip_talk import ANSWER, OFFER, PEER, make_core, plan, request_from_peer, response_to

from callwright.sip.core import SipCore
from callwright.sip.event import Answered, Invited
from callwright.sip.message import Request
from callwright.sip.parser import parse_message
from callwright.sip.way import Transport, Way

CASES = int(os.environ.get("CALLWRIGHT_FUZZ_CASES", "4000"))
TORTURE = [path.read_bytes() for path in sorted(Path("tests/data/rfc4475").glob("*.dat"))]
SPLICES = [b"\r\n", b"\r\n ", b";", b",", b'"', b"<", b">", b"@", b"\0", b"\xff", b"%00", b"=", b"9" * 30, b": "]
HEADERS = [
    b"Session-Expires: 90;refresher=uac",
    b"Require: 100rel\r\nRSeq: 1",
    b"Record-Route: <sip:p;lr>",
    b"k: timer",
    b"Min-SE: 4000",
    b"Contact: <sip:x;transport=tls>",
    b"Reason: Q.850;cause=16",
    b"RAck: 1 1 INVITE",
]


def mutated(message: bytes, chance: Random) -> bytes:
    """Change a message in up to four places."""
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(message) + 1)
        match chance.randrange(5):
            case 0:
                message = message[:at] + chance.choice(SPLICES) + message[at:]
            case 1:
                message = message[:at] + message[at + chance.randint(1, 20) :]
            case 2:
                message = message[:at] + bytes([chance.randrange(256)]) + message[at + 1 :]
            case 3:
                line = chance.choice(HEADERS)
                message = message.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)
            case _:
                message = message[:at] + message[max(0, at - chance.randint(1, 60)) :]
    return message


def test_mutated_messages_raise_nothing_and_leave_nothing() -> None:
    core = make_core()
    core.listens(Transport.TCP, 5060)
    now = 0.0
    grown: list[int] = []
    tracemalloc.start()
    try:
        for case in range(CASES):
            chance = Random(case)
            handle = core.invite(plan(), now)
            invite = parse_message(core.take_sends()[-1].data)
            assert isinstance(invite, Request)
            inside: dict[str, Any] = {
                "from_": f"{invite.headers.get('to')};tag=bob",
                "to": invite.headers.get("from") or "",
                "call_id": invite.head.call_id,
            }
            samples = [
                response_to(invite, chance.choice([100, 180, 183, 302, 401, 422, 486, 491, 503]), tag="bob").render(),
                response_to(invite, 200, tag="bob", body=ANSWER).render(),
                request_from_peer("INVITE", branch=f"z9hG4bK{case}", call_id=f"c{case}", body=OFFER).render(),
                request_from_peer(
                    chance.choice(["BYE", "INFO", "UPDATE", "INVITE", "PRACK", "REFER"]), **inside
                ).render(),
                chance.choice(TORTURE),
            ]
            way = chance.choice([Way(), Way(transport=Transport.TCP, flow=case + 1)])
            for message in chance.sample(samples, 3):
                core.receive(mutated(message, chance), PEER, now, way)
                for event in core.take_events():
                    if isinstance(event, Invited):
                        core.respond(event.handle, chance.choice([183, 200, 486]), body=ANSWER, now=now)
                    if isinstance(event, Answered) and event.handle == handle:
                        core.export(handle)
                for send in core.take_sends():
                    head = send.data.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"")
                    assert b"\n" not in head
            if way.flow:
                core.lost(way.flow, now)
            core.bye(handle, now)
            now += 1.0
            core.wake(now)
            if case % (CASES // 4) == CASES // 4 - 1:
                now = _settled(core, now)
                gc.collect()
                grown.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert grown[-1] < grown[0] + 500_000


def _settled(core: SipCore, now: float) -> float:
    """Hang up everything and let all timers run; returns the time then."""
    for handle in list(core._endpoint.calls):
        core.bye(handle, now)
    for _ in range(200_000):
        at = core.wake_at()
        if at is None:
            break
        now = max(now, at)
        core.wake(now)
        core.take_sends()
        core.take_events()
    assert core.dialogs() == 0
    assert not core._endpoint.by_tag
    assert not core._endpoint.invited
    return now
