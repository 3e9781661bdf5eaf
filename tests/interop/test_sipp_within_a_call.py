"""What carriers ask for before and during a call, beyond hold and resume: SIPp plays it, the call engine takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from tests.support.engine_calls import Air, on_the_air, order_to
from tests.support.sip_sipp import until
from tests.support.sipp import Sipp, SippResult, needs_sipp
from tests.support.sipp_script import answers, asks, receives, scripted, sound

from callwright.engine.interface import CallFacts

pytestmark = needs_sipp

ANSWER = (receives("INVITE"), answers(180), answers(200, sdp=sound()), receives("ACK"))
HANG_UP = (receives("BYE"), answers(200, tag=""))
RELIABLE_183 = (
    receives("INVITE"),
    answers(183, "Require: 100rel", "RSeq: 7", sdp=sound()),
    receives("PRACK", keep=False),
    answers(200, tag=""),
)


@pytest.fixture(scope="module")
def air() -> Iterator[Air]:
    with on_the_air() as opened:
        yield opened


def play(
    air: Air, *steps: str, when: Callable[[Sipp, CallFacts], bool] = lambda far, facts: True
) -> tuple[CallFacts, SippResult]:
    """Be answered by these steps, hang up once something is so; SIPp must have seen all of them."""

    async def run() -> tuple[CallFacts, SippResult]:
        with scripted(*steps) as far:
            call = await air.place(order_to((far.host, far.port)))
            await until(lambda: when(far, call.facts))
            await call.hang_up()
            return call.facts, await asyncio.to_thread(far.finish)

    facts, seen = air.run(run())
    assert seen.all_succeeded, seen.why
    return facts, seen


def answered(count: int) -> Callable[[Sipp, CallFacts], bool]:
    """Whether SIPp got so many final answers."""

    def so(far: Sipp, facts: CallFacts) -> bool:
        return len([gist for gist in far.result().gists if gist[:3] in ("> 2", "> 4", "> 5", "> 6")]) >= count

    return so


def test_what_was_agreed_by_update_before_the_answer_counts_when_the_answer_has_no_description(air: Air) -> None:
    facts, _ = play(
        air,
        *RELIABLE_183,
        asks("UPDATE", cseq=8, sdp=sound(payload=0, version=2)),
        receives(200),
        answers(200, kept=True),
        receives("ACK"),
        *HANG_UP,
    )
    assert facts.codec == "PCMU"


@pytest.mark.parametrize(
    ("method", "headers", "code"),
    [
        ("REFER", ("Refer-To: <sip:elsewhere@example.com>",), 603),
        ("MESSAGE", (), 405),
        ("SUBSCRIBE", ("Event: refer",), 405),
        ("NOTIFY", ("Event: refer", "Subscription-State: active"), 405),
        ("OPTIONS", (), 200),
        ("INFO", (), 200),
        ("UPDATE", (), 200),
    ],
)
def test_requests_in_a_call_are_answered_and_leave_it_up(
    air: Air, method: str, headers: tuple[str, ...], code: int
) -> None:
    facts, _ = play(
        air,
        *ANSWER,
        asks(method, *headers, cseq=20),
        receives(code),
        *HANG_UP,
        when=answered(1),
    )
    assert facts.outcome is not None
    assert facts.outcome.hangup_cause == "NORMAL(200)"


def test_an_offer_of_sound_we_do_not_speak_is_refused_and_the_call_goes_on(air: Air) -> None:
    gsm = sound().replace("RTP/AVP 8 101", "RTP/AVP 3").replace("rtpmap:8 PCMA", "rtpmap:3 GSM")
    facts, _ = play(
        air,
        *ANSWER,
        asks("INVITE", cseq=20, sdp=gsm),
        receives(100, optional=True),
        receives(488),
        asks("ACK", cseq=20),
        *HANG_UP,
        when=answered(1),
    )
    assert facts.codec == "PCMA"
