"""Where session descriptions and the media leg meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from callwright.engine.attempt import Attempt, UnusableSound
from callwright.engine.call import OutgoingCall
from callwright.engine.interface import CallFacts, CallFailed, CallOrder
from callwright.engine.media_client import Leg
from callwright.media.offer_answer import Direction
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId
from callwright.values.outcome import failed_outcome

SDP_TYPE = (("Content-Type", "application/sdp"),)


class StubLeg:
    """A media leg that only notes what it was connected to."""

    host = "192.0.2.1"
    port = 20_000

    def __init__(self) -> None:
        self.connected: list[dict[str, object]] = []

    def connect(self, **to: object) -> None:
        self.connected.append(to)


def sdp(port: int, payload: int = 8) -> bytes:
    lines = (
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.9",
        "s=-",
        "c=IN IP4 192.0.2.9",
        "t=0 0",
        f"m=audio {port} RTP/AVP {payload}",
    )
    return "\r\n".join(lines).encode()


def with_attempt(story: Callable[[Attempt, StubLeg], Awaitable[None]]) -> None:
    async def main() -> None:
        leg = StubLeg()
        call = OutgoingCall(
            facts=CallFacts(call_id=CallId("0.1.1"), destination=parse_destination("sip:bob@example.com")),
            leg=cast("Leg", leg),
            send_bye=lambda reason: None,
            clock=lambda: 1.0,
            on_progress=lambda progress: None,
        )
        order = CallOrder(call_id=call.call_id, destination=call.facts.destination, caller_id="", service_name="hello")
        attempt = Attempt(
            call=call, order=order, passage=None, leg=cast("Leg", leg), media_host="198.51.100.7", session_id=77
        )
        await story(attempt, leg)

    asyncio.run(main())


def origin(body: bytes) -> str:
    return next(line for line in body.decode().splitlines() if line.startswith("o="))


def test_each_description_of_ours_is_one_version_higher_and_a_refused_offer_counts_for_nothing() -> None:
    async def story(attempt: Attempt, leg: StubLeg) -> None:
        assert origin(attempt.offer()) == "o=- 77 1 IN IP4 198.51.100.7"
        assert origin(attempt.take_offer(sdp(4000))) == "o=- 77 2 IN IP4 198.51.100.7"
        with pytest.raises(UnusableSound):
            attempt.take_offer(sdp(4000, payload=3))
        assert origin(attempt.offer()) == "o=- 77 3 IN IP4 198.51.100.7"

    with_attempt(story)


def test_an_answer_with_a_body_is_taken_whatever_came_before() -> None:
    async def story(attempt: Attempt, leg: StubLeg) -> None:
        attempt.keep_early("bob", SDP_TYPE, sdp(4000))
        attempt.take_answer("bob", sdp(5000, payload=0))
        assert leg.connected[-1]["remote"] == ("192.0.2.9", 5000)
        assert leg.connected[-1]["direction"] is Direction.SENDRECV
        assert attempt.call.facts.codec == "PCMU"

    with_attempt(story)


@pytest.mark.parametrize(("early_tag", "tag"), [("bob", "bob"), ("", "bob")])
def test_an_answer_without_a_body_takes_the_early_one_of_its_own_telephone(early_tag: str, tag: str) -> None:
    async def story(attempt: Attempt, leg: StubLeg) -> None:
        attempt.keep_early("carol", SDP_TYPE, sdp(6000))
        attempt.keep_early(early_tag, SDP_TYPE, sdp(4000))
        attempt.keep_early(early_tag, SDP_TYPE, b"")
        attempt.keep_early(early_tag, (("c", "text/plain"),), b"ringing now")
        attempt.take_answer(tag, b"")
        assert leg.connected[-1]["remote"] == ("192.0.2.9", 4000)
        assert leg.connected[-1]["direction"] is Direction.SENDRECV

    with_attempt(story)


def test_what_a_telephone_agreed_on_before_its_answer_stays_agreed_and_is_not_another_s() -> None:
    async def story(attempt: Attempt, leg: StubLeg) -> None:
        attempt.keep_early("bob", SDP_TYPE, sdp(4000))
        attempt.take_offer(sdp(5000), "bob")
        attempt.take_offer(sdp(6000), "carol")
        attempt.take_answer("bob", sdp(4000))
        assert leg.connected[-1]["remote"] == ("192.0.2.9", 5000)
        attempt.take_answer("dave", sdp(7000))
        assert leg.connected[-1]["remote"] == ("192.0.2.9", 7000)

    with_attempt(story)


def test_another_telephone_s_early_sound_is_no_answer() -> None:
    async def story(attempt: Attempt, leg: StubLeg) -> None:
        attempt.keep_early("carol", SDP_TYPE, sdp(6000))
        with pytest.raises(UnusableSound):
            attempt.take_answer("bob", b"")
        assert attempt.call.facts.codec == ""

    with_attempt(story)


def test_it_fails_once_and_never_after_the_answer() -> None:
    async def story(attempt: Attempt, leg: StubLeg) -> None:
        attempt.call.facts.outcome = failed_outcome(486)
        attempt.fail()
        attempt.is_answered()
        with pytest.raises(CallFailed, match="BUSY"):
            await attempt.answered

    with_attempt(story)
